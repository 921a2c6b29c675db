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
#	driver  binderDriverInterfaceTest, binderSafeInterfaceTest and
#	        binderClearBufTest of the platform, with servicemanager running
#
# both unless named. Prints TAP, leaves no process behind; exit status 0 if and
# only if every check passed. Which driver is loaded makes no difference here.

set -u

here=$(cd "$(dirname "$0")" && pwd)
. "$here/../tap.sh"

[ $# -ge 2 ] || { echo "usage: run.sh BIN_DIR BINDERFS_DIR [demo|driver ..]" >&2; exit 2; }
bin=$1
fs=$2
shift 2
parts=${*:-demo driver}
device=$fs/binder
name=bus1.demo.echo

servicemanager=
service=

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

run_driver_tests()
{
	for test in binderDriverInterfaceTest binderSafeInterfaceTest binderClearBufTest; do
		program "$test" 120 "$bin/$test"
	done
}

run_part()
{
	case $1 in
	demo) run_demo ;;
	driver) link_device; run_driver_tests ;;
	*) result "unknown part $1" 1 ;;
	esac
}

everything()
{
	tap_prepare "$fs" binder "$bin/binder_demo" || return
	linked=
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
