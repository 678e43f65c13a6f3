#!/bin/bash
# verify.sh - savepoint verify: clean, torn and damaged archives
. "$(dirname "$0")/cli.bash"
make linear torn damaged

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

run 1 verify --json damaged.svp
has out '^\{"type":"finding","status":"SAVEPOINT_CORRUPT","file_offset":[0-9]+,"snapshot":"[0-9a-f]{32}","message":"'
tail -n 1 out >last
has last '^\{"type":"summary","snapshots_checked":[0-9]+,"snapshots_damaged":[1-9][0-9]*,'

run 2 verify linear.svp nothing
run 5 verify "$tool"
finish
