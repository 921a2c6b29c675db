#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Runs what build.sh built, in a guest, as root:
#
#	run.sh BIN_DIR BINDERFS_DIR [PART..]
#
# BINDERFS_DIR is where binderfs is mounted, or is to be; the device `binder` in
# it is made if it isn't there, and taken away again. Parts, in this order, are
#
#	demo    servicemanager, our service, our client
#	driver  the platform's own tests of the driver and of libbinder, with
#	        servicemanager running
#	tools   the platform's binderThroughputTest and schd-dbg: that they come to
#	        their end, not how fast
#
# all unless named. Prints TAP, leaves no process behind; exit status 0 if and
# only if every check passed (on the stock driver some don't: expected.txt). Which
# driver is loaded makes no difference here.

set -u

here=$(cd "$(dirname "$0")" && pwd)
. "$here/../tap.sh"

[ $# -ge 2 ] || { echo "usage: run.sh BIN_DIR BINDERFS_DIR [demo|driver|tools ..]" >&2; exit 2; }
bin=$1
fs=$2
shift 2
parts=${*:-demo driver tools}
device=$fs/binder
name=bus1.demo.echo
cgroups=/sys/fs/cgroup

servicemanager=
service=
made=
mounted=

# The platform's tests know no other path than /dev/binder.
link_device()
{
	[ -e /dev/binder ] && return
	ln -s "$device" /dev/binder && linked=1
}

start_servicemanager()
{
	"$bin/servicemanager" "$device" >"$scratch/servicemanager" 2>&1 &
	servicemanager=$!
	step "servicemanager becomes context manager" 20 "$bin/binder_demo" wait-manager "$device"
}

run_demo()
{
	"$bin/binder_demo" service "$device" "$name" >"$scratch/service" 2>&1 &
	service=$!
	program "client" 180 "$bin/binder_demo" client "$device" "$name"
	end_process "$service"
	remark_file "service said" "$scratch/service"
}

# binderLibTest freezes a process only where the platform's cgroup of root is.
prepare_cgroup()
{
	[ -e $cgroups/cgroup.procs ] || { mount -t cgroup2 cgroup2 $cgroups && mounted=1; }
	[ -d $cgroups/uid_0 ] || { mkdir $cgroups/uid_0 && made=1; }
}

tidy_cgroup()
{
	[ -z "$made" ] || rmdir $cgroups/uid_0
	[ -z "$mounted" ] || umount $cgroups
}

run_driver_tests()
{
	for test in binderDriverInterfaceTest binderLibTest binderSafeInterfaceTest \
			binderClearBufTest binderTextOutputTest; do
		program "$test" 300 "$bin/$test"
	done
}

# says NAME PATTERN COMMAND..: it ends in time, and the pattern is in what it says.
says()
{
	says_name=$1
	says_pattern=$2
	shift 2
	timeout -k 2 60 "$@" >"$scratch/tool" 2>&1 </dev/null
	says_status=$?
	grep -q "$says_pattern" "$scratch/tool"
	says_found=$?
	remark_file "$says_name: status $says_status" "$scratch/tool"
	result "$says_name" $says_found
}

# The first says when a child of it failed. The exit status of the second is how
# often the priority was not inherited, and its threads don't have one off Android.
run_tools()
{
	says "binderThroughputTest ends" '^iterations per sec: [0-9]' \
		"$bin/binderThroughputTest" -w 2 -i 100
	! grep -q 'nonzero child status' "$scratch/tool"
	result "binderThroughputTest has no child that failed" $?
	says "schd-dbg ends" '^"inheritance": ' "$bin/schd-dbg" -i 10 -pair 2
}

run_part()
{
	case $1 in
	demo) run_demo ;;
	driver) prepare_cgroup; run_driver_tests; tidy_cgroup ;;
	tools) run_tools ;;
	*) result "unknown part $1" 1 ;;
	esac
}

everything()
{
	tap_prepare "$fs" binder "$bin/binder_demo" || return
	linked=
	link_device
	# Without a manager every client would only wait for its time to be over.
	if start_servicemanager; then
		for part in $parts; do
			run_part "$part"
		done
	fi
	end_process "$servicemanager"
	remark_file "servicemanager said" "$scratch/servicemanager"
	[ -z "$linked" ] || rm -f /dev/binder
	tap_tidy
}

everything | tap_report
