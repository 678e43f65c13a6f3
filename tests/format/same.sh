#!/usr/bin/env bash
# same.sh - an archive of which pages refer to others (coder 8) reads as it did when it was made
# usage: same.sh SAVEPOINT ARCHIVE EXPECTED_TSV
set -u
tool=$1 archive=$2 expected=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

complain() { echo "FAIL: $*"; failures=$((failures + 1)); }

"$tool" verify --quiet "$archive" || complain "verify"
"$tool" stats "$archive" | grep -qE '^ +same +8 ' || complain "no pages that refer to others: $("$tool" stats "$archive")"
while read -r id region sha256; do
    rm -rf "$work/out"
    "$tool" export --quiet "$archive" "$id" "$region" -o "$work/out" || complain "$id: export $region"
    [ "$(sha256sum <"$work/out/$region.bin")" = "$sha256  -" ] || complain "$id: $region has other content"
done <"$expected"
[ "$(wc -l <"$expected")" -eq 8 ] || complain "other snapshots than expected"
echo "8 regions, $failures failures"
[ "$failures" -eq 0 ]
