#!/bin/bash
# cross.sh - savepoint built for other systems; the last line is "N passed, N failed"
#
# usage: cross.sh [NAME...]
# Runs tests/cross/NAME.sh, one script for each target system (default: all of them).
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
logs=$root/build/logs/cross
mkdir -p "$logs"
passed=0
failed=0

targets=("$@")
if [ $# -eq 0 ]; then
    for script in "$root"/tests/cross/*.sh; do
        name=$(basename "$script" .sh)
        [ "$name" = dependencies ] || targets+=("$name") # the one helper among them
    done
fi

# Side by side: each waits for its emulator, its downloads or a single linker much of the time.
build() {
    SECONDS=0
    bash "$root/tests/cross/$1.sh" >"$logs/$1.log" 2>&1
    local code=$?
    echo "$SECONDS" >"$logs/$1.seconds"
    return "$code"
}

declare -A running
for name in "${targets[@]}"; do
    build "$name" &
    running[$name]=$!
done
for name in "${targets[@]}"; do
    if wait "${running[$name]}"; then
        passed=$((passed + 1))
        echo "PASS: $name ($(cat "$logs/$name.seconds") s): $(tail -n 1 "$logs/$name.log")"
    else
        failed=$((failed + 1))
        echo "FAIL: $name ($(cat "$logs/$name.seconds") s): build/logs/cross/$name.log ends with:"
        tail -n 30 "$logs/$name.log" | sed 's/^/    /'
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
