#!/bin/bash
# run_test.sh - run one test program and tell CTest the truth: exit 0 passed, 77 skipped, else failed
#
# usage: run_test.sh criterion|plain|program PROGRAM [ARGUMENT...]
# Runners say "passed" too easily: Criterion ignores leaks, empty filters, skips and exit(0) in the middle of a test.
set -u
runner=$1
shift
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT

if [ "$runner" = criterion ]; then
    "$@" --jobs 1 --color=never 2>&1 | tee "$log"
else
    "$@" 2>&1 | tee "$log"
fi
status=${PIPESTATUS[0]}

fail() {
    echo "run_test.sh: $*" >&2
    exit 1
}
reports='(Address|Leak|Thread|Memory|UndefinedBehavior)Sanitizer|runtime error:'
! grep -qE "$reports" "$log" || fail "a sanitizer reported"
if [ "$runner" = program ] && [ "$status" -eq 77 ]; then
    exit 77
fi
[ "$status" -eq 0 ] || fail "exit status $status"
[ "$runner" != program ] || exit 0

ended=$(grep -c '\[PASS\] ' "$log")
skipped=$(grep -c '\[SKIP\] ' "$log")
if [ "$runner" = criterion ]; then
    passed=$(sed -n 's/.*Synthesis:.*Passing: \([0-9]*\).*/\1/p' "$log")
else
    passed=$(sed -n 's/^check: \([0-9]*\) passed, .*/\1/p' "$log")
fi
[ -n "$passed" ] || fail "the program ended without its summary"
[ "$passed" -eq "$ended" ] || fail "$passed tests said to pass, $ended ran to their end"
[ $((passed + skipped)) -gt 0 ] || fail "no test ran"
[ "$skipped" -eq 0 ] || exit 77
