#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The main job, in one boot of a guest that has bus1 loaded:
#
#	demo.sh CHECKOUT AOSP_BIN RSBINDER_BIN EXAMPLES
#
# Says in plain words what it shows; status 0 if and only if all of it worked.

checkout=$1 aosp=$2 rsbinder=$3 examples=$4
counters=/sys/kernel/debug/bus1/counters
bad=0

title() { printf '\n== %s\n' "$*"; }

# Shows a TAP report as a list; a report that broke off counts as bad.
show() {
	sed -n 's/^ok [0-9]* \(- \)\{0,1\}/  yes  /p; s/^not ok [0-9]* /  NO   /p' "$1"
	grep -q '^1\.\.[1-9]' "$1" && ! grep -q '^not ok' "$1" && return
	sed 's/^/    | /' "$1"
	bad=1
}

# Runs one native program and shows what it says.
native() {
	printf '  %s\n' "$1:"
	"$examples/$1" >/tmp/native 2>&1 || { bad=1; printf '    FAILED\n'; }
	sed 's/^/    /' /tmp/native
}

# Native peers that talk until the file is gone; a line for each round.
native_rounds() {
	while [ -e /tmp/talking ]; do
		if "$examples/multicast" >/dev/null 2>&1 && "$examples/handles" >/dev/null 2>&1; then
			echo good
		else
			echo bad
		fi
	done
}

# What the engine did between two copies of its counters.
growth() {
	awk 'NR == FNR { before[$1] = $2; next }
	     $2 - before[$1] > 0 { printf "  %-28s %d\n", $1, $2 - before[$1] }' "$1" "$2"
}

title "The guest"
echo "  $(uname -sr), $(busybox nproc) CPU(s). The kernel's own Binder driver is not loaded; bus1 is:"
grep -w bus1 /proc/modules | sed 's/^\([^ ]*\) \([^ ]*\) .*/    \1, \2 bytes/'
echo "  /dev/bus1 is its native interface, the file system \"binder\" its other one:"
grep -w binder /proc/filesystems | sed 's/^/  /'
cp "$counters" /tmp/begin || bad=1

title "Android 14: servicemanager and libbinder programs, built from Android's sources, on /dev/binderfs/binder"
echo "  (native programs talk over /dev/bus1 at the same time, through the same engine)"
: >/tmp/talking
native_rounds >/tmp/rounds &
"$checkout/android/aosp/run.sh" "$aosp" /dev/binderfs demo >/tmp/aosp 2>&1
rm /tmp/talking
wait
show /tmp/aosp
rounds=$(grep -c good /tmp/rounds)
echo "  meanwhile native peers finished $rounds rounds of multicasts and handle passing"
grep -q bad /tmp/rounds && { echo "  NO   a native round failed"; bad=1; }
[ "$rounds" -gt 0 ] || bad=1
cp "$counters" /tmp/android || bad=1

title "rsbinder, a Binder library in Rust that knows nothing of us: its hub, its tools, a service and a client"
"$checkout/android/rsbinder/run.sh" "$rsbinder" /dev/binderfs >/tmp/rsbinder 2>&1
show /tmp/rsbinder
cp "$counters" /tmp/binder || bad=1

title "Native bus1: messages, handles, file descriptors, a multicast, a node that is destroyed"
for program in hello handles fdpass multicast destroy; do
	native "$program"
done
cp "$counters" /tmp/native-end || bad=1

title "The engine's counters: what crossed core/"
echo "  Android beside native peers:"
growth /tmp/begin /tmp/android
echo "  rsbinder:"
growth /tmp/android /tmp/binder
echo "  native:"
growth /tmp/binder /tmp/native-end
[ -n "$(growth /tmp/begin /tmp/native-end)" ] || bad=1

title "Result"
if [ $bad -eq 0 ]; then
	echo "  Everything worked: two kinds of programs, one engine."
else
	echo "  Something above did not work."
fi
exit $bad
