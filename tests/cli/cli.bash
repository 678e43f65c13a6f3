# cli.bash - what the tests of the tool share; sourced by each of them
#
# usage of each test: bash tests/cli/NAME.sh PATH/TO/savepoint PATH/TO/make_archive
set -euo pipefail
export LC_ALL=C.UTF-8 TZ=UTC
unset COLUMNS NO_COLOR SAVEPOINT_WATCH
tool=$(realpath "${1:-${SAVEPOINT_TOOL:?usage: $0 SAVEPOINT MAKE_ARCHIVE}}")
maker=$(realpath "${2:?usage: $0 SAVEPOINT MAKE_ARCHIVE}")
# shellcheck disable=SC2034 # for the tests
source_tree=$(realpath "$(dirname "$0")/../..")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
failures=0

# fail MESSAGE: notes a failure and goes on
fail() {
    echo "FAILED line ${BASH_LINENO[${#BASH_LINENO[@]} - 2]}: $*"
    failures=$((failures + 1))
}

# make SCENARIO...: SCENARIO.svp for each
make() {
    local scenario
    for scenario; do
        "$maker" "$scenario.svp" "$scenario"
    done
}

# run CODE ARGUMENT...: runs the tool into the files out and err, and checks its exit code
run() {
    local expected=$1 code=0
    shift
    "$tool" "$@" >out 2>err </dev/null || code=$?
    [ "$code" = "$expected" ] || fail "savepoint $*: exit code $code, expected $expected; stderr: $(cat err)"
}

# Ids, times, sizes and runs of blanks differ from machine to machine.
normalise() {
    sed -E -e 's/[0-9a-f]{32}/LONGID/g' -e 's/(^|[^0-9a-f])[0-9a-f]{8}($|[^0-9a-f])/\1ID\2/g' \
        -e 's/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z/UTC/g' -e 's/[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}/TIME/g' \
        -e 's/[0-9.]+ ([KMG]iB|B)($|[ ,])/SIZE\2/g' -e 's/offset [0-9]+/offset N/g' -e 's/ +/ /g' -e 's/ $//' "$1"
}

# shows out|err: the whole file, normalised, is what stands on standard input
shows() {
    cat >expected
    normalise "$1" | diff -u --label expected --label "$1" expected - || fail "$1 differs"
}

# has out|err PATTERN: some line of the file matches
has() {
    grep -qE -- "$2" "$1" || fail "$1 has no line like '$2': $(cat "$1")"
}

# lacks out|err PATTERN
lacks() {
    ! grep -qE -- "$2" "$1" || fail "$1 should have no line like '$2': $(cat "$1")"
}

# silent out|err
silent() {
    [ ! -s "$1" ] || fail "$1 should be empty: $(cat "$1")"
}

# id_of ARCHIVE SNAPSHOT: its 32 digits
id_of() {
    "$tool" show --json -- "$1" "$2" | sed -E 's/^\{"id":"([0-9a-f]{32})".*/\1/'
}

finish() {
    [ "$failures" = 0 ] || exit 1
    echo "$(basename "$0" .sh): passed"
}
