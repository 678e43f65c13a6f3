#!/usr/bin/env bash
# desync.sh - the lesson finds the frame at which the games drift apart, and the tool reads the replay that it leaves
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
out=$("$SAVEPOINT_EXAMPLES/desync")
echo "$out"
grep -qE "^frame 37: .* in page [0-9]+ of 256 of 'garden', found by 3 questions$" <<<"$out" || { echo "not found"; exit 1; }
"$SAVEPOINT_TOOL" verify desync.svp | grep '^60 snapshots,.*: no damage$'
[ "$("$SAVEPOINT_TOOL" log desync.svp | grep -c sealed)" -eq 60 ] || { echo "not all frames are there"; exit 1; }
# The frame before differs from it in what one frame writes.
"$SAVEPOINT_TOOL" diff desync.svp HEAD~1 HEAD | head -n 3 || [ $? -eq 1 ]
