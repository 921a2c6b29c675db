# SPDX-License-Identifier: MIT OR Apache-2.0
#
# For the run scripts beside and below: one TAP report out of several programs.
# To be sourced. The left side of a pipe runs programs with the functions of the
# first part, the right side is tap_report, which numbers what they print:
#
#	everything | tap_report
#
# A program may print TAP with a plan, or be one of googletest's; tap_report
# adds one line for each program, which fails unless the program came to its end:
# it printed as many results as it had planned, one at least, and ended with
# status 0 if none of them failed, else with 1.

# program NAME SECONDS COMMAND..: runs it, and kills it when its time is over.
# What it says on standard error is shown only if it fails: libbinder is chatty.
# Status: the program's.
program()
{
	program_kind=@end
	program_run "$@"
}

# The same for a program that gives no results but its status.
step()
{
	program_kind=@step
	program_run "$@"
}

program_run()
{
	program_name=$1
	program_seconds=$2
	shift 2
	echo "@begin"
	timeout -k 2 "$program_seconds" "$@" 2>"$scratch/stderr" </dev/null
	program_status=$?
	[ "$program_status" -eq 0 ] || remark_file "its last words" "$scratch/stderr"
	echo "$program_kind $program_status $program_name"
	return "$program_status"
}

# result NAME STATUS: one result without a program.
result()
{
	echo "@step $2 $1"
}

# remark_file TEXT FILE: the end of a log, as remarks.
remark_file()
{
	[ ! -s "$2" ] || { echo "$1:"; tail -n 40 "$2" | sed 's/^/  /'; }
}

# end_process PID: kills it and waits until it is gone.
end_process()
{
	kill -9 "$1" 2>/dev/null
	wait "$1" 2>/dev/null
}

# tap_prepare DIR DEVICE ADD_TOOL: binderfs at DIR, with that device in it, and
# a folder `scratch` for logs. ADD_TOOL is a program that makes a device with
# `add-device DIR NAME`.
tap_prepare()
{
	tap_dir=$1
	tap_mounted=
	tap_added=
	scratch=$(mktemp -d) || return
	if [ ! -e "$tap_dir/binder-control" ]; then
		mkdir -p "$tap_dir" && mount -t binder binder "$tap_dir" ||
			{ result "mount binderfs at $tap_dir" 1; rm -rf "$scratch"; return 1; }
		tap_mounted=1
	fi
	add_device "$tap_dir" "$2" "$3" || tap_added=$tap_dir/$2
}

# add_device DIR NAME ADD_TOOL: makes the device, unless the driver made it with the
# mount; status 1 if it had to be made.
add_device()
{
	if [ -e "$1/$2" ]; then
		result "device $2" 0
	else
		step "device $2" 20 "$3" add-device "$1" "$2"
		return 1
	fi
}

# Takes back what tap_prepare did.
tap_tidy()
{
	[ -z "$tap_added" ] || rm -f "$tap_added"
	[ -z "$tap_mounted" ] || umount "$tap_dir" || result "umount $tap_dir" 1
	rm -rf "$scratch"
}

# Prints one result: tap_line RESULT TEXT. What was said before it follows it, as
# readers of TAP want it.
tap_line()
{
	tap_number=$((tap_number + 1))
	[ "$1" = ok ] || { tap_bad=$((tap_bad + 1)); tap_failed=$((tap_failed + 1)); }
	echo "$1 $tap_number $2"
	printf %s "$tap_said"
	tap_said=
}

# Keeps a remark for the next result.
tap_say()
{
	tap_said="$tap_said# $1
"
}

# A result of googletest, without its time: tap_google RESULT LINE [SKIP].
tap_google()
{
	tap_text=${2#*] }
	tap_text=${tap_text%, where *}
	tap_line "$1" "${tap_text% (*}${3:-}"
	tap_seen=$((tap_seen + 1))
}

# The end of a program: status, name.
tap_end()
{
	tap_good=0
	[ "$tap_failed" -eq 0 ] || tap_good=1
	if [ "$1" -eq $tap_good ] && [ "$tap_seen" -eq "$tap_plan" ] && [ "$tap_plan" -gt 0 ]; then
		tap_line ok "$2"
	else
		tap_why="status $1, $tap_seen results of $tap_plan, $tap_failed failed"
		tap_line "not ok" "$2"
		echo "# $tap_why"
	fi
}

# The end of a step: status, name.
tap_step()
{
	case $1 in
	0) tap_line ok "$2" ;;
	*) tap_line "not ok" "$2" ;;
	esac
}

# Reads what the programs print, writes TAP; status 0 if all is well.
tap_report()
{
	tap_number=0
	tap_bad=0
	tap_seen=0
	tap_plan=0
	tap_failed=0
	tap_said=
	echo "TAP version 13"
	while IFS= read -r line; do
		case $line in
		"@begin") tap_seen=0; tap_plan=0; tap_failed=0 ;;
		"@end "*) line=${line#@end }; tap_end "${line%% *}" "${line#* }" ;;
		"@step "*) line=${line#@step }; tap_step "${line%% *}" "${line#* }" ;;
		"1.."*) tap_plan=${line#1..} ;;
		"ok "*) tap_seen=$((tap_seen + 1)); line=${line#ok }; tap_line ok "${line#* }" ;;
		"not ok "*)
			tap_seen=$((tap_seen + 1))
			line=${line#not ok }
			tap_line "not ok" "${line#* }"
			;;
		"[==========] Running "*) line=${line#*Running }; tap_plan=${line%% *} ;;
		"[       OK ] "*" ms)") tap_google ok "$line" ;;
		"[  FAILED  ] "*" ms)") tap_google "not ok" "$line" ;;
		"[  SKIPPED ] "*" ms)") tap_google ok "$line" " # SKIP the test says so" ;;
		"" | "[ RUN "* | "[-----"* | "[====="* | "[  PASSED "* | \
			"[  FAILED  ] "* | "[  SKIPPED ] "*) ;;
		*) tap_say "${line#\# }" ;;
		esac
	done
	printf %s "$tap_said"
	echo "1..$tap_number"
	[ "$tap_bad" -eq 0 ] && [ "$tap_number" -gt 0 ]
}
