#!/bin/bash
# stream.sh - savepoint send and savepoint receive: through pipes, cut, damaged, to the wrong archive
. "$(dirname "$0")/cli.bash"
make linear branch two_regions autosave

# carry FROM TO ARGUMENT...: sends and receives; the exit code is that of receive
carry() {
    local from=$1 to=$2 code=0
    shift 2
    "$tool" send "$from" "$@" 2>sent | "$tool" receive "$to" >out 2>err || code=$?
    echo "$code" >code
}
ends() {
    [ "$(cat code)" = "$1" ] || fail "receive: exit code $(cat code), expected $1: $(cat sent err)"
}
independent() {
    /usr/bin/python3 "$source_tree/docs/independent/svp_reader.py" verify "$1" >verdict 2>&1 ||
        fail "independent verify of $1: $(cat verdict)"
}
same() { # FROM TO SNAPSHOT...
    local from=$1 to=$2 snapshot
    shift 2
    for snapshot; do
        rm -rf one two
        "$tool" export -q "$from" "$snapshot" -o one
        "$tool" export -q "$to" "$(id_of "$from" "$snapshot")" -o two
        diff -r one two || fail "$snapshot has other bytes in $to"
    done
}

# whole, then again, then nothing
carry linear.svp copy.svp
ends 0
has sent '^savepoint: send: linear.svp: 5 snapshots sent, '
shows out <<'END'
5 snapshots received, the last is ID
END
[ "$(stat -c %a copy.svp)" = 600 ] || fail "others can read the copy"
run 0 verify copy.svp
independent copy.svp
same linear.svp copy.svp HEAD HEAD~1 HEAD~2 HEAD~3 HEAD~4
[ "$(id_of copy.svp HEAD)" = "$(id_of linear.svp HEAD)" ] || fail "HEAD of what was empty"
cp copy.svp before.svp
carry linear.svp copy.svp
ends 0
has out '^nothing to receive: all snapshots of the stream are here$'
cmp -s copy.svp before.svp || fail "there was nothing to do"
carry linear.svp copy.svp --since HEAD
ends 0
has sent 'nothing to send: what --since names holds all of it$'
has out '^nothing to receive: the stream holds no snapshot$'

# step by step, also to another branch; names are found by time and label
rm copy.svp
carry branch.svp copy.svp two
carry branch.svp copy.svp three --since 'two'
ends 0
has out '^1 snapshot received'
carry branch.svp copy.svp --since three
ends 0
has out '^2 snapshots received, the last is [0-9a-f]{8}$'
independent copy.svp
[ "$(id_of copy.svp HEAD)" = "$(id_of branch.svp two)" ] || fail "receiving moved HEAD"
same branch.svp copy.svp HEAD HEAD~1 HEAD~2 three
run 0 log --json --all copy.svp
[ "$(grep -c '"no_head":true' out)" = 3 ] || fail "three came later: $(cat out)"
run 0 restore -q copy.svp "$(id_of branch.svp HEAD)"
run 0 compact -q copy.svp --keep-last 1
independent copy.svp
carry branch.svp copy.svp
ends 2
has err 'was dropped here and its bytes are gone: send --since the newest one that is here$'
carry two_regions.svp regions.svp
carry autosave.svp saved.svp
ends 0
independent regions.svp
independent saved.svp
same autosave.svp saved.svp HEAD HEAD~1 HEAD~2

# a wrong base, another history, no stream
"$tool" send -q linear.svp --since three >rest.stream
run 5 verify rest.stream
has err "goes on from a snapshot that it does not hold: 'savepoint receive' appends it"
"$tool" receive new.svp <rest.stream >out 2>err && fail "the base is missing"
has err "the stream goes on from snapshot $(id_of linear.svp three), which is not here: send without --since"
[ ! -e new.svp ] || fail "an archive was made for nothing"
carry linear.svp branch.svp
ends 2
has err 'another history'
code=0
echo 'Permission denied (publickey).' | "$tool" receive new.svp >out 2>err || code=$?
[ "$code" = 5 ] && [ ! -e new.svp ] || fail "no stream: $code"
has err 'check what is at the other end of the pipe$'
[ "$(wc -l <err)" -eq 1 ] || fail "advice for an archive that is none: $(cat err)"
code=0
"$tool" receive new.svp <linear.svp >out 2>err || code=$?
[ "$code" = 5 ] && [ ! -e new.svp ] || fail "no stream: $code"
run 2 send linear.svp nothing
run 2 send linear.svp --since nothing
script -qec "$tool send linear.svp" /dev/null >out </dev/null || true
has out 'would write a stream to the terminal'

# cut, and damaged
"$tool" send -q linear.svp >whole.stream
run 0 verify whole.stream
bytes=$(stat -c %s whole.stream)
for part in 1 63 64 500 4000 20000 40000 $((bytes - 1)); do
    rm -f cut.svp
    code=0
    head -c "$part" whole.stream | "$tool" receive --json cut.svp >out 2>err || code=$?
    [ "$code" = 1 ] || fail "cut to $part: exit code $code: $(cat err)"
    has err 'the stream ended early: send it again, or go on --since the newest snapshot here'
    if [ -e cut.svp ]; then
        has out '^\{"complete":false,"snapshots_received":[1-5],'
        run 0 verify cut.svp
    fi
    "$tool" receive -q cut.svp <whole.stream 2>err || fail "cut to $part, then whole: $(cat err)"
    same linear.svp cut.svp HEAD
done
rm -f cut.svp
code=0
{ head -c 30000 whole.stream; printf X; tail -c +30002 whole.stream; } | "$tool" receive cut.svp >out 2>err || code=$?
[ "$code" = 6 ] || fail "damaged: exit code $code"
has err 'the stream is damaged'
[ "$(wc -l <err)" -eq 1 ] || fail "advice for a damaged archive: $(cat err)"
run 0 verify cut.svp

# beside a program, and to one
mkfifo hold.in
"$maker" hold.svp hold <hold.in >hold.out &
holder=$!
exec 3>hold.in
until grep -q ready hold.out; do sleep 0.05; done
"$tool" send -q hold.svp >hold.stream
"$tool" receive -q copied.svp <hold.stream || fail "a program has the archive open: it can be sent"
code=0
"$tool" receive hold.svp <hold.stream >out 2>err || code=$?
[ "$code" = 4 ] || fail "locked: exit code $code"
exec 3>&-
wait "$holder"
finish
