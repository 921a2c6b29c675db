#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Runs libgbinder's tools, in a guest, as root:
#
#	run.sh ROOT BINDERFS_DIR AOSP_BIN
#
# ROOT is what build.sh unpacked, AOSP_BIN what ../aosp/build.sh built: the tools
# ask Android's servicemanager and call our service on Android's libbinder. There
# are two instances of binderfs, one at BINDERFS_DIR, with a servicemanager each; a
# bridge lends the service of the first to the second. Prints TAP, leaves no
# process behind; exit status 0 if and only if every check passed. Which driver is
# loaded makes no difference here.

set -u

here=$(cd "$(dirname "$0")" && pwd)
. "$here/../tap.sh"

[ $# -eq 3 ] || { echo "usage: run.sh ROOT BINDERFS_DIR AOSP_BIN" >&2; exit 2; }
root=$1
fs=$2
aosp=$3
iface=bus1.demo.IEcho
name=$iface/default
made=

# tool DEVICE NAME ARGUMENT..: with its own C library, and in a mount namespace of
# its own: with our configuration in place of the machine's, and with the device as
# /dev/binder, which is where the tools expect that Android's protocol is spoken.
# Takes the place of the subshell that it is called in, so that whoever ends that one
# ends the tool.
tool()
{
	tool_device=$1
	tool_name=$2
	shift 2
	exec timeout -k 2 150 unshare -m sh -c 'mount -t tmpfs tmpfs /etc &&
		cp "$1" /etc/gbinder.conf && mount --bind "$2" /dev/binder &&
		shift 2 && exec "$@"' sh "$scratch/gbinder.conf" "$tool_device" \
		"$root/usr/lib64/ld-linux-x86-64.so.2" \
		--library-path "$root/usr/lib/x86_64-linux-gnu" "$root/usr/bin/$tool_name" "$@"
}

# says NAME PATTERN DEVICE TOOL..: what it says has the pattern. binder-call ends
# with status 2 when all is well, so that says nothing.
says()
{
	says_name=$1
	says_pattern=$2
	shift 2
	answer=$(tool "$@" 2>&1)
	printf '%s\n' "$answer" | grep -q -- "$says_pattern"
	says_status=$?
	[ $says_status -eq 0 ] || printf '%s\n' "$answer"
	result "$says_name" $says_status
}

# Android 11 to 14 speak this.
configure()
{
	for group in Protocol ServiceManager; do
		printf '[%s]\nDefault = aidl3\n/dev/binder = aidl3\n' $group
	done >"$scratch/gbinder.conf"
	[ -e /dev/binder ] || { : >/dev/binder && made=1; }
}

# The tools on one instance: all_tools WHERE DEVICE.
all_tools()
{
	says "$1: binder-list names the service" "^$name\$" "$2" binder-list -d /dev/binder
	says "$1: binder-ping reaches it" "^OK\$" "$2" binder-ping -d /dev/binder "$name"
	says "$1: binder-call gets its answer" '^0 "through libgbinder"' "$2" binder-call -d /dev/binder \
		--aidl "$name" 1 '"through libgbinder"u' reply i32 s16
}

wait_service()
{
	tries=0
	until tool "$1" binder-list -d /dev/binder 2>/dev/null | grep -q "^$name\$"; do
		tries=$((tries + 1))
		[ $tries -lt 40 ] || return 1
		sleep 0.3
	done
}

run_tools()
{
	"$aosp/binder_demo" service "$fs/binder" "$name" >"$scratch/service" 2>&1 &
	service=$!
	wait_service "$fs/binder"
	result "the service registers" $?
	all_tools "first binderfs" "$fs/binder"
	says "binder-ping does not reach what is not there" "not found" "$fs/binder" \
		binder-ping -d /dev/binder no.such/default
	# Calls of the other instance are sent on to the first.
	tool "$other/binder" binder-bridge --source "$name" /dev/binder "$fs/binder" \
		default "$iface" >"$scratch/bridge" 2>&1 &
	bridge=$!
	wait_service "$other/binder"
	result "binder-bridge lends the service to the other" $?
	all_tools "other binderfs" "$other/binder"
	kill "$bridge" 2>/dev/null
	wait "$bridge" 2>/dev/null
	remark_file "binder-bridge said" "$scratch/bridge"
	end_process "$service"
}

everything()
{
	tap_prepare "$fs" binder "$aosp/binder_demo" || return
	configure
	other=$scratch/other
	mkdir "$other" && mount -t binder binder "$other"
	result "a second binderfs" $?
	add_device "$other" binder "$aosp/binder_demo"
	"$aosp/servicemanager" "$fs/binder" >"$scratch/manager" 2>&1 &
	manager=$!
	"$aosp/servicemanager" "$other/binder" >"$scratch/manager2" 2>&1 &
	manager2=$!
	if step "a servicemanager" 20 "$aosp/binder_demo" wait-manager "$fs/binder" &&
		step "another" 20 "$aosp/binder_demo" wait-manager "$other/binder"; then
		run_tools
	fi
	end_process "$manager"
	end_process "$manager2"
	[ -z "$made" ] || rm -f /dev/binder
	umount "$other"
	result "the second binderfs goes away" $?
	tap_tidy
}

everything | tap_report
