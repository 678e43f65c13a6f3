#!/bin/bash
# export.sh - savepoint export: the right bytes, in the right folder, whole or not at all
. "$(dirname "$0")/cli.bash"
make linear two_regions long_name damaged

# page LETTER COUNT
page() {
    head -c $((4096 * $2)) /dev/zero | tr '\0' "$1"
}

run 0 export two_regions.svp HEAD -o dump
silent err
shows out <<'END'
REGION SIZE FILE
../world SIZE dump/_._world.bin
.._world SIZE dump/_._world-2.bin
__/world SIZE dump/___world.bin
heap SIZE dump/heap.bin
END
[ "$(find . -name '*.bin' | sort | tr '\n' ' ')" = \
    './dump/_._world-2.bin ./dump/_._world.bin ./dump/___world.bin ./dump/heap.bin ' ] || fail "files: $(find .)"
cmp dump/_._world.bin <(page w 2) || fail "../world"
cmp dump/_._world-2.bin <(page y 1) || fail ".._world"
cmp dump/___world.bin <(page x 1) || fail "__/world"
cmp dump/heap.bin <(page '\0' 3; page h 1; page '\0' 12) || fail "heap: excluded pages are zeros"
[ "$(stat -c %a dump dump/heap.bin | tr '\n' ' ')" = '700 600 ' ] || fail "memory is for its owner only"

echo mine >dump/heap.bin
run 2 export two_regions.svp HEAD heap -o dump
has err '^savepoint: export: dump/heap.bin: is there already; --force replaces it$'
mkdir partly
echo mine >partly/heap.bin
run 2 export two_regions.svp HEAD -o partly
[ "$(ls partly)" = heap.bin ] || fail "wrote some before it refused"
[ "$(cat dump/heap.bin)" = mine ] || fail "overwritten without --force"
ln -sf "$work/target" dump/heap.bin
run 0 export two_regions.svp HEAD heap -o dump --force --json
[ ! -e target ] || fail "wrote through a link"
[ ! -L dump/heap.bin ] || fail "the link is still there"
has out '^\{"region":"heap","bytes":65536,"file":"dump/heap.bin"\}$'

run 0 export two_regions.svp HEAD heap --output one.bin
cmp one.bin dump/heap.bin || fail "--output"
run 0 export two_regions.svp HEAD heap --output -
cmp out one.bin || fail "--output -"
run 0 export linear.svp HEAD --output only.bin
run 0 export linear.svp one --output first.bin
! cmp -s only.bin first.bin || fail "two snapshots with the same memory"

run 0 export long_name.svp HEAD -o long
[ "$(find long -name 'n*.bin' -size 16k | wc -l)" = 1 ] || fail "a long name: $(ls long)"
run 2 export two_regions.svp HEAD --output many.bin
run 2 export two_regions.svp HEAD heap --output dump
mkfifo pipe
run 2 export two_regions.svp HEAD heap --output pipe --force
[ -p pipe ] || fail "replaced something that is no file"
run 2 export two_regions.svp HEAD heap
run 2 export two_regions.svp HEAD heap -o a --output b
run 2 export two_regions.svp HEAD heep -o dump
has err "did you mean 'heap'"
run 2 export two_regions.svp nothing -o dump
run 3 export linear.svp HEAD -o only.bin
has err 'Not a directory'

run 6 export damaged.svp bad -o bad
[ ! -e bad ] || fail "a folder without a file is left behind"
run 0 export damaged.svp 'also good' -o good

code=0
"$tool" export linear.svp HEAD --output - >/dev/full 2>err || code=$?
[ "$code" = 3 ] || fail "a full disk gives $code"
has err 'No space left on device'

# A full file system, where one can be had: what this call made goes again, what was there stays.
mkdir small
mounted() {
    mount -t tmpfs -o size="$1" none small 2>/dev/null
}
if mounted 16k; then
    run 3 export linear.svp HEAD -o small/dump
    has err 'small/dump/heap.bin: cannot write: No space left on device'
    lacks err 'removed again' # there was nothing
    silent out
    [ -z "$(ls -A small)" ] || fail "left behind: $(find small)"
    run 3 export linear.svp HEAD --output small/one.bin
    has err 'small/one.bin: cannot write: No space left on device'
    [ -z "$(ls -A small)" ] || fail "left behind: $(find small)"
    umount small
fi
# Of four files three have room.
if mounted 68k; then
    run 3 export two_regions.svp HEAD -o small/dump
    has err '^savepoint: export: small/dump/heap.bin: cannot write: No space left on device$'
    has err '^savepoint: export: small/dump: removed again what had been written before: 3 files$'
    silent out
    [ -z "$(ls -A small)" ] || fail "left behind: $(find small)"

    mkdir small/dump
    echo mine >small/dump/notes
    run 3 export two_regions.svp HEAD -o small/dump --json
    silent out
    [ "$(find small/dump)" = "$(printf 'small/dump\nsmall/dump/notes')" ] || fail "not as it was: $(find small/dump)"
    rm small/dump/notes

    echo mine >small/dump/_._world.bin
    run 3 export two_regions.svp HEAD -o small/dump --force
    shows out <<'END'
REGION SIZE FILE
../world SIZE small/dump/_._world.bin
END
    has err ': removed again what had been written before: 2 files$'
    [ "$(ls -A small/dump)" = _._world.bin ] || fail "a file that was there is gone, or a new one is not: $(ls -A small/dump)"
    cmp small/dump/_._world.bin <(page w 2) || fail "replaced, but not whole"
    umount small
fi

# with_fault CODE DIRECTORY STRACE_OPTION...: an export of four regions with a system call that goes wrong
with_fault() {
    local expected=$1 directory=$2 code=0
    shift 2
    ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0 strace -f -qq -o calls "$@" \
        "$tool" export two_regions.svp HEAD -o "$directory" >out 2>err </dev/null || code=$?
    [ "$code" = "$expected" ] || fail "$*: exit code $code, expected $expected; stderr: $(cat err)"
}

if ! ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0 strace -f -qq -o calls -e trace=pread64 -P "$work/two_regions.svp" \
    "$tool" export -q two_regions.svp HEAD -o whole || [ ! -s calls ]; then
    echo "left out: what needs strace"
    finish
    exit 0
fi
reads=$(wc -l <calls)

# A sector that cannot be read, however often it is tried. The last read is one of the last region: three files are
# whole, and stay.
with_fault 3 unread -P "$work/two_regions.svp" -e trace=pread64 -e "inject=pread64:error=EIO:when=$reads+"
shows out <<'END'
REGION SIZE FILE
../world SIZE unread/_._world.bin
.._world SIZE unread/_._world-2.bin
__/world SIZE unread/___world.bin
END
has err 'Input/output error'
lacks err 'removed again'
[ "$(cd unread && echo *)" = '_._world-2.bin _._world.bin ___world.bin' ] || fail "after a read that fails: $(ls -A unread)"
cmp unread/_._world.bin <(page w 2) || fail "not whole"

# The first read that fails is one of the first region: no file, and no folder.
for ((at = reads; at > 0; at--)); do
    rm -rf unread
    with_fault 3 unread -P "$work/two_regions.svp" -e trace=pread64 -e "inject=pread64:error=EIO:when=$at+"
    [ -e unread ] || break
done
if ((at == 0)) || ((at == reads)); then
    fail "of $reads reads, number $at is the one before the first file"
fi
silent out

# Ctrl-C, or another signal that ends programs, while the first of four files is synced: it is whole, and stays.
for signal in INT:130 TERM:143 HUP:129; do
    rm -rf stopped
    with_fault "${signal#*:}" stopped -e "inject=fsync:signal=${signal%:*}:when=1"
    has out ' stopped/_\._world\.bin$'
    silent err
    [ "$(ls -A stopped)" = _._world.bin ] || fail "after SIG${signal%:*}: $(ls -A stopped)"
    cmp stopped/_._world.bin <(page w 2) || fail "not whole"
done

# A folder that cannot be synced: the file in it goes, and the one before; a folder that cannot be read is good.
with_fault 3 unsynced -e inject=fsync:error=EIO:when=2
silent out
[ ! -e unsynced ] || fail "left behind: $(find unsynced)"
with_fault 3 unsynced -e inject=fsync:error=EIO:when=4
has err ': removed again what had been written before: 1 file$'
[ ! -e unsynced ] || fail "left behind: $(find unsynced)"
mkdir closed
with_fault 0 closed -P closed -e trace=openat -e inject=openat:error=EACCES
[ "$(find closed -name '*.bin' | wc -l)" = 4 ] || fail "in a folder that cannot be read: $(ls -A closed)"

# What somebody else has put in the place of a file is not taken away.
echo theirs >theirs
: >calls
(
    with_fault 3 taken -e inject=fsync:error=EIO:signal=STOP:when=3
    exit "$failures"
) &
exporter=$!
for ((turn = 0; turn < 3000; turn++)); do
    ! grep -q -e '--- stopped by SIGSTOP' calls || break
    sleep 0.01
done
mv theirs taken/_._world.bin
# One line for each thread, of which an emulator has several: the process goes by the number of one of them.
# shellcheck disable=SC2046 # one word each
kill -CONT $(sed -n 's/^\([0-9]*\) .*--- stopped by SIGSTOP.*/\1/p' calls) 2>/dev/null || :
wait "$exporter" || failures=$((failures + 1))
lacks err 'removed again'
[ "$(cat taken/*)" = theirs ] || fail "a file of somebody else is gone"
finish
