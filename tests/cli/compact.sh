#!/bin/bash
# compact.sh - savepoint drop and savepoint compact: what goes, what stays, what is refused
. "$(dirname "$0")/cli.bash"
make linear branch autosave

remake() {
    rm -f "$1".svp
    make "$1"
}

independent() {
    /usr/bin/python3 "$source_tree/docs/independent/svp_reader.py" verify "$1" >verdict 2>&1 ||
        fail "independent verify of $1: $(cat verdict)"
}

# drop: hidden, still there, not HEAD, not what has a name
cp linear.svp before.svp
run 2 drop linear.svp HEAD
has err 'is HEAD, what programs resume from: restore another one first$'
run 2 drop linear.svp five~9
run 2 drop linear.svp two two
has err 'named twice'
run 2 drop linear.svp
cmp -s linear.svp before.svp || fail "a refused drop changed the archive"
run 0 label -q linear.svp best two
run 2 drop linear.svp three two
has err 'has a label or a pin: delete that first$'
three=$(id_of linear.svp three)
run 0 drop linear.svp three
shows out <<'END'
dropped: ID sequence 3 TIME three
END
run 2 drop linear.svp "$three"
run 2 show linear.svp three
run 0 log linear.svp
[ "$(wc -l <out)" = 5 ] || fail "four are left: $(cat out)"
run 0 log --dropped linear.svp
has out ' dropped +three$'
run 0 drop --json linear.svp one
has out '^\{"dropped":"[0-9a-f]{32}","sequence":1,"label":"one"\}$'

# compact without rules: what was dropped goes, names and contents stay
mkdir old new
for name in best HEAD HEAD~1; do
    "$tool" export -q linear.svp "$name" -f -o old/"$name"
done
head=$(id_of linear.svp HEAD)
cp linear.svp before.svp
chmod 640 linear.svp
run 0 compact --dry-run linear.svp
shows out <<'END'
2 snapshots would go, 3 kept; SIZE -> about SIZE, about SIZE free
END
cmp -s linear.svp before.svp || fail "a dry run changed the archive"
foreseen=$("$tool" compact --json -n linear.svp | sed -n 's/.*"bytes_after":\([0-9]*\).*/\1/p')
run 0 compact linear.svp
shows out <<'END'
2 snapshots gone, 3 kept; SIZE -> SIZE, SIZE free
END
[ "$(stat -c %s linear.svp)" = "$foreseen" ] || fail "the dry run foresaw $foreseen bytes: $(stat -c %s linear.svp)"
[ "$(stat -c %a linear.svp)" = 640 ] || fail "permissions changed: $(stat -c %a linear.svp)"
[ ! -e linear.svp.compact ] || fail "the new file is left behind"
[ "$(id_of linear.svp HEAD)" = "$head" ] || fail "HEAD has another id"
for name in best HEAD HEAD~1; do
    "$tool" export -q linear.svp "$name" -f -o new/"$name"
done
diff -r old new || fail "contents changed"
run 0 verify linear.svp
independent linear.svp
run 2 show linear.svp HEAD~3
run 0 log linear.svp
has out ' best +two$'
cp linear.svp before.svp
run 0 compact linear.svp
has out '^nothing to remove: every snapshot in the file is kept$'
run 0 compact -q linear.svp --keep-last 99
cmp -s linear.svp before.svp || fail "there was nothing to do"
run 0 diff linear.svp HEAD HEAD

# rules
run 0 compact branch.svp --keep-last 2
shows out <<'END'
goes: ID sequence 3 TIME three
goes: ID sequence 2 TIME two
goes: ID sequence 1 TIME one
3 snapshots gone, 2 kept; SIZE -> SIZE, SIZE free
END
independent branch.svp
remake branch
run 0 pin -q branch.svp three
run 0 compact --json branch.svp --keep-every 1week
has out '^\{"type":"snapshot","id":"[0-9a-f]{32}","sequence":2,"label":"two","dropped_before":false\}$'
has out '^\{"type":"summary","dry_run":false,"replaced":true,"snapshots_kept":2,"snapshots_dropped":3,"snapshots_removed":3,"bytes_before":'
run 0 log --all branch.svp
has out ' pin +three$'
run 0 compact -q branch.svp --keep-log
remake branch
run 0 compact branch.svp --keep-bytes 30K
has out '^3 snapshots gone, 2 kept'
[ "$(stat -c %s branch.svp)" -le 30720 ] || fail "larger than asked for"
cp branch.svp before.svp
run 3 compact branch.svp --keep-bytes 1
has err 'with HEAD alone, and what labels and pins name, it would have [0-9]+ bytes, more than the 1 asked for'
cmp -s branch.svp before.svp || fail "it was changed, to no avail"
run 0 verify branch.svp
run 0 compact autosave.svp
has out '^8 snapshots gone, 3 kept'
independent autosave.svp
for words in '--keep-every soon' '--keep-every 0s' '--keep-bytes many' '--keep-bytes 0' '--keep-last x' 'branch.svp'; do
    # shellcheck disable=SC2086 # several words
    run 2 compact branch.svp $words
done

# links stay links; what is damaged is not dropped silently; who writes is in the way, who reads is not
ln -s branch.svp link.svp
remake branch
run 0 compact -q link.svp --keep-last 1
[ -L link.svp ] && [ "$(id_of branch.svp HEAD)" = "$(id_of link.svp HEAD)" ] || fail "the link was replaced"
run 3 compact nowhere.svp
printf 'no archive' >text.svp
run 5 compact text.svp
make damaged empty
cp damaged.svp before.svp
run 6 compact damaged.svp --keep-last 1
cmp -s damaged.svp before.svp || fail "a damaged archive was changed"
run 5 compact empty.svp
mkdir folder.svp
run 5 compact folder.svp
# Begun, and cut in its first transaction: there is nothing to compact, and nothing to begin anew either.
head -c 2000 branch.svp >begun.svp
cp begun.svp before.svp
for words in '--dry-run' ''; do
    # shellcheck disable=SC2086 # none or one word
    run 0 compact $words begun.svp
    has out '^nothing to remove'
    has err 'the last .* \(from offset 0\) are a torn tail'
    cmp -s begun.svp before.svp || fail "compact $words changed an archive that holds nothing"
done
run 0 compact -q begun.svp
silent err
# A tail behind snapshots is told of, cut off, and kept beside the archive.
make torn
run 0 compact torn.svp
has err 'the last .* are a torn tail'
run 0 compact torn.svp
silent err
compgen -G 'torn.svp.torn-*' >/dev/null || fail "the tail is not saved"
mkfifo hold.in
"$maker" hold.svp hold <hold.in >hold.out &
holder=$!
exec 3>hold.in
until grep -q ready hold.out; do sleep 0.05; done
run 4 compact hold.svp
run 4 drop hold.svp HEAD
run 0 compact --dry-run hold.svp
exec 3>&-
wait "$holder"
finish
