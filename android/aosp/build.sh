#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Builds Android 14's servicemanager, its own Binder driver tests, and our demo
# on its libbinder, for an ordinary Linux, as static programs.
#
#	build.sh CACHE_DIR
#
# Platform sources come from Debian's source package android-platform-tools and
# stay below CACHE_DIR, as does everything that is built; nothing is written
# into the checkout. The last line of standard output is the folder with the
# programs (for run.sh); everything else goes to standard error. A second run
# builds what has changed since the first; a changed recipe gets a new folder.
# BUS1_DEBIAN_ARCHIVE names another archive than the one that apt uses, JOBS=N
# the number of compile jobs.
#
# Needs apt (only to download), make, perl, clang++, lld and libc++ with its
# static libraries, aidl and the sources of googletest; the versions of clang
# and llvm-ar can be chosen with CXX and AR.

set -eu

version=34.0.5
tarball=android-platform-tools_$version.orig.tar.xz
tarball_sha256=4893f6a85b205f1df2c35cde5d6ca3bedd5e9f19afdb3b5ac781e647aa2243f4
# The newest stable suite that has this version.
suite=trixie
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
googletest=/usr/src/googletest

say()
{
	printf '%s\n' "build.sh: $*" >&2
}

die()
{
	say "$*"
	exit 1
}

# One sentence that names every missing package, not the first only.
check_tools()
{
	missing=
	for pair in "$CXX:clang-19" "$AR:llvm-19" ld.lld-19:lld-19 aidl:aidl make:make \
		perl:perl xz:xz-utils apt-get:apt sha256sum:coreutils flock:util-linux; do
		command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair#*:}"
	done
	[ -e "$googletest/googletest/src/gtest-all.cc" ] || missing="$missing googletest"
	echo '#include <vector>' | "$CXX" -stdlib=libc++ -x c++ -fsyntax-only - 2>/dev/null ||
		missing="$missing libc++-19-dev libc++abi-19-dev"
	[ -z "$missing" ] || die "missing; install the packages:$missing"
}

good_tarball()
{
	[ -f "$1" ] && echo "$tarball_sha256  $1" | sha256sum -c --status 2>/dev/null
}

# Fetches the tarball with apt, through a configuration of its own: the lists
# of the machine stay as they are. The archive is the one that the machine uses.
fetch()
{
	good_tarball "$dl/$tarball" && return
	say "fetching $tarball"
	[ -e "$keyring" ] || die "no $keyring: install debian-archive-keyring, or put" \
		"$tarball into $dl"
	uri=${BUS1_DEBIAN_ARCHIVE:-$(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' \
		'Created-By: Packages' 'Origin: Debian' | sed -n '/^[^ ]*-/d; s/^[^ ]* //p; q')}
	[ -n "$uri" ] || die "this machine's apt knows no Debian archive: set" \
		"BUS1_DEBIAN_ARCHIVE to the address of a mirror, or put $tarball into $dl"
	rm -rf "$dl/apt"
	mkdir -p "$dl/apt/parts" "$dl/apt/lists/partial" "$dl/apt/cache/archives/partial"
	printf 'Types: deb-src\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n' \
		"$uri" "$suite" "$keyring" >"$dl/apt/parts/aosp.sources"
	set -- -q -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$dl/apt/parts" \
		-o "Dir::State::Lists=$dl/apt/lists" -o "Dir::Cache=$dl/apt/cache" \
		-o APT::Sandbox::User=root
	apt-get "$@" update >&2 || die "apt cannot read suite $suite: is the network there?"
	package=$(apt-cache "$@" showsrc android-platform-tools |
		sed -n "s/^Version: \($version-.*\)/\1/p" | head -n 1)
	[ -n "$package" ] || die "suite $suite has no android-platform-tools $version"
	(cd "$dl" && apt-get "$@" source --download-only --tar-only \
		"android-platform-tools=$package" >&2) || die "cannot download $tarball"
	rm -rf "$dl/apt"
	good_tarball "$dl/$tarball" || die "$dl/$tarball is not the file this recipe is for"
}

[ $# -eq 1 ] || die "usage: build.sh CACHE_DIR"
CXX=${CXX:-clang++-19}
AR=${AR:-llvm-ar-19}
export CXX AR
check_tools

here=$(cd "$(dirname "$0")" && pwd)
. "$here/sources.sh"
mkdir -p "$1/dl"
cache=$(cd "$1" && pwd)
dl=$cache/dl
exec 9>"$cache/lock"
flock -n 9 || { say "waiting for another build"; flock 9; }

fetch
# What every object is made from; what only some are made from, make knows.
key=$({ echo "$tarball_sha256"; cat "$here/sources.sh" "$here/aosp.mk" "$here/build.sh" \
	"$(command -v aidl)"; find "$here/compat" -type f -exec cat {} +
	"$CXX" --version; } | sha256sum | cut -c 1-16)
work=$cache/$key
if [ ! -d "$work/src" ]; then
	say "unpacking"
	rm -rf "$work/src.new"
	mkdir -p "$work/src.new"
	unpack "$dl/$tarball" "$work/src.new"
	mv "$work/src.new" "$work/src"
fi
os=$work/src/frameworks/native/libs/binder/aidl/android/os
generate "$work/src/frameworks/native/libs/binder/aidl" "$work/gen" \
	"$os/ConnectionInfo.aidl" "$os/IClientCallback.aidl" "$os/IServiceCallback.aidl" \
	"$os/IServiceManager.aidl" "$os/ServiceDebugInfo.aidl"
# The folder is kept, and another checkout may build in it the next time: make must
# not remember where this one lies.
rm -rf "$work/ours"
mkdir "$work/ours"
cp -Rp "$here/demo" "$here/compat" "$work/ours/"
generate "$work/ours/demo" "$work/gen-demo" \
	"$work/ours/demo/bus1/demo/ICallback.aidl" "$work/ours/demo/bus1/demo/IEcho.aidl"
say "compiling (log: $work/make.log)"
make -j"${JOBS:-2}" -f "$here/aosp.mk" SRC="$work/src" GEN="$work/gen" \
	GEN_DEMO="$work/gen-demo" OUT="$work/out" DEMO="$work/ours/demo" COMPAT="$work/ours/compat" \
	GOOGLETEST="$googletest" >"$work/make.log" 2>&1 9>&- || {
	grep -m 20 -E 'error|undefined' "$work/make.log" >&2 || tail -n 20 "$work/make.log" >&2
	die "the build failed, see $work/make.log"
}
say "done"
echo "$work/out/bin"
