# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Which of the platform's sources build.sh unpacks, and every change that is made
# to them or to what aidl makes of them. To be sourced.

# unpack TARBALL DIR
unpack()
{
	tar -xf "$1" -C "$2" ./frameworks/native/libs/binder \
		./frameworks/native/cmds/servicemanager ./system/core ./system/libbase \
		./system/logging/liblog ./external/fmtlib
	binder=$2/frameworks/native/libs/binder

	# These two files talk to the driver on Android only.
	perl -pi -e 's/^#if(def __ANDROID__| defined\(__ANDROID__\))$/#if 1/' \
		"$binder/IPCThreadState.cpp" "$binder/ProcessState.cpp"

	# A loaded guest needs more than a tenth of a second for a oneway call.
	perl -pi -e 's/wait_for\(lock, 100ms,/wait_for(lock, 20s,/' \
		"$binder/tests/binderSafeInterfaceTest.cpp"

	# Older versions of aidl know no expressions.
	perl -0pi -e 's/= 1 << (\d+);/"= " . (1 << $1) . ";"/ge;
		s/(DUMP_FLAG_PRIORITY_ALL =)\s*DUMP_FLAG[A-Z_|\s]+;/$1 15;/' \
		"$binder/aidl/android/os/IServiceManager.aidl"
}

# generate INCLUDE_DIR OUT_DIR FILE..: C++ from .aidl.
generate()
{
	include=$1
	out=$2
	shift 2
	[ -e "$out/done" ] && [ -z "$(find "$@" -newer "$out/done")" ] && return
	rm -rf "$out"
	mkdir -p "$out/include"
	for file in "$@"; do
		aidl --lang=cpp -I "$include" -h "$out/include" -o "$out" "$file" ||
			die "aidl refuses $file"
	done
	# Version 10 makes unique_ptr of what may be null, Android 14 wants optional.
	find "$out" \( -name '*.cpp' -o -name '*.h' \) -exec \
		perl -pi -e 's/::std::unique_ptr</::std::optional</g' {} +
	touch "$out/done"
}
