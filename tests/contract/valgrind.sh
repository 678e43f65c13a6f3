#!/bin/bash
# valgrind.sh - under valgrind, which has no userfaultfd: that is said, and the fallbacks keep the laws
#
# For tests/deep.sh: CTest runs deep tests with sanitizers, which valgrind cannot run.
set -u
cd "$(dirname "$0")/../.." || exit 1
cmake --preset dev >/dev/null && cmake --build --preset dev --target contract.test_watch.plain >/dev/null || exit 1
program=build/dev/tests/contract.test_watch.plain
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# keeps_laws BACKEND OPTION...: all tests pass, and no error of memory is found.
keeps_laws() {
    export SAVEPOINT_TEST_BACKEND=$1
    shift
    valgrind --quiet --error-exitcode=9 "$@" "$program" >"$log" 2>&1 &&
        grep -qE '^check: [1-9][0-9]* passed, 0 skipped$' "$log" && return
    cat "$log"
    echo "valgrind.sh: $SAVEPOINT_TEST_BACKEND failed"
    exit 1
}
keeps_laws compare
# By default valgrind repeats a store that was served with stale registers: docs/PLATFORMS.md.
keeps_laws signal --vex-iropt-register-updates=allregs-at-mem-access

SAVEPOINT_TEST_BACKEND=uffd valgrind --quiet "$program" >"$log" 2>&1
grep -q '^\[SKIP\] .*: uffd: this kernel or sandbox has no userfaultfd' "$log" || {
    cat "$log"
    echo "valgrind.sh: uffd is not refused with the reason"
    exit 1
}
echo "valgrind.sh: compare and signal keep the laws, uffd says why it cannot"
