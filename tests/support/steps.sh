# steps.sh - what tests/run.sh and tests/deep.sh share: steps, one line each, and the last line's count
# Sourced, with `root` (the source tree) and `logs` (a folder for the output of each step) set.
passed=0
failed=0
skipped=0
mkdir -p "$logs"
jobs=$(nproc)

# step NAME COMMAND...: one line; the output goes to a log that is shown when the command fails.
step() {
    local name=$1
    shift
    local log=$logs/${name// /-}.log
    local start=$SECONDS
    if "$@" >"$log" 2>&1; then
        printf '%-44s ok     %4d s\n' "$name" $((SECONDS - start))
        return 0
    fi
    printf '%-44s FAILED %4d s\n' "$name" $((SECONDS - start))
    tail -n 100 "$log" | sed 's/^/    /'
    return 1
}

# check NAME COMMAND...: a step that counts as one test.
check() {
    if step "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
    fi
}

# require NAME COMMAND...: a step without which the rest makes no sense.
require() {
    if ! step "$@"; then
        failed=$((failed + 1))
        finish
    fi
}

# suite NAME BUILD-FOLDER CTEST-ARGUMENT...: runs CTest; every CTest entry counts.
suite() {
    local name=$1
    local build=$2
    shift 2
    local log=$logs/${name// /-}.log
    local start=$SECONDS
    (cd "$build" && ctest --no-tests=error --output-on-failure -j "$jobs" "$@") >"$log" 2>&1
    local status=$?
    local lines
    lines=$(grep -E '^ *[0-9]+/[0-9]+ Test +#' "$log")
    local suite_passed suite_skipped suite_failed
    suite_passed=$(grep -cE ' Passed +[0-9.]+ sec' <<<"$lines")
    suite_skipped=$(grep -cF '***Skipped' <<<"$lines")
    suite_failed=$(grep -cE '\*\*\*(Failed|Timeout|Exception|Not Run)|Subprocess aborted' <<<"$lines")
    # What CTest calls wrong and the lines do not show: no tests at all, or CTest itself.
    if [ "$status" -ne 0 ] && [ "$suite_failed" -eq 0 ]; then
        suite_failed=1
    fi
    passed=$((passed + suite_passed))
    failed=$((failed + suite_failed))
    skipped=$((skipped + suite_skipped))
    printf '%-44s %d passed, %d failed, %d skipped %4d s\n' "$name" "$suite_passed" "$suite_failed" "$suite_skipped" \
        $((SECONDS - start))
    if [ "$suite_failed" -gt 0 ]; then
        sed 's/^/    /' "$log" | tail -n 400
    fi
    judge_skips "$lines" "$build"
}

# A skip that tests/expected-skips.txt does not list fails the run.
judge_skips() {
    local name
    while read -r name; do
        if ! grep -qxF "$name" "$root/tests/expected-skips.txt"; then
            echo "    unexpected skip: $name"
            unexpected_skips=1
        fi
    done < <(grep -F '***Skipped' <<<"$1" | sed -E 's/.*: ([^ ]+) \.*\**Skipped.*/\1/')
    if [ -n "${unexpected_skips:-}" ]; then
        grep -hF '[SKIP]' "$2/Testing/Temporary/LastTest.log" | sed 's/^/    /'
    fi
}

finish() {
    echo "$passed passed, $failed failed, $skipped skipped"
    if [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ] && [ -z "${unexpected_skips:-}" ]; then
        exit 0
    fi
    exit 1
}
