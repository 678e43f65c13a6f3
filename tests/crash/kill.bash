# kill.bash - what the tests that kill a program at random moments share; sourced by each of them, with `tool` set
#
# SEED in the environment repeats the moments of a run. A test sets, for its archive $dir/a.svp: `case`, its name;
# `committed`, what the program reported as committed last; `newborn`, 1 while the archive may still be missing.
seed=${SEED:-$((RANDOM * 32768 + RANDOM))}
RANDOM=$((seed % 32768))
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0 skipped=0
echo "SEED=$seed"

problem() {
    echo "FAIL: $case: $*"
    failed=$((failed + 1))
    # shellcheck disable=SC2034 # for the tests
    bad=1
}

# strike PID MILLISECONDS: kills it after that time; lets it finish where none is given. Sets `code`.
strike() {
    if [ -n "$2" ]; then
        sleep "$(printf '%d.%03d' $(($2 / 1000)) $(($2 % 1000)))"
        kill -9 "$1" 2>/dev/null
    fi
    code=0
    wait "$1" 2>/dev/null || code=$?
}

# A kill may strike before the first snapshot: then, and only then, the archive may be missing or newborn. The tail of
# an unfinished first snapshot proves nothing yet: the next start cuts it off, and may be killed before its own.
check_archive() {
    local code=0 excused=0
    "$tool" verify "$dir/a.svp" >"$dir/verify" 2>&1 || code=$?
    if [ "$committed" -eq 0 ] && [ "$newborn" -eq 1 ] && { [ "$code" -eq 5 ] || [ ! -e "$dir/a.svp" ]; }; then
        excused=1
    fi
    if [ "$code" -ne 0 ] && [ "$excused" -eq 0 ]; then
        problem "verify: exit code $code (committed: $committed, newborn: $newborn)"
        cat "$dir/verify"
    fi
    if [ "$code" -eq 0 ] && ! grep -q '^0 snapshots, ' "$dir/verify"; then
        newborn=0
    fi
}

finish() {
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ] && { [ "$skipped" -eq 0 ] || exit 77; }
}
