#!/bin/bash
# restore.sh - savepoint restore: HEAD moves, nothing is lost, a running program is not disturbed
. "$(dirname "$0")/cli.bash"
make linear branch damaged

run 0 restore linear.svp HEAD~2
silent err
shows out <<'END'
HEAD is now ID sequence 3 TIME three
A program that opens the archive resumes from it.
2 snapshots stay as a branch: savepoint log --all linear.svp
To undo: savepoint restore linear.svp ID
END
undo=$(sed -n 's/^To undo: savepoint restore linear.svp //p' out)
run 0 show linear.svp
has out '^label +three$'
run 0 log linear.svp
has out '^2 snapshots on other branches'
run 0 restore linear.svp "$undo"
run 0 show linear.svp
has out '^label +five$'
run 0 verify linear.svp

run 0 restore -q linear.svp one
silent out
run 0 restore --json linear.svp three
has out '^\{"head":"[0-9a-f]{32}","previous_head":"[0-9a-f]{32}","snapshots_on_branch":0\}$'

# Across branches: two are left behind, and two come back.
run 0 restore branch.svp three
has out '^2 snapshots stay as a branch: '
run 0 log branch.svp
has out 'HEAD +three$'
lacks out 'other two$'

cp branch.svp "it's here.svp"
run 0 restore "it's here.svp" one
has out "^To undo: savepoint restore 'it'\\\\''s here.svp' [0-9a-f]{8}$"

cp linear.svp before.svp
run 2 restore linear.svp nothing
run 2 restore linear.svp
run 3 restore missing.svp HEAD
cmp -s linear.svp before.svp || fail "a restore that failed changed the archive"

run 0 restore damaged.svp good
cp damaged.svp before.svp
run 6 restore damaged.svp bad
cmp -s damaged.svp before.svp || fail "a restore that failed changed the archive"

# While a program has it open.
mkfifo hold.in
"$maker" hold.svp hold <hold.in >hold.out &
holder=$!
exec 3>hold.in
until grep -q ready hold.out; do sleep 0.05; done
run 4 restore hold.svp HEAD~1
has err '^savepoint: restore: hold.svp: '
has err '^A program has this archive open\. Stop it'
run 0 log hold.svp
run 0 verify hold.svp
exec 3>&-
wait "$holder"
run 0 restore hold.svp HEAD~1
finish
