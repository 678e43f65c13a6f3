#!/bin/bash
# names.sh - snapshots by name and by time, and what is said where there is none
. "$(dirname "$0")/cli.bash"
make linear branch

# is EXPRESSION LABEL: in linear.svp
is() {
    run 0 show --json linear.svp "$1"
    has out "\"label\":\"$2\""
}

# Names given afterwards take ~N, too; so do labels, ids and label:NAME.
run 0 label linear.svp best three
is best three
is best~2 one
is best~~ one
is three~1 two
is label:three~1 two
is "$(id_of linear.svp three)~2" one
is "$(id_of linear.svp three | cut -c1-12)" three

# The time of a snapshot, as log and --json print it, finds it; a little less, the one before.
time_of() {
    "$tool" show --json linear.svp "$1" | sed -E 's/.*"time":"([^"]*)".*/\1/'
}
is "@{$(time_of three)}" three
is "@{$(time_of three)}~2" one
is "@{$(time_of two)}" two
is "@{$(time_of five)}~" ''
is "@{$(time_of five | sed 's/T/ /')}" five
newest=$(time_of five | cut -c1-19) # all in one second, or nearly so
is "@{${newest}Z}" five
is "@{${newest/T/ }}" five # TZ is UTC here
TZ=XYZ-5 run 0 show --json linear.svp "@{$(TZ=XYZ-5 date -d "${newest}Z" '+%Y-%m-%d %H:%M:%S')}"
has out '"label":"five"'
is "@{${newest%%T*}}" five
is '@{0 seconds ago}' five
is '@{}' five
is '@{}~1' ''
run 2 show linear.svp '@{10 min ago}'
has err 'no snapshot on the way to HEAD is that old$'
run 2 show linear.svp "@{$(date -d '3 days ago' +%F)}"
run 2 show linear.svp '@{1970-01-01}'
run 2 show linear.svp '@{yesterday}'
run 2 show linear.svp '@{0 s ago}~9'
has err 'has only 4 kept ancestors'

# On the way to HEAD, not on other branches.
run 0 show --json branch.svp "@{$("$tool" show --json branch.svp three | sed -E 's/.*"time":"([^"]*)".*/\1/')}"
has out '"label":"one"'

# What is no point in time is told which there are.
for expression in '@{' '@{}}' '@{tomorrow}' '@{2026-13-01}' '@{yesterday}x' '@{10 min}' "@{$newest"; do
    run 2 show linear.svp "$expression"
    [ "$expression" = '@{}}' ] && continue
    has err "is no point in time\. Examples of those that are: @\{10 min ago\}, .*@\{2026-11-22T10:30:05Z\}$"
done

# All verbs find them in the same way.
run 0 verify linear.svp '@{0 s ago}~1'
run 0 export linear.svp '@{0 s ago}' -o dump
run 0 label linear.svp 'then' '@{0 s ago}~4'
is 'then' one
run 0 restore linear.svp '@{0 s ago}~1'
is HEAD ''

# Bare dates are names like any other; it is told how they are meant.
run 2 show linear.svp 2026-11-22
has err "no snapshot is called '2026-11-22'; did you mean '@\{2026-11-22\}'\?$"

# Typing errors.
run 0 label linear.svp alpha one
for pair in 'alhpa alpha' 'thre three' 'fiev~1 five' 'head HEAD' 'BEST best' 'three~1~ '; do
    read -r wrong right <<<"$pair"
    code=0
    "$tool" show linear.svp "$wrong" >out 2>err || code=$?
    if [ -z "$right" ]; then
        [ "$code" = 0 ] || fail "$wrong: exit code $code"
        continue
    fi
    [ "$code" = 2 ] || fail "$wrong: exit code $code"
    has err "^savepoint: show: linear.svp: no snapshot is called '${wrong%%~*}'; did you mean '$right'\?$"
done
run 2 show linear.svp five~9
lacks err 'did you mean'
run 2 show linear.svp frobnicate
lacks err 'did you mean'
has err 'try HEAD, HEAD~1, a label, or 4 or more digits of an id'

# A name that is hard to print: it is told once, and what to type can be typed.
odd=$'odd\'s\nna\\me \xc3\xa9.svp'
cp linear.svp "$odd"
run 2 show "$odd" frobnicate
has err "^savepoint: show: odd's\\\\x0ana\\\\me é.svp: no snapshot is called 'frobnicate'"
[ "$(grep -o 'svp: ' err | wc -l)" -eq 1 ] || fail "the path is told twice: $(cat err)"
words=$(sed -n 's/^This lists what is there: savepoint //p' err)
eval "\"\$tool\" $words" >out 2>err || fail "what is to be typed does not work: $words"
finish
