#!/usr/bin/env bash
# kill_demo.sh - the demo simulation, killed at random moments: every archive verifies, every end is the right one
#
# usage: kill_demo.sh TOOL GRAY_SCOTT [KILLS]      (environment: SEED repeats the moments of a run)
#
# KILLS (30) are spread over each write-watch and each durability; at least 20 must strike a running program.
# A first kill may strike before the first snapshot: then, and only then, the archive may be missing or newborn.
set -u
tool=${1:-${SAVEPOINT_TOOL:-}}
simulation=${2:-${SAVEPOINT_EXAMPLES:-}/gray_scott}
kills=${3:-30}
if [ ! -x "$tool" ] || [ ! -x "$simulation" ]; then
    echo "usage: kill_demo.sh TOOL GRAY_SCOTT [KILLS]" >&2
    exit 2
fi
floor=$((kills < 20 ? kills : 20))
common=(--size 128 --steps 400 --every 5 --digest)
. "$(dirname "${BASH_SOURCE[0]}")/kill.bash"
hits=0 with_snapshots=0

# The last step that the program reported as committed; 0 for none.
reported_step() { sed -n 's/^step \([0-9]*\): snapshot.*/\1/p' "$1" | tail -n 1 | grep . || echo 0; }

# Every digest printed must be that of the uninterrupted run at the same step.
check_digests() {
    if grep '^digest [0-9a-f]\{16\} at step [0-9]*$' "$dir/out" | grep -vxFf "$dir/reference"; then
        problem "this state is not that of the uninterrupted run"
    fi
}

# A run must go on at the last step that was reported as committed, or later.
check_resume() {
    local at
    at=$(sed -n 's/^\(resumes\|begins\) at step \([0-9]*\)$/\2/p' "$dir/err")
    if [ -n "$at" ] && [ "$at" -lt "$committed" ]; then
        problem "went on at step $at, but step $committed had been committed"
    fi
}

# Starts the program; kills it after $1 ms, or lets it finish where $1 is empty. Sets `code`.
run() {
    : >"$dir/out"
    : >"$dir/err" # now: a program killed before it was started leaves them as they are
    SAVEPOINT_WATCH=$watch "$simulation" "${common[@]}" --slow-ms 1 --archive "$dir/a.svp" --durability "$durability" \
        >"$dir/out" 2>"$dir/err" &
    strike $! "$1"
    check_resume
    check_digests
    local step
    step=$(reported_step "$dir/err")
    [ "$step" -gt "$committed" ] && committed=$step
}

# $1 kills within one history, then on to the end.
one_case() {
    committed=0 newborn=1 bad=0
    rm -f "$dir"/a.svp*
    for _ in $(seq "$1"); do
        run $((5 + RANDOM % 140))
        if [ "$code" -eq 0 ]; then
            break # it was faster
        fi
        if [ "$code" -ne 137 ]; then
            problem "exit code $code"
            cat "$dir/err"
            return
        fi
        hits=$((hits + 1))
        [ "$committed" -gt 0 ] && with_snapshots=$((with_snapshots + 1))
        check_archive
    done
    run ""
    if [ "$code" -ne 0 ]; then
        problem "exit code $code"
        cat "$dir/err"
    elif [ "$(tail -n 1 "$dir/out")" != "$(tail -n 1 "$dir/reference")" ]; then
        problem "ended in $(tail -n 1 "$dir/out"), not in $(tail -n 1 "$dir/reference")"
    fi
    newborn=0
    check_archive
    [ "$bad" -eq 0 ] && passed=$((passed + 1))
}

"$simulation" "${common[@]}" >"$dir/reference" 2>/dev/null || { echo "the uninterrupted run failed"; exit 1; }
for watch in uffd signal compare; do
    for durability in sync ordered none; do
        case="$watch, $durability"
        if ! SAVEPOINT_WATCH=$watch "$simulation" --size 16 --steps 1 --archive "$dir/probe.svp" >"$dir/err" 2>&1 &&
            grep -q SAVEPOINT_NO_BACKEND "$dir/err"; then
            echo "[SKIP] $case: $(cat "$dir/err")"
            skipped=$((skipped + 1))
            continue
        fi
        rm -f "$dir"/probe.svp*
        one_case $(((kills + 8) / 9))
        echo "$case: $hits kills so far"
    done
done

echo "$hits kills struck a running program, $with_snapshots of them after a committed snapshot"
if [ "$hits" -lt "$floor" ]; then
    echo "FAIL: only $hits kills struck a running program; $floor are wanted"
    failed=$((failed + 1))
fi
finish
