#!/bin/bash
# windows.sh - library, tool, examples and tests built for Windows by mingw-w64, and run under Wine
#
# usage: windows.sh [all]     (all: the tests that take minutes as well)
# Archives cross over: what is written under Wine is read, restored and continued by the Linux build, and the other way
# round. Wine stands in for Windows, which this project has never run on.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
cross=$root/build/cross
tree=$cross/windows
native=$cross/native
work=$(mktemp -d)
jobs=$(nproc)
trap 'rm -rf "$work"' EXIT

# A Windows of its own, that asks and says nothing.
export WINEPREFIX=$cross/wine WINEDEBUG=-all WINEDLLOVERRIDES="mscoree=;mshtml=;winemenubuilder.exe=d"
unset DISPLAY SAVEPOINT_WATCH SAVEPOINT_TEST_BACKEND

fail() {
    echo "FAIL: $*"
    exit 1
}
same() { # same WHAT LEFT RIGHT
    { [ -n "$2" ] && [ "$2" = "$3" ]; } || fail "$1: '$2' is not '$3'"
}

# ---- build

x=x86_64-w64-mingw32
CC=$x-gcc AR=$x-ar RANLIB=$x-ranlib bash "$root/tests/cross/dependencies.sh" "$cross/windows-libraries"
PKG_CONFIG_LIBDIR=$cross/windows-libraries/lib/pkgconfig cmake -S "$root" -B "$tree" \
    --toolchain "$root/cmake/toolchains/windows-x86_64.cmake" -D CMAKE_BUILD_TYPE=RelWithDebInfo \
    -D CMAKE_C_FLAGS_RELWITHDEBINFO="-O2 -g" -D CMAKE_COMPILE_WARNING_AS_ERROR=ON -D SAVEPOINT_BUILD_BENCHMARKS=OFF \
    -D SAVEPOINT_TEST_RUNNERS=plain
cmake --build "$tree" -j "$jobs"
for program in "$tree"/tools/savepoint.exe "$tree"/examples/{gray_scott,readme,undo,word_index}.exe; do
    file -b "$program" | grep -q '^PE32+ executable (console) x86-64' || fail "$program is no program for Windows"
done
cmake -S "$root" -B "$native" -D CMAKE_BUILD_TYPE=RelWithDebInfo -D SAVEPOINT_BUILD_TESTS=OFF \
    -D SAVEPOINT_BUILD_BENCHMARKS=OFF
cmake --build "$native" -j "$jobs"
[ -d "$WINEPREFIX" ] || wineboot --init

# ---- the tests, and which of them cannot run there

slow='crash.test_(power|drop|no_base)|session.test_keep_random|property.test_(exhaustive|diff|longchain|history.compare)'
[ "${1:-}" = all ] && slow='^$'
ctest --test-dir "$tree" --no-tests=error --output-on-failure -j "$jobs" -E "$slow" | tee "$work/ctest"
tests=$(grep -cE ' Test +#.*(Passed|Skipped)' "$work/ctest")
sed -n 's/^\[SKIP\] \([^:]*\): .*/\1/p' "$tree/Testing/Temporary/LastTest.log" | sort -u >"$work/skipped"
diff "$root/tests/cross/windows/expected-skips.txt" "$work/skipped" || fail "other tests were skipped than expected"

# ---- the tool

tool() { wine "$tree/tools/savepoint.exe" "$@"; }
linux() { "$native/tools/savepoint" "$@"; }
cd "$work"
wine "$tree/examples/undo.exe" undo.svp >undo.out
tool verify undo.svp
alike() { # alike ARGUMENT...: the tool says the same on both systems, with the same exit code
    local code=0 expected=0
    tool "$@" >wine.out 2>/dev/null || code=$?
    linux "$@" >linux.out || expected=$?
    cmp wine.out linux.out || fail "'$*' says something else under Wine"
    same "exit code of '$*'" "$code" "$expected"
}
alike log --all undo.svp
alike log --all --json undo.svp
alike show undo.svp HEAD
alike diff undo.svp HEAD~1 HEAD
alike stats undo.svp
alike verify undo.svp
alike log "$root/format/corpus/not-text.svp"
alike verify "$root/format/corpus/bad-salt.svp"
tool export undo.svp HEAD -o wine.dump
linux export undo.svp HEAD -o linux.dump
diff -r wine.dump linux.dump || fail "export gives other bytes under Wine"
tool restore undo.svp HEAD~1
same "the way to HEAD after a restore" "$(linux log --json undo.svp | wc -l)" 2
tool doctor --self-test
tool doctor >doctor.out
grep -q '^windows  yes' doctor.out || fail "doctor does not find the write-watch"
mkdir 'Ordner ä' && cp undo.svp 'Ordner ä/ö.svp'
tool verify 'Ordner ä/ö.svp'

# ---- kill and go on; across systems: equal digests mean equal regions, byte for byte, addresses and all

digest_of() { linux log --json "$1" | sed -n '1s/.*"digest": *"\([0-9a-f]*\)".*/\1/p'; }
index() { # index wine|linux ARCHIVE [OPTION...]: the full-text index over the documentation
    local system=$1 archive=$2
    shift 2
    local run=("$native/examples/word_index")
    [ "$system" = linux ] || run=(wine "$tree/examples/word_index.exe")
    "${run[@]}" "$archive" texts --every 2 --walk --digest "$@"
}
# kill_index SYSTEM ARCHIVE: starts, and kills after a part of a second
kill_index() {
    index "$1" "$2" --slow-ms 20 >/dev/null 2>&1 &
    local pid=$!
    sleep "0.$((RANDOM % 5 + 3))"
    pkill -9 -P "$pid" || true
    wait "$pid" || true
}
mkdir texts && cp -r "$root"/docs/*.md "$root"/lib/session "$root"/lib/archive texts
index linux whole.svp >whole.out 2>/dev/null
whole=$(digest_of whole.svp)
index wine wine.svp >wine.out 2>/dev/null
same "the memory of a run under Wine" "$(digest_of wine.svp)" "$whole"
diff --strip-trailing-cr whole.out wine.out || fail "the index says something else under Wine"
kills=0
for systems in "wine wine wine" "wine linux wine" "linux wine linux"; do
    archive=killed-${systems// /-}.svp
    for system in $systems; do
        kill_index "$system" "$archive"
        kills=$((kills + 1))
        [ ! -s "$archive" ] || tool verify "$archive" >/dev/null || fail "$systems: no sound archive after a kill"
        [ ! -s "$archive" ] || linux verify "$archive" >/dev/null || fail "$systems: no sound archive after a kill"
    done
    index "${systems##* }" "$archive" >killed.out 2>killed.err
    same "$systems: the memory after kills" "$(digest_of "$archive")" "$whole"
    grep '^digest' whole.out | diff --strip-trailing-cr - <(grep '^digest' killed.out) || fail "$systems: another index"
    grep '^goes on with file' killed.err
done

# ---- one writer, wherever the other is

# refuse_second SYSTEM OTHER: while one writes, the other is told so; the first is slow enough for the start of Wine
refuse_second() {
    local code=0 writer archive=locked-$1-$2.svp
    index "$1" "$archive" --slow-ms 500 >/dev/null 2>&1 &
    writer=$!
    for ((wait = 0; wait < 200; wait++)); do
        [ ! -s "$archive" ] || break
        sleep 0.1
    done
    index "$2" "$archive" >/dev/null 2>locked.err || code=$?
    { [ "$code" -ne 0 ] && grep -q 'another process or session is writing' locked.err; } ||
        fail "a second writer ($2 beside $1) was let in: $(cat locked.err)"
    kill -0 "$writer" || fail "the first writer ($1) has failed"
    pkill -9 -P "$writer" || true
    wait "$writer" || true
}
refuse_second linux wine
refuse_second wine linux
refuse_second wine wine

echo "$tests test programs, the tool, $kills kills and archives across systems: under $(wine --version), never on Windows"
