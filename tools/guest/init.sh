#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# First process of a guest: runs one job and powers off. tools/xtask/README.md
# describes the protocol. A UML guest gets JOB (a host folder) from the kernel's
# command line; a QEMU guest has its job at /job of the initramfs.

# One static program: with KASAN and kmemleak, starting a dynamic one takes most
# of a second.
for applet in cat insmod mkdir mount rmmod sleep sync umount; do
	eval "$applet() { busybox $applet \"\$@\"; }"
done

say() { echo "bus1-guest: $*" >/dev/console; }
stop() {
	say "$@"
	sync
	[ -n "$JOB" ] && busybox poweroff -f
	# Without ACPI a power off only halts; QEMU ends when the machine reboots.
	busybox reboot -f
}

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev 2>/dev/null
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t debugfs debugfs /sys/kernel/debug
mount -t securityfs securityfs /sys/kernel/security 2>/dev/null

if [ -n "$JOB" ]; then
	# The host's root is read-only and keeps its own path below /mnt/host, so
	# that the guest's own /tmp hides nothing.
	mount -t tmpfs tmpfs /mnt
	mkdir /mnt/host /mnt/out
	mount -t hostfs none /mnt/host -o / || stop "broken: no host folder"
	mount -t hostfs none /mnt/out -o "$JOB/out" || stop "broken: no output folder"
	job=/mnt/host$JOB out=/mnt/out/output
	mount -t tmpfs tmpfs /tmp
	mount -t tmpfs tmpfs /run
else
	job=/job out=/dev/ttyS1
	mkdir -p /tmp /run
fi
. "$job/settings"
export DRIVER HOME=/tmp TMPDIR=/tmp
cd /tmp || stop "broken: no /tmp"
busybox ip link set lo up

[ -n "$HUNG_AFTER" ] && echo "$HUNG_AFTER" >/proc/sys/kernel/hung_task_timeout_secs

for module in $MODULES; do
	insmod "$module" || stop "broken: cannot load $module"
done
if [ -n "$BINDERFS" ]; then
	mkdir -p /dev/binderfs
	mount -t binder binder /dev/binderfs || stop "broken: cannot mount binderfs"
fi

# What the kernel itself forgot before is none of our business, and its own scans
# every ten minutes only slow the tests down.
if [ -n "$KMEMLEAK" ]; then
	echo scan=off >/sys/kernel/debug/kmemleak
	echo clear >/sys/kernel/debug/kmemleak
fi

say "begin"
if [ -n "$SHELL_WANTED" ]; then
	setsid sh -c 'exec sh -i </dev/console >/dev/console 2>&1'
else
	sh "$job/command" </dev/null >"$out" 2>&1
fi
say "exit $?"

[ -n "$BINDERFS" ] && { umount /dev/binderfs || say "problem: /dev/binderfs is busy"; }
# All files are closed now: no peer, node, handle or message may be left. Some of
# the work of a close is done a moment later.
counters=/sys/kernel/debug/bus1/counters
if [ -e "$counters" ]; then
	for _ in 1 2 3 4 5; do
		left=$(busybox awk '/-alive / && $2 {printf " %s", $0}' "$counters")
		[ -z "$left" ] && break
		sleep 1
	done
	[ -z "$left" ] || say "problem: left when all was closed:$left"
fi
# The C driver has no exit: once loaded, it stays.
if [ "$DRIVER" != stock ]; then
	unload=
	for module in $MODULES; do
		name=${module##*/}
		unload="${name%.ko} $unload"
	done
	for name in $unload; do
		rmmod "$name" || say "problem: cannot unload $name"
	done
fi

if [ -n "$KMEMLEAK" ]; then
	# An object counts as leaked only when it is some seconds old and two scans
	# found no pointer to it.
	sleep "$KMEMLEAK"
	echo scan >/sys/kernel/debug/kmemleak
	sleep 1
	echo scan >/sys/kernel/debug/kmemleak
	cat /sys/kernel/debug/kmemleak >/dev/console
	say "kmemleak scanned"
fi
if [ -e /proc/lockdep_stats ]; then
	say "lockdep" $(busybox awk '/ lock-classes:/ {c=$2} /debug_locks:/ {d=$2} END {print c, d}' /proc/lockdep_stats)
fi
stop "end"
