#!/bin/bash
# check_traps.sh - the check layer and CTest call leaks, empty runs, early exits and skips by their names
set -euo pipefail
source_directory=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake -S "$source_directory/traps" -B "$work" "-DSAVEPOINT_TEST_RUNNERS=criterion;plain" >"$work/log" 2>&1 &&
    cmake --build "$work" -j 2 >>"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
(cd "$work" && ctest -j 2) >"$work/result" 2>&1 || true
sed -n '/Test *#/p' "$work/result"

judged=0
wrong=0
while read -r line; do
    name=$(sed -n 's/.*: \([a-z0-9_.]*\) \.*.*/\1/p' <<<"$line")
    case $line in
    *"Passed"*) got=passed ;;
    *"***Skipped"*) got=skipped ;;
    *"***Timeout"*) got=timeout ;;
    *) got=failed ;;
    esac
    judged=$((judged + 1))
    if [ "${name%%.*}" != "$got" ]; then
        echo "check_traps: $name was reported as $got"
        wrong=$((wrong + 1))
    fi
done < <(grep -E '^ *[0-9]+/[0-9]+ Test +#' "$work/result")

echo "check_traps: $judged outcomes judged, $wrong wrong"
[ "$judged" -eq 32 ] && [ "$wrong" -eq 0 ]
