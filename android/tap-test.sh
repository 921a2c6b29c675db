#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Checks tap.sh: that a crash, silence, a wrong plan and a program that hangs are
# failures, and that what was said stands behind the result it belongs to. Needs
# no guest and no driver. Prints the difference and fails, or prints nothing.

set -u

. "$(dirname "$0")/tap.sh"
scratch=$(mktemp -d) || exit 2

everything()
{
	program good 5 printf '1..2\n# a remark\nok 1 first\nok 2 second # SKIP no reason\n'
	program bad 5 printf '1..2\nok 1 first\nit broke\nnot ok 2 second\n'
	program crash 5 sh -c 'echo 1..2; echo ok 1 first; echo why >&2; exit 3'
	program silent 5 true
	program slow 1 sleep 5
	program google 5 printf '%s\n' '[==========] Running 2 tests from 1 test suite.' \
		'[ RUN      ] A.b' 'expected 1' '[  FAILED  ] A.b (3 ms)' \
		'[       OK ] A.c (0 ms)' '[  FAILED  ] A.b'
	program failing 5 sh -c 'printf "%s\n" "$@"; exit 1' google \
		'[==========] Running 2 tests from 1 test suite.' \
		'[  FAILED  ] A.b/0, where GetParam() = 1 (3 ms)' '[  SKIPPED ] A.c (0 ms)'
	program teardown 5 sh -c 'echo 1..1; echo ok 1 first; exit 1'
	step "a step" 5 true
	step "a bad step" 5 false
	result "a result" 0
}

everything | tap_report >"$scratch/got" && { echo "tap_report reports success"; exit 1; }
diff - "$scratch/got" <<END
TAP version 13
ok 1 first
# a remark
ok 2 second # SKIP no reason
ok 3 good
ok 4 first
not ok 5 second
# it broke
not ok 6 bad
# status 0, 2 results of 2, 1 failed
ok 7 first
not ok 8 crash
# its last words:
#   why
# status 3, 1 results of 2, 0 failed
not ok 9 silent
# status 0, 0 results of 0, 0 failed
not ok 10 slow
# status 124, 0 results of 0, 0 failed
not ok 11 A.b
# expected 1
ok 12 A.c
not ok 13 google
# status 0, 2 results of 2, 1 failed
not ok 14 A.b/0
ok 15 A.c # SKIP the test says so
ok 16 failing
ok 17 first
not ok 18 teardown
# status 1, 1 results of 1, 0 failed
ok 19 a step
not ok 20 a bad step
ok 21 a result
1..21
END
status=$?
rm -rf "$scratch"
exit $status
