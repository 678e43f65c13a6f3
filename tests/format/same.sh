#!/usr/bin/env bash
# same.sh - an archive of which pages refer to others (coder 8) reads as it did when it was made, and so does what is made of it
# usage: same.sh SAVEPOINT ARCHIVE EXPECTED_TSV
set -u
tool=$1 archive=$2 expected=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

complain() { echo "FAIL: $*"; failures=$((failures + 1)); }

"$tool" stats "$archive" | grep -qE '^ +same +8 ' || complain "no pages that refer to others: $("$tool" stats "$archive")"

# check FILE [LINES]: the regions of so many lines of the list, which has the newest snapshot first
checked=0
check() {
    local file=$1 lines=${2:-8} id region sha256
    "$tool" verify --quiet "$file" || complain "$file: verify"
    while read -r id region sha256; do
        rm -rf "$work/out"
        "$tool" export --quiet "$file" "$id" "$region" -o "$work/out" || complain "$file: $id: export $region"
        [ "$(sha256sum <"$work/out/$region.bin")" = "$sha256  -" ] || complain "$file: $id: $region has other content"
        checked=$((checked + 1))
    done < <(head -n "$lines" "$expected")
}

# refers FILE: some pages do
refers() { "$tool" stats "$1" | grep -qE '^ +same +[0-9]'; }

check "$archive"
"$tool" diff "$archive" HEAD~3 HEAD~2 | grep -qF back || complain "diff does not tell of the copies: $("$tool" diff "$archive" HEAD~3 HEAD~2)"

cp "$archive" "$work/compacted.svp"
"$tool" compact -q "$work/compacted.svp" --keep-last 3 || complain "compact"
refers "$work/compacted.svp" && complain "a compacted archive refers to pages"
check "$work/compacted.svp" 6

"$tool" send -q "$archive" >"$work/stream.svp" || complain "send"
refers "$work/stream.svp" && complain "a stream refers to pages"
check "$work/stream.svp"
"$tool" receive -q "$work/received.svp" <"$work/stream.svp" || complain "receive"
check "$work/received.svp"

cp "$archive" "$work/restored.svp"
"$tool" restore -q "$work/restored.svp" HEAD~2 || complain "restore"
check "$work/restored.svp"
[ "$(wc -l <"$expected")" -eq 8 ] || complain "other snapshots than expected"
echo "$checked regions, $failures failures"
[ "$failures" -eq 0 ]
