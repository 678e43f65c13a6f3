#!/usr/bin/env bash
# write_watch.sh - the lesson draws the lines that were written and no others, whatever finds them
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

for backend in "" signal; do
    echo "== ${backend:-automatic}"
    SAVEPOINT_WATCH=$backend "$SAVEPOINT_EXAMPLES/write_watch" | tee "$dir/out"
    diff - "$dir/out" <<'END'
at first        draws:
the bar falls   draws: 5-6
nothing         draws:
bar and a star  draws: 6-7 20
the end         draws: 0-23
END
done

# This one leaves the comparing to its user.
SAVEPOINT_WATCH=compare "$SAVEPOINT_EXAMPLES/write_watch" | tee "$dir/out"
[ "$(grep -c ' draws: 0-23$' "$dir/out")" -eq 5 ] || { echo "compare did not report everything"; exit 1; }
grep -q "reports everything" "$dir/out"
