#!/usr/bin/env bash
# word_index.sh - what the index takes in, what it leaves out, how it ranks, and what it refuses
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
index=$SAVEPOINT_EXAMPLES/word_index

mkdir -p "$dir/texts/deep/deeper" "$dir/texts/empty-folder"
cd "$dir/texts"
printf 'The quick brown fox.\nThe lazy dog.\n' >a.txt
printf 'the dog, the FOX; fox_brown quick\n' >b.txt
printf 'Brown fox, brown fox! Quick.' >deep/deeper/c
printf 'Gr\303\274n ist der Fuchs' >deep/d.txt
printf 'quick\0brown fox' >binary
printf 'quick brown fox' >packed.gz
: >empty
ln -s a.txt link.txt
ln -s .. deep/circle
cd "$dir"

expect() {
    diff - "$dir/out" || { echo "wrong: $1"; exit 1; }
}

"$index" a.svp texts --every 1 --stats --query "brown fox" --query FOX --query "grün" --query "quick der" --query "..." \
    >out 2>err
expect "answers" <<'END'
4 documents, 1 files without text, 10 words at 23 places, 13 of 1024 KiB filled
"brown fox": 3 documents
  2 together, 4 in all: deep/deeper/c
  1 together, 2 in all: a.txt
  0 together, 3 in all: b.txt
"FOX": 3 documents
  2 together, 2 in all: b.txt
  2 together, 2 in all: deep/deeper/c
  1 together, 1 in all: a.txt
"grün": 1 documents
  1 together, 1 in all: deep/d.txt
"quick der": 0 documents
"...": 0 documents
END

# Without the folder: what the archive holds, and no change to it.
cp a.svp before.svp
"$index" a.svp --query lazy >out 2>err
expect "answers without the folder" <<'END'
"lazy": 1 documents
  1 together, 1 in all: a.txt
END
cmp a.svp before.svp

# Other files than those the index was begun with.
echo "more" >>texts/b.txt
code=0
"$index" a.svp texts >out 2>err || code=$?
[ "$code" -eq 1 ] && grep -q 'not the files that the index was begun with' err || { cat err; exit 1; }

code=0
"$index" missing.svp --query lazy >out 2>err || code=$?
[ "$code" -eq 1 ] && [ ! -e missing.svp ] || { cat err; echo "a missing archive: exit code $code"; exit 1; }
code=0
"$index" new.svp missing >out 2>err || code=$?
[ "$code" -eq 1 ] && [ ! -e new.svp ] || { cat err; echo "a missing folder: exit code $code"; exit 1; }
for arguments in "" "a.svp texts --every" "a.svp texts --every x" "a.svp texts more" "a.svp texts --what 3"; do
    code=0
    # shellcheck disable=SC2086
    "$index" $arguments >out 2>err || code=$?
    [ "$code" -eq 2 ] && grep -q '^usage: ' err || { cat err; echo "'$arguments': exit code $code"; exit 1; }
done
echo "the index holds what it should"
