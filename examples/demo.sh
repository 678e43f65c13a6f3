#!/usr/bin/env bash
# demo.sh - from a fresh machine to a simulation that is killed, goes on, and ends as if nothing had happened
#
# usage: bash examples/demo.sh      (environment: SEED, SIZE, STEPS, EVERY, OUT)
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build/demo
out=${OUT:-$root/build/demo-out}
size=${SIZE:-1024}
steps=${STEPS:-2500}
every=${EVERY:-100}
seed=${SEED:-$((RANDOM * 32768 + RANDOM))}
RANDOM=$((seed % 32768))
archive=$out/gray_scott.svp

say() { printf '\n==> %s\n' "$*"; }
fail() { printf '\nFAILED: %s\n' "$*" >&2; exit 1; }
trap 'printf "\nFAILED in line %s\n" "$LINENO" >&2' ERR

# Shows a command as the reader would type it.
announce() {
    printf '$'
    printf ' %s' "${@//$root\//}"
    printf '\n'
}
show() {
    announce "$@"
    "$@"
}

# Long output: the first and last lines tell the story.
shorten() { awk '{ line[NR] = $0 } END { for (i = 1; i <= NR; i++) {
    if (NR <= 14 || i <= 8 || i > NR - 4) print "  " line[i]
    else if (i == 9) print "  ... " NR - 12 " more ..." } }'; }

# The top of a drawn history, and the place where it branches.
around_branch() { awk '{ line[NR] = $0 } /^\|/ { branch = NR } END { for (i = 1; i <= NR; i++) {
    if (i <= 3 || (i >= branch - 3 && i <= branch + 2)) { print "  " line[i]; gap = 0 }
    else if (!gap++) print "  ..." } }'; }

digest_of() { sed -n 's/^digest //p' "$1" | tail -n 1; }

say "1. Install what building needs, where it is missing"
bash "$root/cmake/install-packages.sh" build

say "2. Build the library, the tool and the simulation in build/demo"
mkdir -p "$root/build"
if ! { cmake -S "$root" --preset release -B "$build" -DSAVEPOINT_BUILD_TESTS=OFF --compile-no-warning-as-error &&
    cmake --build "$build" -j "$(nproc)" --target savepoint-tool gray_scott; } >"$root/build/demo-build.log" 2>&1; then
    cat "$root/build/demo-build.log"
    fail "the build; the log is above"
fi
tool=$build/tools/savepoint
simulation=$build/examples/gray_scott
"$tool" version

rm -rf "$out"
mkdir -p "$out"
common=(--size "$size" --steps "$steps")

say "3. The reference: a reaction-diffusion simulation, $size x $size cells, $steps steps, no snapshots, no accident"
begin=$SECONDS
show "$simulation" "${common[@]}" --picture "$out/reference.png" | tee "$out/reference.log"
echo "($((SECONDS - begin)) s)"

# The kill strikes a random while after a random step between a quarter and three quarters of the way.
strike=$(((steps / 4 + RANDOM % (steps / 2 + 1)) / every * every))
delay=0.$(printf '%03d' $((RANDOM % 300)))
say "4. The same with a snapshot every $every steps, and SIGKILL $delay s after step $strike (SEED=$seed)"
archived=("$simulation" "${common[@]}" --archive "$archive" --every "$every")
announce "${archived[@]}"
# The first two snapshots must be there, or there would be nothing to go back to.
"${archived[@]}" >"$out/killed.log" 2>"$out/killed.progress" &
victim=$!
while kill -0 "$victim" 2>/dev/null && ! awk -v strike="$strike" \
    '/^step / && $2 + 0 >= strike && ++seen && NR >= 3 { found = 1 } END { exit !found }' "$out/killed.progress"; do
    sleep 0.05
done
sleep "$delay"
kill -9 "$victim" 2>/dev/null || true
status=0
wait "$victim" 2>/dev/null || status=$?
shorten <"$out/killed.progress"
[ "$status" -eq 137 ] || fail "the simulation ended before the kill (status $status); give it more STEPS"
echo "Killed. It had no chance to clean up."

say "5. What the archive holds"
show "$tool" log "$archive" 2>&1 | shorten

say "6. Is every byte of it sound?"
show "$tool" verify "$archive" 2>&1

say "7. The newest snapshot in full"
show "$tool" show "$archive" HEAD 2>&1

say "8. Go back one snapshot further: that is where the program shall go on"
older=$("$tool" show "$archive" HEAD~1 2>/dev/null | grep -o 'step [0-9]*' | head -n 1)
show "$tool" restore "$archive" HEAD~1

say "9. Start the program again: it resumes by itself, and runs to the end"
announce "${archived[@]}" --picture "$out/resumed.png"
"${archived[@]}" --picture "$out/resumed.png" >"$out/resumed.log" 2>"$out/resumed.progress" ||
    { cat "$out/resumed.progress"; fail "the program could not go on"; }
shorten <"$out/resumed.progress"
cat "$out/resumed.log"
grep -qx "resumes at $older" "$out/resumed.progress" || fail "the program did not go on at ${older:-the older snapshot}"

say "10. The snapshot that was passed over stays, on a branch of its own"
show "$tool" log --all "$archive" 2>&1 | around_branch
show "$tool" verify "$archive" 2>&1

say "11. Compare the two ends"
reference=$(digest_of "$out/reference.log")
resumed=$(digest_of "$out/resumed.log")
echo "  uninterrupted:      $reference"
echo "  killed and resumed: $resumed"
if [ -z "$reference" ] || [ "$reference" != "$resumed" ] || ! cmp -s "$out/reference.png" "$out/resumed.png"; then
    fail "the end states differ"
fi
echo "The same, bit for bit."
echo
echo "Pictures: $out/reference.png"
echo "          $out/resumed.png"
echo "Archive:  $archive   (tool: $tool)"
