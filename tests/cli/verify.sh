#!/bin/bash
# verify.sh - savepoint verify: clean, torn and damaged archives
. "$(dirname "$0")/cli.bash"
make linear torn damaged autosave

run 0 verify linear.svp
silent err
has out '^5 snapshots, [0-9]+ records, [0-9]+ pages checked: no damage$'
run 0 verify linear.svp HEAD
run 0 verify -q linear.svp
silent out

run 0 verify torn.svp
has out 'no damage$'
has err 'torn tail'

run 1 verify damaged.svp
has out '^damaged.svp: damage at offset [0-9]+, snapshot [0-9a-f]{8}: '
has out 'checked: [0-9]+ findings?, [0-9]+ snapshots? damaged$'
has err 'keep a copy of this file\. Snapshots that .savepoint log --all. lists and no line above names are good'
run 6 cat damaged.svp bad heap
lacks err 'savepoint log damaged'
has err 'This tells what does: savepoint verify damaged.svp$'
run 1 verify --quiet damaged.svp
lacks out 'checked'
has out 'damage at offset'
run 1 verify damaged.svp bad
run 0 verify damaged.svp 'also good'

# The record of a snapshot in the middle: that one is lost, the others are listed, read, restored and gone on from.
flip() { # FILE OFFSET
    printf '%b' "\\x$(printf '%02x' $(($(od -An -tu1 -j "$2" -N 1 "$1") ^ 1)))" |
        dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
cp linear.svp record.svp
flip record.svp "$(grep -abo three record.svp | head -n 1 | cut -d : -f 1)"
run 1 verify record.svp
has out ' 1 snapshot damaged$'
lacks err 'no program can write'
run 1 log --all record.svp
has out ' one$'
has out ' five$'
has err '1 more snapshot cannot be listed: damage took its own record'
run 6 log record.svp
run 0 cat record.svp five heap
mv out five
run 0 cat linear.svp five heap
cmp out five || fail "'five' differs behind the damage"
run 6 restore record.svp one # the lost one may have been called so, too
has err 'name the one you want by id'
run 1 log --all --json record.svp
run 0 restore record.svp "$(tail -n 1 out | grep -o '"id":"[0-9a-f]*' | cut -d '"' -f 4)"

# The record that drops a snapshot: that one is back, and may be in the way of those counted from HEAD.
cp autosave.svp dropped.svp
tombstones=$(od -An -v -tx1 autosave.svp | tr -d ' \n' | grep -bo '895356500d0a1a0a0800' | cut -d : -f 1)
flip dropped.svp $(($(echo "$tombstones" | tail -n 1) / 2 + 64))
run 1 verify dropped.svp
lacks err 'no program can write'
run 0 label dropped.svp newest HEAD
run 1 log --all dropped.svp
lacks err 'cannot be listed'
run 0 show dropped.svp HEAD
run 6 show dropped.svp HEAD~1
has err 'may have dropped ancestors of .HEAD.: name the one you want by id'
run 6 restore dropped.svp 'HEAD~2'

# The header of the archive: everything is read, and nothing more written.
cp linear.svp header.svp
flip header.svp 70
run 1 verify header.svp
has err 'no program can write to it any more'
run 6 label header.svp newest HEAD

# The end of the newest transaction: a copy of what lies before is an archive to go on with.
cp linear.svp end.svp
flip end.svp $(($(stat -c %s end.svp) - 100))
run 1 verify end.svp
bytes=$(sed -n 's/.*(head -c \([0-9]*\)).*/\1/p' err)
run 6 restore end.svp one
head -c "$bytes" end.svp >good.svp
run 0 verify good.svp
has out '^4 snapshots'
run 0 restore good.svp one

run 1 verify --json damaged.svp
has out '^\{"type":"finding","status":"SAVEPOINT_CORRUPT","file_offset":[0-9]+,"snapshot":"[0-9a-f]{32}","message":"'
tail -n 1 out >last
has last '^\{"type":"summary","snapshots_checked":[0-9]+,"snapshots_damaged":[1-9][0-9]*,'

run 2 verify linear.svp nothing
run 5 verify "$tool"
finish
