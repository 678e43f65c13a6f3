#!/bin/bash
# walk.sh - a first hour with README.md: its program in the three ways, killed, rewound, damaged
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$(mktemp -d)
writer=
trap '[ -z "$writer" ] || kill -9 "$writer" 2>/dev/null || true; rm -rf "$work"' EXIT
unset SAVEPOINT_WATCH COLUMNS
export LC_ALL=C.UTF-8
cd "$work"

fail() {
    echo "walk: FAILED line ${BASH_LINENO[${#BASH_LINENO[@]} - 2]}: $*"
    exit 1
}

quietly() {
    "$@" >log 2>&1 || { cat log; fail "$@"; }
}

# run CODE COMMAND...: into the files out and err
run() {
    local expected=$1 code=0
    shift
    "$@" >out 2>err </dev/null || code=$?
    [ "$code" = "$expected" ] || fail "$*: exit code $code, expected $expected: $(cat out err)"
}

has() { # out|err PATTERN
    grep -qE -- "$2" "$1" || fail "$1 has no line like '$2': $(cat "$1")"
}

counts_to() { # PROGRAM NUMBER: in this folder, on counter.svp
    run 0 "$1"
    has out "^run number $2\$"
}

# ---- the program of README.md, built as README.md says

awk '$0 == "```c" { inside = 1; next } inside && $0 == "```" { exit } inside' "$root/README.md" >counter.c
[ -s counter.c ] || fail "README.md holds no C program"

quietly cmake -S "$root" -B build -DCMAKE_BUILD_TYPE=Release -DSAVEPOINT_BUILD_TESTS=OFF \
    -DSAVEPOINT_BUILD_EXAMPLES=OFF "-DCMAKE_INSTALL_PREFIX=$work/prefix"
quietly cmake --build build -j 2
quietly cmake --install build
tool=$work/prefix/bin/savepoint

project() { # NAME LINE: a project of one program, which finds savepoint by LINE
    mkdir "$1"
    printf '%s\n' 'cmake_minimum_required(VERSION 3.25)' 'project(game C)' "$2" 'add_executable(game ../counter.c)' \
        'target_link_libraries(game PRIVATE savepoint::savepoint)' >"$1/CMakeLists.txt"
    quietly cmake -S "$1" -B "$1/build" -DCMAKE_BUILD_TYPE=Release "-DCMAKE_PREFIX_PATH=$work/prefix"
    quietly cmake --build "$1/build" -j 2
}
project package 'find_package(savepoint 0.1 REQUIRED)'
ln -s "$root" savepoint
project subdirectory 'add_subdirectory(../savepoint savepoint EXCLUDE_FROM_ALL)'
PKG_CONFIG_PATH=$(dirname "$(find prefix -name savepoint.pc)")
export PKG_CONFIG_PATH
# shellcheck disable=SC2046
quietly cc counter.c $(pkg-config --static --cflags --libs savepoint) -o game

# One archive serves all three: each goes on where the last one stopped.
counts_to ./package/build/game 1
counts_to ./game 2
counts_to ./subdirectory/build/game 3

# ---- killed at any moment

count=3
for i in $(seq 30); do
    ./game >out & # a run that told its number has to be there later
    writer=$!
    sleep "0.0$((i % 3))$((RANDOM % 10))"
    kill -9 "$writer" 2>/dev/null || true
    wait "$writer" 2>/dev/null || true
    told=$(sed -n 's/^run number //p' out)
    run 0 "$tool" verify counter.svp
    stored=$("$tool" cat counter.svp HEAD counter:0+8 2>/dev/null | od -An -tu8 | tr -d ' ')
    if [ "$stored" -lt "${told:-$count}" ] || [ "$stored" -gt $((count + 1)) ]; then
        fail "killed after $count, told '$told', stored $stored"
    fi
    count=$stored
done
writer=
[ "$count" -gt 3 ] || fail "no run in thirty lived long enough"
echo "-- killed 30 times: the count is $count"

# ---- looked at, rewound

counts_to ./game $((count + 1))
run 0 "$tool" log counter.svp
has out ' HEAD'
[ "$(wc -l <out)" = $((count + 2)) ] || fail "not a line for each run: $(cat out)"
run 0 "$tool" show counter.svp
has out "^sequence +$((count + 1))\$"
run 1 "$tool" diff counter.svp HEAD~1 HEAD
has out '^changed +1 byte on 1 page$'
run 0 "$tool" stats counter.svp
run 0 "$tool" hexdump counter.svp HEAD counter:0+16
run 0 "$tool" label counter.svp 'before boss' HEAD~2
run 0 "$tool" pin counter.svp 'before boss'
run 0 "$tool" log --json counter.svp
if command -v python3 >/dev/null; then
    python3 -c 'import json, sys; [json.loads(line) for line in sys.stdin]' <out || fail "log --json is no JSON"
fi
run 0 "$tool" restore counter.svp 'before boss'
undo=$(sed -n 's/^To undo: savepoint restore counter.svp //p' out)
counts_to ./game "$count"
run 0 "$tool" log --all counter.svp
has out '^\| \*'
run 0 "$tool" restore counter.svp "$undo"
counts_to ./game $((count + 2))
count=$((count + 2))

# ---- two writers

cat >writer.c <<'END'
/* writer.c - has an archive open until its standard input ends */
#include <savepoint.h>
#include <stdio.h>

int main(void)
{
    struct savepoint *session;
    struct savepoint_error error;
    if (savepoint_open(&session, "counter.svp", NULL, &error) != SAVEPOINT_OK) {
        return fprintf(stderr, "%s: %s\n", savepoint_status_name(error.status), error.message), 1;
    }
    puts("open");
    fflush(stdout);
    (void)getchar();
    return savepoint_close(session, &error) == SAVEPOINT_OK ? 0 : 1;
}
END
# shellcheck disable=SC2046
quietly cc writer.c $(pkg-config --static --cflags --libs savepoint) -o writer
mkfifo hold told
./writer <hold >told &
writer=$!
exec 8>hold 9<told
read -r word <&9
[ "$word" = open ] || fail "the first writer says '$word'"
run 1 ./game
has err 'another process or session is writing this archive'
run 1 ./writer
has err 'LOCKED: '
run 4 "$tool" restore counter.svp HEAD~1
has err 'another process or session is writing this archive'
run 0 "$tool" verify counter.svp
exec 8>&-
wait "$writer"
exec 9<&-
writer=
echo "-- a second writer is refused"

# ---- a flipped byte

# It is looked for: one without which the newest snapshot is still listed, but its memory cannot be read.
cp counter.svp whole.svp
older=$("$tool" cat whole.svp HEAD~1 counter | sha256sum)
bytes=$(stat -c %s whole.svp)
found=
for back in $(seq 3400 8 4088); do
    cp whole.svp flipped.svp
    old=$(od -An -tu1 -j $((bytes - back)) -N 1 whole.svp)
    printf '%b' "\\x$(printf %x $((old ^ 1)))" |
        dd of=flipped.svp bs=1 seek=$((bytes - back)) conv=notrunc status=none
    code=0
    "$tool" cat flipped.svp HEAD counter >/dev/null 2>&1 || code=$?
    if [ "$code" != 0 ] && "$tool" show flipped.svp HEAD >/dev/null 2>&1; then
        found=$back
        break
    fi
done
[ -n "$found" ] || fail "no byte of the newest snapshot's pages was found"
run 1 "$tool" verify flipped.svp
has out 'damage at offset [0-9]+, snapshot [0-9a-f]{8}: '
[ "$("$tool" cat flipped.svp HEAD~1 counter 2>/dev/null | sha256sum)" = "$older" ] ||
    fail "the snapshot before the damaged one cannot be read"
run 6 "$tool" cat flipped.svp HEAD counter
cp flipped.svp kept.svp
mkdir damaged
cp flipped.svp damaged/counter.svp
(cd damaged && run 1 ../game && has err 'changed') || fail "the program went on from damage"
cmp -s damaged/counter.svp kept.svp || fail "a damaged archive was written"
echo "-- a flipped byte is found, and the snapshots before it are read"

# ---- a cut end

truncate -s -2000 counter.svp
run 0 "$tool" verify counter.svp
has out 'no damage$'
has err 'torn tail'
counts_to ./game "$count" # the last run was cut off: it is counted once more
ls counter.svp.torn-* >/dev/null || fail "the tail was not saved"
run 0 "$tool" verify counter.svp
! grep -q 'torn' err || fail "the tail is there still"
echo "-- a cut end is torn, and the next run goes on"
