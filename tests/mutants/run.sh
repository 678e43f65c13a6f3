#!/bin/bash
# run.sh - every mutant (of the write-watch, the ring, compaction, streams, promotion and restores) is caught by the tests that its patch names
#
# usage: run.sh [--dry-run] [PATCH...]    (default: all beside this script; a dry run only tries whether they apply, and whether
# there are such tests)
# A patch says what it breaks, and "Caught by: PROGRAM BACKEND FILTER" as often as tests must fail with it: BACKEND is
# - for programs without variants. None may need luck: tests/contract/test_trap_moment.c makes the moments that races hit.
# The tree is copied; only what a mutant changes is built anew.
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$root/build/mutants
jobs=$(nproc)
dry_run=${1:-}
[ "$dry_run" != --dry-run ] || shift
[ $# -gt 0 ] || set -- "$here"/*.patch
patches=()
for patch in "$@"; do
    patches+=("$(realpath "$patch")")
done

# tests_of PATCH: its lines "PROGRAM BACKEND FILTER".
tests_of() {
    sed -n 's/^Caught by: //p' "$1"
}

if [ "$dry_run" = --dry-run ]; then
    stale=0
    for patch in "${patches[@]}"; do
        patch -d "$root" -p1 --fuzz 0 --dry-run -s <"$patch" || { echo "$patch does not apply"; stale=1; }
        while read -r program _ filter; do
            source=$root/tests/${program%%.*}/$(cut -d. -f2 <<<"$program").c
            test=${filter#*/}
            [ "$test" = '*' ] || grep -q "TEST(.*\b$test)" "$source" ||
                { echo "$patch: no test is called $program $filter"; stale=1; }
        done < <(tests_of "$patch")
    done
    echo "run.sh: ${#patches[@]} mutants tried"
    exit $stale
fi

mkdir -p "$work/tree" || exit 1
cd "$work" || exit 1
rm -rf tree/lib # may hold a mutant of a run that was stopped; hence also new times for all files (-m)
tar -C "$root" --exclude=./build --exclude=./.git -cf - . | tar -xmf - -C tree || exit 1
cmake -S tree -B build -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG=-O1 -DSAVEPOINT_TEST_RUNNERS=plain >log 2>&1 ||
    { cat log; exit 1; }

# build_for PATCH...: the programs that they name.
build_for() {
    mapfile -t programs < <(for patch in "$@"; do tests_of "$patch"; done | cut -d' ' -f1 | sort -u)
    cmake --build build -j "$jobs" --target "${programs[@]}" >log 2>&1 || { tail -n 40 log; return 1; }
}

# run_test PROGRAM BACKEND FILTER: its exit status; 77 when nothing ran.
run_test() {
    local program
    program=$(find build/tests -name "$1" -type f) || return 1
    local backend=SAVEPOINT_TEST_BACKEND=$2
    [ "$2" != - ] || backend=--unset=SAVEPOINT_TEST_BACKEND
    timeout 120 env "$backend" "$program" --filter "$3" >log 2>&1
    local status=$?
    if [ $status -eq 0 ] && ! grep -q '^check: [1-9][0-9]* passed, 0 skipped$' log; then
        status=77
    fi
    return $status
}

# fails PROGRAM BACKEND FILTER
fails() {
    run_test "$@"
    local status=$?
    [ $status -ne 0 ] && [ $status -ne 77 ]
}

build_for "${patches[@]}" || exit 1
while read -r program backend filter; do
    run_test "$program" "$backend" "$filter" && continue
    cat log
    echo "run.sh: $program $backend $filter does not pass without a mutant"
    exit 1
done < <(for patch in "${patches[@]}"; do tests_of "$patch"; done | sort -u)

survived=0
caught=0
for patch in "${patches[@]}"; do
    name=$(basename "$patch" .patch)
    if ! patch -d tree -p1 --fuzz 0 -s <"$patch"; then
        echo "$name: does not apply any more"
        survived=$((survived + 1))
        rm -rf tree/lib
        tar -C "$root" -cf - ./lib | tar -xmf - -C tree
        continue
    fi
    if ! build_for "$patch"; then
        echo "$name: does not compile any more"
        survived=$((survived + 1))
    else
        while read -r program backend filter; do
            if fails "$program" "$backend" "$filter"; then
                echo "$name: caught by $program $backend $filter"
                caught=$((caught + 1))
            else
                echo "$name: NOT caught by $program $backend $filter"
                survived=$((survived + 1))
            fi
        done < <(tests_of "$patch")
    fi
    patch -d tree -p1 -R -s <"$patch"
done
echo "run.sh: ${#patches[@]} mutants, $caught times caught, $survived not"
[ $survived -eq 0 ] && [ $caught -gt 0 ]
