#!/usr/bin/env bash
# kill_index.sh - the full-text index, killed at random moments while it grows: every pointer is good after each resume
#
# usage: kill_index.sh TOOL WORD_INDEX [KILLS]     (environment: SEED repeats the moments of a run, FOLDER the files)
#
# KILLS (18) are shared out among the write-watches. After every one the archive verifies, and the next start goes on
# at the last snapshot that was reported, or later, with an arena and an index that are sound. In the end the index
# gives the same answers as one that was never interrupted, and stands in the memory byte for byte alike.
set -u
tool=${1:-${SAVEPOINT_TOOL:-}}
index=${2:-${SAVEPOINT_EXAMPLES:-}/word_index}
kills=${3:-18}
if [ ! -x "$tool" ] || [ ! -x "$index" ]; then
    echo "usage: kill_index.sh TOOL WORD_INDEX [KILLS]" >&2
    exit 2
fi
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
folder=${FOLDER:-/usr/share/doc}
. "$(dirname "${BASH_SOURCE[0]}")/kill.bash"
hits=0 with_snapshots=0 walks=0
longest_ms=200 # a kill comes within it

queries=(file memory version license the "of the" "is not" "all of them" "a copy of" "in the middle of" "this is"
    copyright software library "free software" "copyright holder" "general public license" "without warranty" "source code"
    "debian package" "permission is hereby granted" "http www" "2010 2011" "no such phrase stands here" zyzzyva)
answers=(--walk --digest --stats)
for query in "${queries[@]}"; do
    answers+=(--query "$query")
done

# The state that HEAD holds: equal digests mean equal regions, byte for byte, addresses and all.
state_of() { "$tool" log --json "$1" 2>/dev/null | sed -n '1s/.*"digest": *"\([0-9a-f]*\)".*/\1/p'; }

# A start must go on at the last file that was reported as committed, or later, and with a sound index.
check_resume() {
    local at
    at=$(sed -n 's/^goes on with file \([0-9]*\) .*/\1/p' "$dir/err")
    [ -n "$at" ] || return
    if [ "$at" -lt "$committed" ]; then
        problem "went on with file $at, but a snapshot of $committed files had been committed"
    fi
    if ! head -n 1 "$dir/out" | grep -q '^walk: sound, '; then
        problem "no walk before file $at"
    elif [ "$at" -gt 0 ]; then
        walks=$((walks + 1))
    fi
}

# Starts the program; kills it after $1 ms, or lets it finish where $1 is empty. Sets `code`.
run() {
    : >"$dir/out"
    : >"$dir/err" # now: a program killed before it was started leaves them as they are
    SAVEPOINT_WATCH=$watch "$index" "$dir/a.svp" "$folder" --limit 300 --slow-ms 1 "${pace[@]}" "${answers[@]}" \
        >"$dir/out" 2>"$dir/err" &
    local reported
    strike $! "$1"
    check_resume
    reported=$(sed -n 's/^file \([0-9]*\): snapshot.*/\1/p' "$dir/err" | tail -n 1)
    committed=$((${reported:-0} > committed ? ${reported:-0} : committed))
    if [ "$code" -ne 0 ] && { [ "$code" -ne 137 ] || [ -z "$1" ]; }; then
        problem "exit code $code"
        cat "$dir/err"
    fi
}

# The first line is the walk at the start, which depends on where that was.
check_end() {
    if ! diff <(sed 1d "$dir/reference") <(sed 1d "$dir/out"); then
        problem "the index (>) differs from the uninterrupted one (<)"
    fi
    if [ "$(state_of "$dir/a.svp")" != "$reference_state" ]; then
        problem "the memory differs from that of the uninterrupted run"
    fi
    newborn=0
    check_archive
    histories=$((histories + 1))
}

begin_history() {
    committed=0 newborn=1
    rm -f "$dir"/a.svp*
    pace=(--every $((5 + RANDOM % 40)))
    [ $((RANDOM % 2)) -eq 0 ] && pace=(--every 300 --every-ms $((5 + RANDOM % 60)))
    if [ $((RANDOM % 2)) -eq 0 ]; then # what a kill within the first snapshot leaves, which seldom happens by itself
        head -c 100000 "$dir/reference.svp" >"$dir/a.svp"
        check_archive
    fi
}

# $1 kills that strike, then on to the end. A run that is faster than its kill ends a history; the next begins.
one_case() {
    local struck=0 tries=0 delay
    bad=0 histories=0
    begin_history
    while [ "$struck" -lt "$1" ] && [ "$bad" -eq 0 ] && [ $((tries++)) -lt $(($1 * 10)) ]; do
        delay=$((1 + RANDOM % longest_ms))
        run "$delay"
        if [ "$code" -eq 0 ]; then
            check_end
            begin_history
            continue
        fi
        struck=$((struck + 1))
        hits=$((hits + 1))
        if [ "$committed" -gt 0 ]; then
            with_snapshots=$((with_snapshots + 1))
        elif [ "$delay" -gt $((longest_ms / 2)) ] && [ "$longest_ms" -lt 10000 ]; then
            longest_ms=$((longest_ms * 2)) # a busy machine takes that long to get to its first snapshot
        fi
        check_archive
    done
    [ "$bad" -eq 0 ] && run ""
    [ "$bad" -eq 0 ] && check_end
    [ "$bad" -eq 0 ] && passed=$((passed + 1))
    echo "$watch: $struck kills, $histories indexes ended alike"
}

if [ "$(find "$folder" -type f -size +0 ! -name '*.gz' 2>/dev/null | head -n 40 | wc -l)" -lt 40 ]; then
    echo "$folder holds too few texts; indexing the sources instead" # a bare machine
    folder=$dir/sources
    mkdir "$folder"
    (cd "$root" && find . -path ./build -prune -o -type f -name '*.[ch]' -print0 -o -type f -name '*.md' -print0 |
        xargs -0 cp --parents -t "$folder")
fi
if ! "$index" "$dir/reference.svp" "$folder" --limit 300 --every 100 "${answers[@]}" >"$dir/reference" 2>"$dir/err"; then
    cat "$dir/err"
    echo "FAIL: the uninterrupted run failed"
    exit 1
fi
reference_state=$(state_of "$dir/reference.svp")
grep ' documents, ' "$dir/reference"
answered=$(grep -c '^".*": [1-9]' "$dir/reference")
echo "${#queries[@]} queries, $answered of them find something"
if [ -z "$reference_state" ] || [ "$answered" -lt 10 ]; then
    echo "FAIL: this is no good reference"
    exit 1
fi

for watch in uffd signal compare; do
    case=$watch
    rm -f "$dir"/probe.svp*
    if ! SAVEPOINT_WATCH=$watch "$index" "$dir/probe.svp" "$folder" --limit 1 >"$dir/out" 2>"$dir/err" &&
        grep -q SAVEPOINT_NO_BACKEND "$dir/err"; then
        echo "[SKIP] $case: $(cat "$dir/err")"
        skipped=$((skipped + 1))
        continue
    fi
    one_case $(((kills + 2) / 3))
done

echo "$hits kills struck a running program, $with_snapshots of them after a committed snapshot; $walks resumed indexes were sound"
if [ "$hits" -lt $((kills * (3 - skipped) / 3)) ] || { [ "$skipped" -eq 0 ] && [ "$walks" -eq 0 ]; }; then
    echo "FAIL: too few kills struck a running program"
    failed=$((failed + 1))
fi
finish
