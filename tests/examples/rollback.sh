#!/usr/bin/env bash
# rollback.sh - both players of the lesson go back often, and end in the same game
set -euo pipefail
out=$("$SAVEPOINT_EXAMPLES/rollback")
echo "$out"
[ "$(wc -l <<<"$out")" -eq 2 ] || { echo "not two players"; exit 1; }
[ "$(sed 's/.* in the end //' <<<"$out" | sort -u | wc -l)" -eq 1 ] || { echo "they see different games"; exit 1; }
! grep -q 'back 0 times' <<<"$out" || { echo "nobody had to go back"; exit 1; }
