#!/usr/bin/env bash
# crash_resume.sh - the lesson crashes twice, and loses only what it found since its last snapshot
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
ulimit -c 0 # no core file

# Runs the lesson once more, which must end with exit code $1.
run() {
    local code=0
    "$SAVEPOINT_EXAMPLES/crash_resume" "$dir/a.svp" >>"$dir/out" || code=$?
    [ "$code" -eq "$1" ] || { cat "$dir/out"; echo "exit code $code, not $1"; exit 1; }
}
run 137 # SIGKILL
run 134 # SIGABRT
run 0
run 0

cat "$dir/out"
diff - "$dir/out" <<'END'
start 1: from number 0, 0 primes found, the last is 0
killed at number 3456, 482 primes found
start 2: from number 3000, 430 primes found, the last is 2999
aborted at number 7890, 997 primes found
start 3: from number 7000, 900 primes found, the last is 6997
done: 1229 primes below 10000, the last is 9973
start 4: from number 10000, 1229 primes found, the last is 9973
done: 1229 primes below 10000, the last is 9973
END
"$SAVEPOINT_TOOL" verify "$dir/a.svp"
