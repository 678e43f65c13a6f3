#!/usr/bin/env bash
# live.sh - each snapshot that was taken while threads moved money holds all of it, and money was moved
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -r "$PWD"' EXIT
out=$("$SAVEPOINT_EXAMPLES/live")
echo "$out"
[ "$out" = "10 of 10 snapshots hold all of the money" ] || { echo "some is lost"; exit 1; }
"$SAVEPOINT_TOOL" diff live.svp HEAD~1 HEAD >changes && { echo "nothing was moved"; exit 1; }
[ -s changes ] || { echo "no change was told"; exit 1; }
