#!/bin/sh
# Stand beside one process and end it when its lease runs out: the twin of supervise.py for containers without Python.
# Same arguments, same control and report files. POSIX sh with sed, date, kill, mv; /proc/uptime is CLOCK_BOOTTIME.
#
# What it cannot do as its twin does: a descendant that makes a session of its own is not found; a kill -9 of this very
# script leaves the command to its container; it looks five times a second, or once where sleep takes no fractions; the
# log has no limit; what it writes is as durable as a rename; a second supervisor is kept away by a folder as a lock.
set -u

control= report= log= grace=10 checkpoint_signal= walltime= end_with_parent=
while [ $# -gt 0 ]; do
    case "$1" in
        --control) control=$2; shift 2 ;;
        --report) report=$2; shift 2 ;;
        --log) log=$2; shift 2 ;;
        --log-bytes-max) shift 2 ;;
        --grace-seconds) grace=$2; shift 2 ;;
        --checkpoint-signal) checkpoint_signal=${2#SIG}; shift 2 ;;
        --walltime-seconds) walltime=$2; shift 2 ;;
        --end-with-parent) end_with_parent=yes; shift ;;
        --) shift; break ;;
        *) echo "supervise.sh: unknown argument $1" >&2; exit 2 ;;
    esac
done
[ -n "$control" ] && [ -n "$report" ] && [ -n "$log" ] && [ $# -gt 0 ] || {
    echo "usage: supervise.sh --control FILE --report FILE --log FILE [options] -- COMMAND" >&2
    exit 2
}

now_ms() { date +%s%3N | sed 's/[^0-9].*$/000/'; }
# Hundredths of a second since the machine started.
uptime_cs() { sed 's/ .*//; s/\.//' /proc/uptime; }
# A number with at most two decimals as hundredths.
hundredths() { # 0 for what is no number
    echo "$1" | sed 's/^\([0-9]*\)$/\1.00/; s/\.\([0-9]\)$/.\10/; s/\.\([0-9][0-9]\).*/\1/; s/^0*\([0-9]\)/\1/; /^[0-9]\{1,15\}$/!s/.*/0/'
}
field() { sed -n "s/.*\"$1\": *\"\{0,1\}\([^,\"}]*\)\"\{0,1\}.*/\1/p" "$control" 2>/dev/null | head -n 1; }
is_told_to_stop() { grep -q '"stop": *{' "$control" 2>/dev/null; }
deadline_cs() { d=$(field deadline_boottime_ns | sed 's/^0*//; /^[0-9]\{1,18\}$/!d'); echo $((${d:-0} / 10000000)); }

pid=null started=null
tell() { # phase ended exit_code signal cause
    printf '{"phase": "%s", "pid": %s, "started_ms": %s, "ended_ms": %s, "exit_code": %s, "signal": %s, "cause": %s, "message": ""}\n' \
        "$1" "$pid" "$started" "$2" "$3" "$4" "$5" >"$report.$$" && mv -f "$report.$$" "$report"
}

mkdir "$report.lock" 2>/dev/null || exit 75
trap 'rmdir "$report.lock" 2>/dev/null' EXIT
if is_told_to_stop; then
    tell ended "$(now_ms)" null null "\"$(field cause)\""
    exit 143
fi
if [ "$(deadline_cs)" -le "$(uptime_cs)" ]; then
    tell ended "$(now_ms)" null null '"lease_expired"'
    exit 69
fi

parent=$PPID
if command -v setsid >/dev/null 2>&1; then
    setsid "$@" >>"$log" 2>&1 </dev/null &
else
    set -m
    "$@" >>"$log" 2>&1 </dev/null &
fi
pid=$! started=$(now_ms) began=$(uptime_cs)
tell running null null null null
# The numbers that Linux gives them; a process that has no handler for a signal would die of it.
number_of() { case "$1" in HUP) echo 1 ;; INT) echo 2 ;; USR1) echo 10 ;; USR2) echo 12 ;; *) echo 15 ;; esac; }
catches() { # pid signal
    mask=$(sed -n 's/^SigCgt:[^0-9a-f]*[0-9a-f]*\([0-9a-f]\{8\}\)$/\1/p' "/proc/$1/status" 2>/dev/null)
    [ $((0x${mask:-0} >> ($(number_of "$2") - 1) & 1)) -eq 1 ]
}
members() { # every process of the command's session or group
    for each in /proc/[0-9]*; do
        set -- $(sed 's/.*) //' "$each/stat" 2>/dev/null)
        [ "${3:-}" = "$pid" ] || [ "${4:-}" = "$pid" ] || [ "${each#/proc/}" = "$pid" ] && echo "${each#/proc/}"
    done
}
checkpoint_everybody() {
    for member in $(members); do
        catches "$member" "$checkpoint_signal" && kill "-$checkpoint_signal" "$member" 2>/dev/null
    done
}
everybody() { kill "-$1" "-$pid" 2>/dev/null || kill "-$1" "$pid" 2>/dev/null; }

cause= since= step=0 told=
trap 'told=yes' TERM INT
while kill -0 "$pid" 2>/dev/null; do
    now=$(uptime_cs)
    if [ "$(deadline_cs)" -le "$now" ]; then
        cause=lease_expired
        everybody KILL
        break
    fi
    if [ -n "$end_with_parent" ] && ! kill -0 "$parent" 2>/dev/null; then
        cause=driver_lost
        everybody KILL
        break
    fi
    if [ -z "$cause" ]; then
        if is_told_to_stop; then
            cause=$(field cause) grace=$(field grace_seconds) since=$now
            [ "$(field checkpoint)" = true ] || checkpoint_signal=
        elif [ -n "$told" ]; then
            cause=cancelled since=$now
        elif [ -n "$walltime" ] && [ $((now - began)) -ge "$(hundredths "$walltime")" ]; then
            cause=walltime since=$now
        fi
    elif is_told_to_stop; then # a later word may only shorten the grace
        later=$(field grace_seconds)
        [ -n "$later" ] && [ "$(hundredths "$later")" -lt "$(hundredths "$grace")" ] && grace=$later
    fi
    if [ -n "$cause" ]; then
        grace_cs=$(hundredths "$grace") gone=$((now - since))
        if [ "$step" -eq 0 ]; then
            step=1
            [ -n "$checkpoint_signal" ] && checkpoint_everybody
        fi
        if [ "$step" -eq 1 ] && { [ -z "$checkpoint_signal" ] || [ "$gone" -ge $((grace_cs / 2)) ]; }; then
            step=2
            everybody TERM
        fi
        [ "$gone" -ge "$grace_cs" ] && everybody KILL
    fi
    sleep 0.2 2>/dev/null || sleep 1
done
wait "$pid"
code=$?
everybody KILL
number=null
[ "$code" -gt 128 ] && number=$((code - 128))
[ "$code" -eq 0 ] && [ "$step" -eq 0 ] && [ "$cause" != lease_expired ] && cause=exited
# How long it ran is charged: a wall clock that is set anew meanwhile is no part of that.
tell ended $((started + ($(uptime_cs) - began) * 10)) "$code" "$number" "\"${cause:-exited}\""
case "$cause" in
    lease_expired) exit 69 ;;
    walltime) exit 124 ;;
    *) exit "$code" ;;
esac
