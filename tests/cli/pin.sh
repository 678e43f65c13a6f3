#!/bin/bash
# pin.sh - savepoint pin: pins are set, annotated, taken out, listed
. "$(dirname "$0")/cli.bash"
make linear

run 0 pin linear.svp
silent out
has err '^savepoint: pin: linear.svp: nothing is pinned$'

run 0 pin linear.svp HEAD
silent err
shows out <<'END'
pinned: ID sequence 5 TIME five
END
cp linear.svp before.svp
run 0 pin linear.svp HEAD
cmp -s linear.svp before.svp || fail "pinning what is pinned changed the archive"
run 0 pin linear.svp two --note 'for the report: ~ @{1}'
shows out <<'END'
pinned: ID sequence 2 TIME two
note: for the report: ~ @{1}
END
run 0 pin linear.svp
shows out <<'END'
ID SEQ TIME NOTE LABEL
ID 5 TIME five
ID 2 TIME for the report: ~ @{1} two
END
run 0 pin --json linear.svp
has out '^\{"note":"","id":"[0-9a-f]{32}","sequence":5,"time":"[^"]*Z","label":"five"\}$'
has out '^\{"note":"for the report: ~ @\{1\}","id":"[0-9a-f]{32}","sequence":2,'
run 0 log linear.svp
has out ' HEAD, pin +five$'
has out ' pin for the report: ~ @\{1\} +two$'
run 0 log --json linear.svp
[ "$(grep -c '"names":\[\],"pinned":true' out)" = 2 ] || fail "two are pinned, and none is named"

# A pin is no name.
run 2 show linear.svp 'for the report'

# Another note replaces the first; a note is for one pin only.
run 0 pin --json linear.svp HEAD -n later
has out "^\{\"id\":\"$(id_of linear.svp HEAD)\",\"pinned\":true,\"note\":\"later\"\}$"
run 0 pin --json linear.svp HEAD
has out '"note":"later"\}$'
run 0 pin --json linear.svp
[ "$(wc -l <out)" = 2 ] || fail "the old note is still there: $(cat out)"
cp linear.svp before.svp
run 2 pin linear.svp one -n later
has err 'the pin of snapshot [0-9a-f]{8} has this note already: choose another$'
run 2 pin linear.svp one -n $'\033[31m'
has err 'control characters'
run 2 pin linear.svp one -n "$(printf '%0256d' 0)"
run 2 pin linear.svp one --delete
has err 'snapshot [0-9a-f]{8} is not pinned$'
run 2 pin linear.svp nothing
run 2 pin linear.svp --delete
run 2 pin linear.svp --note x
run 2 pin linear.svp HEAD --delete --note x
cmp -s linear.svp before.svp || fail "a refused pin changed the archive"
run 0 pin --json linear.svp HEAD -n ''
has out '"note":""\}$'

run 0 pin --delete linear.svp two
shows out <<'END'
no longer pinned: ID sequence 2 TIME two
END
run 0 pin --delete --json linear.svp HEAD
has out '^\{"id":"[0-9a-f]{32}","pinned":false,"note":""\}$'
run 0 pin -q linear.svp one
silent out
run 0 verify linear.svp
/usr/bin/python3 "$source_tree/docs/independent/svp_reader.py" verify linear.svp >out 2>&1 ||
    fail "independent verify: $(cat out)"
/usr/bin/python3 "$source_tree/docs/independent/svp_reader.py" list linear.svp >out
[ "$(grep -c '^ref pin ' out)" = 1 ] || fail "the independent reader sees other pins: $(cat out)"
has out "^ref pin '$(id_of linear.svp one)' $(id_of linear.svp one)$"

mkfifo hold.in
"$maker" hold.svp hold <hold.in >hold.out &
holder=$!
exec 3>hold.in
until grep -q ready hold.out; do sleep 0.05; done
run 4 pin hold.svp HEAD
run 0 pin hold.svp
exec 3>&-
wait "$holder"
run 0 pin hold.svp HEAD
finish
