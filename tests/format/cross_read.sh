#!/usr/bin/env bash
# cross_read.sh - every snapshot of every kind of archive the tests make: the independent reader and the tool agree, byte for byte
# usage: cross_read.sh SAVEPOINT MAKE_ARCHIVE MAKE_RANDOM READER_PY
set -u
tool=$1 make_archive=$2 make_random=$3 reader=$4
python=/usr/bin/python3 # Debian's, which has python3-zstandard and python3-xxhash
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
compared=0 failures=0

complain() { echo "FAIL: $*"; failures=$((failures + 1)); }

digests() { (cd "$1" && find . -type f -exec sha256sum {} + | cut -c1-64 | sort); }

# All regions of one snapshot, as the tool exports them and as the reader restores them.
compare_snapshot() {
    local archive=$1 id=$2
    rm -rf "$work/tool" "$work/reader"
    mkdir "$work/tool" "$work/reader"
    "$tool" export "$archive" "$id" -o "$work/tool" >"$work/out" 2>&1 || complain "$archive $id: export: $(tail -1 "$work/out")"
    "$python" "$reader" restore "$archive" "$id" "$work/reader" >"$work/out" 2>&1 ||
        complain "$archive $id: independent restore: $(tail -1 "$work/out")"
    # By content: the two have their own ways of making a region's name a file name.
    if diff <(digests "$work/tool") <(digests "$work/reader") >"$work/out"; then
        compared=$((compared + 1))
    else
        complain "$archive $id: $(head -1 "$work/out")"
    fi
}

compare_archive() {
    local archive=$1
    "$tool" verify --quiet "$archive" 2>"$work/out" || complain "$archive: verify: $(cat "$work/out")"
    "$python" "$reader" verify "$archive" >"$work/out" 2>&1 || complain "$archive: independent verify: $(head -3 "$work/out")"
    "$python" "$reader" list "$archive" | awk '$1 ~ /^[0-9]+$/ { print $2 }' >"$work/ids"
    while read -r id; do
        compare_snapshot "$archive" "$id"
    done <"$work/ids"
}

# What a compaction keeps, both read as before.
compact_archive() {
    local archive=$1
    shift
    "$tool" compact -q "$archive" "$@" 2>"$work/out" || complain "$archive: compact: $(cat "$work/out")"
    compare_archive "$archive"
}

# A stream, and an archive that received it; then what is left as changes against its oldest snapshot.
stream_archive() {
    local archive=$1 oldest
    oldest=$("$python" "$reader" list "$archive" | awk '$1 ~ /^[0-9]+$/ { print $2; exit }')
    rm -f "$work/copy.svp"
    "$tool" send -q "$archive" >"$work/stream" || complain "$archive: send"
    "$python" "$reader" stream <"$work/stream" >"$work/out" 2>&1 || complain "$archive: independent stream: $(tail -1 "$work/out")"
    { "$tool" send -q "$archive" "$oldest" | "$tool" receive -q "$work/copy.svp"; } 2>"$work/out" || complain "$(cat "$work/out")"
    { "$tool" send -q "$archive" --since "$oldest" | "$tool" receive -q "$work/copy.svp"; } 2>"$work/out" ||
        complain "$archive: receive: $(cat "$work/out")"
    compare_archive "$work/copy.svp"
}

for scenario in linear branch autosave two_regions unsynced torn large; do
    "$make_archive" "$work/$scenario.svp" "$scenario" >"$work/out" || complain "$scenario: cannot be made"
    compare_archive "$work/$scenario.svp"
    compact_archive "$work/$scenario.svp" --keep-last 2
done
for seed in 1 2 3; do
    "$make_random" "$work/random-$seed.svp" "$seed" 24 || complain "seed $seed: cannot be made"
    compare_archive "$work/random-$seed.svp"
    stream_archive "$work/random-$seed.svp"
    compact_archive "$work/random-$seed.svp" --keep-every 1m --keep-last 9
    stream_archive "$work/random-$seed.svp"
done
echo "$compared snapshots read alike by both, $failures failures"
[ "$failures" -eq 0 ] && [ "$compared" -ge 80 ]
