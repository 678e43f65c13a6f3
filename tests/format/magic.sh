#!/usr/bin/env bash
# magic.sh - file(1) with our entry knows archives and streams, with their version, and nothing else
# usage: magic.sh MAGIC_FILE CORPUS_DIR
set -u
magic=$(realpath "$1") corpus=$(realpath "$2")
command -v file >/dev/null || { echo "skipped: file(1) is not here: install the package file"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

# is FILE PATTERN: the whole line is like the pattern
is() {
    local said
    said=$(file --brief --magic-file "$magic" "$1")
    # shellcheck disable=SC2053 # a pattern it is
    [[ $said == $2 ]] || { echo "FAIL: $1: '$said' is not like '$2'"; failures=$((failures + 1)); }
}

is "$corpus/good-minimal.svp" "savepoint archive, format version 0, file"
is "$corpus/good-stream.svp" "savepoint archive, format version 0, stream"
is "$corpus/unsupported-version-1.svp" "savepoint archive, format version 1, file"
is "$corpus/not-text.svp" "[!s]*"
is "$corpus/not-zeros.svp" "[!s]*"
printf '\x89SVP\n\x1a\n' >"$work/line-ends" # as a transfer in text mode leaves it
is "$work/line-ends" "[!s]*"
[ "$(file --brief --mime-type --magic-file "$magic" "$corpus/good-minimal.svp")" = application/vnd.savepoint ] ||
    { echo "FAIL: the media type is not told"; failures=$((failures + 1)); }
cd "$work" && file --compile --magic-file "$magic" 2>"$work/errors" || failures=$((failures + 1))
grep . "$work/errors" && failures=$((failures + 1))
echo "7 files, $failures failures"
[ "$failures" -eq 0 ]
