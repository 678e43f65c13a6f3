#!/bin/bash
# completion.sh - savepoint completion: what is offered is what the parser takes, and bash makes words of it
. "$(dirname "$0")/cli.bash"
make linear two_regions damaged control_labels
cp linear.svp game.svp
"$tool" label -q game.svp 'before boss' two
"$tool" label -q game.svp "it's" one
mkdir 'a dir'
cp game.svp 'my game.svp'
touch other.txt

# offered WORD...: the candidates for the last word, one a line, into the file out
offered() {
    run 0 completion --candidates -- "$@"
    silent err
    cut -f 1 out >words
}

# offers "CANDIDATE..." WORD...: exactly these
offers() {
    local wanted=$1
    shift
    offered "$@"
    [ "$(paste -sd ' ' words)" = "$wanted" ] || fail "for '$*' are offered '$(paste -sd ' ' words)', not '$wanted'"
}

# Verbs, in every place where one may stand.
"$tool" --help | sed -n '/^Verbs:/,/^$/s/^  \([a-z]*\) .*/\1/p' | sort >verbs
for place in '' 'help' '--color=never'; do
    # shellcheck disable=SC2086 # no word, or one
    offered $place ''
    sort words | cmp -s - verbs || fail "verbs behind '$place': $(paste -sd ' ' words)"
done
offers 'label' la
offers '--color=always --color=auto --color=never' --c
offers '' lug
offers '' no-such-verb ''

# The options of each verb: those of the parser are those of the help, with and without a value.
while read -r verb; do
    [ "$verb" = help ] && continue
    run 0 "$verb" --help
    sed -n '/^Options:/,/^$/p' out >section
    grep -oE '^ +-[^ ]+( [A-Z]+)?(, +--[a-z-]+)?' section | grep -oE -- '--?[a-z-]+' | sort >told
    offered "$verb" -
    sort words | cmp -s - told || fail "options of $verb: the help tells $(paste -sd ' ' told), the parser takes $(sort words | paste -sd ' ')"
    lacks out "$(printf '\t$')"
    while read -r option; do
        if grep -qE -- "$option [A-Z]" section; then
            run 2 "$verb" "$option"
            has err "$option needs a value$"
        else
            run 2 "$verb" "$option=x"
            has err "$option takes no value$"
        fi
    done < <(grep -e -- told)
done <verbs

# Each word that usage names is one that completion knows.
while read -r verb; do
    [ "$verb" = help ] && continue
    usage=$("$tool" "$verb" --help | sed -nE "s/^Usage: savepoint $verb( \[OPTIONS\])?//p" | head -n 1 | sed 's/ \[*-.*//')
    given=()
    for operand in $usage; do
        offered "$verb" "${given[@]}" ''
        [ -s out ] || fail "$verb: nothing is offered for $operand"
        case $operand in
        *ARCHIVE*) given+=(game.svp) ;;
        *SNAPSHOT*) given+=(HEAD) ;;
        *) given+=(x) ;;
        esac
    done
done <verbs

# Values of options, glued to them and apart.
offers 'always auto never' log --color ''
offers '--color=always --color=auto' log --color=a
offers '' log -n ''
offers '' log -n5 --count=
run 0 completion --candidates -- export game.svp HEAD -o ''
[ "$(cat out)" = "$(printf '\tdirectories')" ] || fail "-o: $(cat out)"
run 0 completion --candidates -- export game.svp HEAD -qo ''
[ "$(cat out)" = "$(printf '\tdirectories')" ] || fail "-qo: $(cat out)"
run 0 completion --candidates -- export --output=
[ "$(cat out)" = "$(printf '\tfiles')" ] || fail "--output=: $(cat out)"
run 0 completion --candidates -- log -n 5 ''
[ "$(cat out)" = "$(printf '\tarchives')" ] || fail "log: $(cat out)"
run 0 completion --candidates -- log -- --c
[ "$(cat out)" = "$(printf '\tarchives')" ] || fail "behind --: $(cat out)"

# Snapshots: HEAD, names, labels; ids once a digit is there.
offers "HEAD it's before boss five three two one" show game.svp ''
offers "HEAD" show game.svp H
offers 'label:three label:two' show game.svp label:t
id=$(id_of game.svp three | cut -c1-8)
offered show game.svp "${id:0:3}"
has words "^$id$"
offers "it's before boss" label --delete game.svp ''
offers 'heap' export linear.svp HEAD ''
offers '../world .._world' export two_regions.svp HEAD .
run 0 label -q linear.svp two one # a name in front of a label
offers 'two' show linear.svp tw
offers 'HEAD two five three label:two one' show linear.svp ''
offered show control_labels.svp ''
LC_ALL=C grep -q '[^[:print:][:space:]]' <(sed 's/[é漢]//g' out) && fail "control characters are offered"
offers '"quoted\" é 漢' show control_labels.svp '"'

# Nothing is known: nothing is said.
offers '' show missing.svp ''
printf text >text.svp
offers '' show text.svp ''
offers '' show . ''
offered show damaged.svp ''
offers '' show game.svp HEAD ''
run 2 completion --candidates
run 0 completion --candidates -- log "$(printf '%0400d' 0)"

run 2 completion
run 2 completion bash zsh
run 2 completion bsh
has err "there is no script for the shell 'bsh'; did you mean 'bash'\?$"
run 2 completion tcsh
has err "no script for the shell 'tcsh', only for bash, fish and zsh$"

# What bash makes of it, as it calls the function: with its own way to cut words.
run 0 completion bash
cp out script
bash -n script || fail "the script for bash is none"
cat >line.bash <<'END'
. ./script
COMP_LINE=$1 COMP_POINT=${#1}
shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_savepoint "$TOOL"
((${#COMPREPLY[@]} == 0)) || printf '%s\n' "${COMPREPLY[@]}"
END

# bash_offers "REPLY|..." LINE WORD...: for a line that bash has cut into these words
bash_offers() {
    local wanted=$1 got
    shift
    got=$(TOOL=$tool bash line.bash "$@" 2>&1 | paste -sd '|')
    [ "$got" = "$wanted" ] || fail "bash, '$1': '$got', not '$wanted'"
}
bash_offers 'log|label' 'savepoint l' savepoint l
bash_offers '--json' 'savepoint log --j' savepoint log --j
bash_offers 'always|auto' 'savepoint log --color=a' savepoint log --color = a
bash_offers 'always|auto|never' 'savepoint log --color=' savepoint log --color =
bash_offers 'three|two' 'savepoint show game.svp label:t' savepoint show game.svp label : t
# An id, which is drawn anew each time, may begin with "be"; none begins with "befo".
bash_offers 'before\ boss' 'savepoint show game.svp befo' savepoint show game.svp befo
bash_offers 'before\ boss' 'savepoint show game.svp before\ b' savepoint show game.svp 'before\ b'
bash_offers 'before boss' "savepoint show game.svp 'befo" savepoint show game.svp "'befo"
bash_offers 'before boss' 'savepoint show game.svp "befo' savepoint show game.svp '"befo'
bash_offers "it\\'s" 'savepoint show game.svp it' savepoint show game.svp it
bash_offers 'HEAD' 'savepoint show my\ game.svp H' savepoint show 'my\ game.svp' H
bash_offers 'HEAD' "savepoint show 'my game.svp' H" savepoint show "'my game.svp'" H
bash_offers 'my game.svp' 'savepoint log m' savepoint log m
bash_offers 'other.txt' 'savepoint log oth' savepoint log oth
bash_offers 'a dir' 'savepoint export game.svp HEAD -o ' savepoint export game.svp HEAD -o ''
bash_offers 'other.txt' 'savepoint export game.svp HEAD --output=oth' savepoint export game.svp HEAD --output = oth
bash_offers 'log|label' 'savepoint   l' savepoint l
# shellcheck disable=SC2088 # bash gives it unexpanded
HOME=$work bash_offers 'HEAD' 'savepoint show ~/game.svp H' savepoint show '~/game.svp' H
got=$(cd "$work" && TOOL=$tool bash -c '. ./script; COMP_LINE="savepoint lxyz" COMP_POINT=11 COMP_WORDS=(savepoint lxyz) COMP_CWORD=1
    _savepoint "$TOOL"; echo "${COMPREPLY[*]}"')
[ "$got" = 'log label' ] || fail "with the cursor inside a word: '$got'"
# shellcheck disable=SC2016 # expanded there
[ "$(TOOL=$tool bash -c '. ./script; COMP_WORDS=(savepoint sho) COMP_CWORD=1; _savepoint "$TOOL"; echo "${COMPREPLY[*]}"')" = show ] ||
    fail "with COMP_WORDS alone"
finish
