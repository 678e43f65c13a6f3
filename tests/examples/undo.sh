#!/usr/bin/env bash
# undo.sh - the lesson undoes, redoes, and keeps both thoughts
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

"$SAVEPOINT_EXAMPLES/undo" "$dir/a.svp" | tee "$dir/out"
diff - "$dir/out" <<'END'
write  The sea is calm tonight
write  The sea is calm tonight / the tide is full
write  The sea is calm tonight / the tide is full / the moon lies fair
undo   The sea is calm tonight / the tide is full
undo   The sea is calm tonight
redo   The sea is calm tonight / the tide is full
write  The sea is calm tonight / the tide is full / and so am I
first  The sea is calm tonight / the tide is full / the moon lies fair
second The sea is calm tonight / the tide is full / and so am I
both are children of one parent: yes
END
"$SAVEPOINT_TOOL" verify "$dir/a.svp"

# One snapshot for each edit: undo and redo write none.
"$SAVEPOINT_TOOL" log --all --json "$dir/a.svp" >"$dir/log"
[ "$(wc -l <"$dir/log")" -eq 4 ] || { echo "not 4 snapshots"; exit 1; }
