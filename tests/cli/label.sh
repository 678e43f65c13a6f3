#!/bin/bash
# label.sh - savepoint label: names are given, moved, deleted, listed; both readers agree about them
. "$(dirname "$0")/cli.bash"
make linear branch damaged

run 0 label linear.svp
silent out
has err '^savepoint: label: linear.svp: no names yet$'

run 0 label linear.svp best
silent err
shows out <<'END'
'best' is ID sequence 5 TIME five
END
run 0 label linear.svp 'old one' HEAD~3
run 0 label linear.svp
shows out <<'END'
ID SEQ TIME NAME LABEL
ID 5 TIME best five
ID 2 TIME old one two
END
run 0 log -n 1 linear.svp
has out ' HEAD, best +five$'
run 0 show linear.svp 'old one'
has out '^label +two$'
run 0 show linear.svp 'old one~1'
has out '^label +one$'
run 0 log --json -n 1 linear.svp
has out '"names":\["best"\]'

# The other verbs want the snapshot first.
run 2 label linear.svp HEAD~3 mine
has err '^savepoint: label: the name comes first: savepoint label ARCHIVE NAME SNAPSHOT$'
run 2 label linear.svp mine missing
lacks err 'comes first'

# A name that is taken moves only when told to; what is there already is no move.
cp linear.svp before.svp
run 2 label linear.svp best one
has err "^savepoint: label: linear.svp: 'best' names snapshot [0-9a-f]{8} already; --move makes it name this one instead$"
silent out
run 0 label linear.svp best HEAD
cmp -s linear.svp before.svp || fail "a name that stays changed the archive"
five=$(id_of linear.svp best)
run 0 label --move linear.svp best one
shows out <<'END'
'best' is ID sequence 1 TIME one
To undo: savepoint label --move linear.svp best LONGID
END
has out "best $five$"
[ "$(id_of linear.svp best)" = "$(id_of linear.svp one)" ] || fail "best did not move"
undo=$(sed -n 's/^To undo: savepoint //p' out)
# shellcheck disable=SC2086 # the words of the command
run 0 $undo
[ "$(id_of linear.svp best)" = "$five" ] || fail "the undo did not"

run 0 label --json --move linear.svp best two
has out "^\{\"name\":\"best\",\"id\":\"$(id_of linear.svp two)\",\"previous\":\"$five\"\}$"
run 0 label --json linear.svp
[ "$(wc -l <out)" = 2 ] || fail "one line for each name"
has out '^\{"name":"old one","id":"[0-9a-f]{32}","sequence":2,"time":"[^"]*Z","label":"two"\}$'

run 0 label --delete linear.svp 'old one'
shows out <<'END'
'old one' is forgotten; its snapshot stays.
To undo: savepoint label linear.svp 'old one' LONGID
END
run 0 label --delete --json linear.svp best
has out '^\{"name":"best","id":null,"previous":"[0-9a-f]{32}"\}$'
run 0 label linear.svp
silent out
run 2 show linear.svp best

# What is refused changes nothing.
run 0 label -q linear.svp alpha three
silent out
cp linear.svp before.svp
run 2 label --delete linear.svp alhpa
has err "no snapshot has been given the name 'alhpa'; did you mean 'alpha'\?$"
run 2 label linear.svp x nothing
run 2 label linear.svp --delete
run 2 label linear.svp --delete --move alpha
run 2 label linear.svp --delete alpha HEAD
for name in '' HEAD abcd 0123456789abcdef0123456789abcdef 'a~1' 'label:a' '@{yesterday}' $'a\033[31m' $'a\xff' $'a\n' "$(printf '%0256d' 0)"; do
    run 2 label linear.svp "$name"
    has err '^savepoint: label: .*255 bytes|^savepoint: label: a name has at most 255 bytes'
    [ "$(tr -d '[:print:]\n' <err | wc -c)" = 0 ] || fail "the refusal of '$name' prints control characters"
done
cmp -s linear.svp before.svp || fail "a refused name changed the archive"
for name in abc "$(printf '%0255d' 0)" 漢字 'a b' '--x' "it's"; do
    run 0 label linear.svp -- "$name" one
    [ "$(id_of linear.svp "$name")" = "$(id_of linear.svp one)" ] || fail "'$name' is not found"
done
run 0 verify linear.svp

# A label of a take that looks like the digits of an id, and a name that hides a label.
run 0 label linear.svp two five
[ "$(id_of linear.svp two)" = "$(id_of linear.svp five)" ] || fail "a name comes before labels"
[ "$(id_of linear.svp label:two)" = "$(id_of linear.svp five~3)" ] || fail "label: means the label of the take"

# A name may also be given to a damaged snapshot: nothing resumes from a name.
run 0 label damaged.svp worst bad
run 0 label damaged.svp
has out ' worst +bad$'

# Another implementation reads the same, and the file is sound to it.
reader=$source_tree/docs/independent/svp_reader.py
/usr/bin/python3 "$reader" verify linear.svp >out 2>&1 || fail "independent verify: $(cat out)"
/usr/bin/python3 "$reader" list linear.svp | sed -n "s/^ref label //p" | sort >theirs
run 0 label --json linear.svp
/usr/bin/python3 -c 'import json, sys
for line in open("out", encoding="utf-8"):
    one = json.loads(line)
    print(repr(one["name"]), one["id"])' | sort >ours
cmp -s ours theirs || fail "the readers differ: $(diff ours theirs)"
[ "$(wc -l <ours)" = 8 ] || fail "$(wc -l <ours) names"

# While a program has it open, and after it went on.
mkfifo hold.in
"$maker" hold.svp hold <hold.in >hold.out &
holder=$!
exec 3>hold.in
until grep -q ready hold.out; do sleep 0.05; done
run 4 label hold.svp best
has err '^A program has this archive open\. Stop it'
run 0 label hold.svp
exec 3>&-
wait "$holder"
run 0 label hold.svp best HEAD~1
finish
