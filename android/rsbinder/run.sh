#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Runs rsbinder's own programs, our demo and our tests on rsbinder, in a guest, as
# root:
#
#	run.sh BIN_DIR BINDERFS_DIR
#
# BIN_DIR holds what build.sh built. BINDERFS_DIR is where binderfs is mounted, or
# is to be; the device `rsbinder` in it is made if it isn't there, and taken away
# again: a context of its own, so that Android's servicemanager can manage
# `binder` at the same time. rsbinder's tools know no other folder than
# /dev/binderfs. Prints TAP, leaves no process behind; exit status 0 if and only
# if every check passed. Which driver is loaded makes no difference here.

set -u

here=$(cd "$(dirname "$0")" && pwd)
. "$here/../tap.sh"

[ $# -eq 2 ] || { echo "usage: run.sh BIN_DIR BINDERFS_DIR" >&2; exit 2; }
bin=$1
fs=$2
device=rsbinder
name=bus1.rsdemo.echo

# Waits until rsb_hub answers and knows the name.
wait_name()
{
	tries=0
	until "$bin/rsb_service" -d "$device" check "$1" >/dev/null 2>&1; do
		tries=$((tries + 1))
		[ "$tries" -lt 50 ] || return 1
		sleep 0.2
	done
}

# asks NAME PATTERN COMMAND..: rsb_service answers, and the answer has PATTERN.
asks()
{
	asks_name=$1
	asks_pattern=$2
	shift 2
	answer=$("$bin/rsb_service" -d "$device" "$@" 2>&1) &&
		printf '%s\n' "$answer" | grep -q "$asks_pattern"
	asks_status=$?
	printf '%s\n' "$answer"
	result "$asks_name" $asks_status
}

run_clients()
{
	"$bin/rsbinder-demo" service "$fs/$device" "$name" >"$scratch/service" 2>&1 &
	service=$!
	wait_name "$name"
	result "a service registers" $?
	asks "rsb_service list names it" "$name" list
	asks "rsb_service info knows its process" "$name .*pid=$service\$" info
	asks "rsb_service check finds it" . check "$name"
	"$bin/rsb_service" -d "$device" check no.such >/dev/null 2>&1
	[ $? -eq 1 ]
	result "rsb_service check does not find another" $?
	program "client" 180 "$bin/rsbinder-demo" client "$fs/$device" "$name"
	end_process "$service"
	remark_file "the service said" "$scratch/service"
}

# Our tests have a context of their own, in a binderfs of their own: there, the stock
# driver shows its statistics.
run_tests()
{
	mine=$scratch/tests
	mkdir "$mine" && mount -t binder -o stats=global binder "$mine"
	result "a binderfs for the tests" $?
	step "their device" 20 "$bin/rsbinder-tests" add-device "$mine" tests
	program "tests" 300 "$bin/rsbinder-tests" run "$mine/tests"
	umount "$mine"
	result "it goes away" $?
}

everything()
{
	tap_prepare "$fs" "$device" "$bin/rsbinder-demo" || return
	"$bin/rsb_hub" -d "$device" --insecure-allow-all >"$scratch/hub" 2>&1 &
	hub=$!
	wait_name manager
	managed=$?
	result "rsb_hub becomes context manager" $managed
	# Without a manager every client would only wait for its time to be over.
	[ $managed -ne 0 ] || run_clients
	end_process "$hub"
	remark_file "rsb_hub said" "$scratch/hub"
	run_tests
	tap_tidy
}

everything | tap_report
