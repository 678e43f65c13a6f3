#!/usr/bin/env bash
# corpus.sh - the tool and the independent reader give every corpus file the verdict, and every snapshot the content, it has
# usage: corpus.sh SAVEPOINT READER_PY CORPUS_DIR
# shellcheck disable=SC2015 # pass and complain never fail
set -u
tool=$(realpath "$1") reader=$(realpath "$2") corpus=$(realpath "$3")
python=/usr/bin/python3 # Debian's, which has python3-zstandard and python3-xxhash
drive=$(realpath "$(dirname "$0")")/corpus_reader.py
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

pass() { passed=$((passed + 1)); }
complain() { echo "FAIL: $*"; failed=$((failed + 1)); }

# judge WHO FILE VERDICT CODE torn|whole TEXT: pass when code and text say the verdict
judge() {
    local who=$1 file=$2 verdict=$3 code=$4 torn=$5 text=$6
    case "$verdict:$code:$torn" in
    good:0:whole | torn:0:torn | damaged:[16]:*) pass ;;
    not-an-archive:5:*)
        [[ $text == *"not a"*archive* ]] && pass ||
            complain "$who: $file: does not say that it is no archive: $text"
        ;;
    unsupported:5:*)
        [[ $text == *${missing[$file]:?}* ]] && pass || complain "$who: $file: does not name '${missing[$file]}': $text"
        ;;
    *) complain "$who: $file: $verdict expected, exit code $code ($torn): $text" ;;
    esac
}

# What a reader that refuses a file has to name.
declare -A missing=([unsupported-version-1.svp]="version 1" [unsupported-incompat-bit.svp]=quantum-pages
    [unsupported-incompat-bit-last.svp]=quantum-pages [unsupported-coder.svp]="coder 99" [unsupported-record-type.svp]="type 12")

# ---- the lists and the folder agree
cut -f1 "$corpus/VERDICTS.tsv" | sort >"$work/listed"
(cd "$corpus" && ls -- *.svp) | sort >"$work/present"
diff "$work/listed" "$work/present" && pass || complain "VERDICTS.tsv and the folder name different files"
uniq -d "$work/listed" | grep . && complain "VERDICTS.tsv names a file twice" || pass
cut -f1 "$corpus/EXPECT.tsv" | sort -u | comm -23 - "$work/listed" | grep . && complain "EXPECT.tsv names unknown files" || pass

# ---- verdicts
"$python" "$drive" "$reader" "$corpus" >"$work/reader" 2>"$work/errors" || complain "the independent reader: $(tail -1 "$work/errors")"
while IFS=$'\t' read -r file verdict _ _; do
    text=$("$tool" verify "$corpus/$file" 2>&1 </dev/null)
    code=$?
    [[ $text == *torn* ]] && torn=torn || torn=whole
    judge tool "$file" "$verdict" "$code" "$torn" "$text"
    IFS=$'\t' read -r _ _ code torn text < <(grep -P "^verify\t\Q$file\E\t" "$work/reader")
    judge reader "$file" "$verdict" "${code:-none}" "${torn:-whole}" "${text:-}"
done <"$corpus/VERDICTS.tsv"
verdicts=$passed

# ---- contents: by hash, for the two have their own ways of making a region's name a file name
while read -r file snapshot; do
    awk -F '\t' -v f="$file" -v s="$snapshot" '$1 == f && $2 == s { print $5 }' "$corpus/EXPECT.tsv" | sort >"$work/expected"
    awk -F '\t' -v f="$file" -v s="$snapshot" '$1 == "restore" && $2 == f && $3 == s { print $4 }' "$work/reader" | sort >"$work/got"
    diff "$work/expected" "$work/got" && pass || complain "reader: $file: $snapshot has other content"
    rm -rf "$work/out"
    mkdir "$work/out"
    "$tool" export --quiet "$corpus/$file" "$snapshot" -o "$work/out" 2>"$work/errors" ||
        complain "tool: $file: $snapshot: export: $(cat "$work/errors")"
    find "$work/out" -type f -exec sha256sum {} + | cut -c1-64 | sort >"$work/got"
    diff "$work/expected" "$work/got" && pass || complain "tool: $file: $snapshot has other content"
done < <(cut -f1,2 "$corpus/EXPECT.tsv" | sort -u | tr '\t' ' ')
contents=$((passed - verdicts))

[ "$verdicts" -ge 165 ] || complain "only $verdicts verdicts were compared"
[ "$contents" -ge 100 ] || complain "only $contents snapshots were compared"
echo "$verdicts verdicts and $contents contents as expected"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
