#!/usr/bin/env bash
# first_snapshot.sh - the lesson spoils its array and brings it back
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

"$SAVEPOINT_EXAMPLES/first_snapshot" "$dir/a.svp" | tee "$dir/out"
diff - "$dir/out" <<'END'
after the storm:  a wreck at 0, 0
after a restore:  Albatross at 3, 4
END
"$SAVEPOINT_TOOL" verify "$dir/a.svp"
