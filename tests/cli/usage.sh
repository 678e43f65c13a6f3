#!/bin/bash
# usage.sh - help, mistakes on the command line and what they are answered with
. "$(dirname "$0")/cli.bash"
make linear

run 0 --help
silent err
cp out help
[ "$(head -n 1 help)" = Examples: ] || fail "examples come first"
run 0 help
cmp -s out help || fail "help and --help differ"
run 0 -h
cmp -s out help || fail "help and -h differ"

verbs=$(sed -n '/^Verbs:/,/^$/s/^  \([a-z]*\) .*/\1/p' help)
[ "$(echo "$verbs" | wc -l)" -ge 7 ] || fail "verbs: $verbs"
for verb in $verbs; do
    run 0 help "$verb"
    cp out text
    has text '^Examples:$'
    has text "^Usage: savepoint "
    [ "$(wc -L <text)" -le 100 ] || fail "help of $verb is too wide"
    [ "$verb" = help ] && continue
    run 0 "$verb" --help
    cmp -s out text || fail "help $verb and $verb --help differ"
    # shellcheck disable=SC2013 # options are words
    for option in $(grep -oE '^ +(-., +)?--[a-z-]+' text | sed 's/.*--//'); do
        grep -qE "Fl -$option( |$)" "$source_tree/docs/man/savepoint.1" || fail "the manual lacks --$option of $verb"
    done
    run 2 "$verb" --no-such-option
    has err "^savepoint: $verb: there is no option '--no-such-option'"
    has err "^'savepoint $verb --help' tells more\.$"
done

run 2
has err 'which verb'
run 2 lgo linear.svp
has err "^savepoint: there is no verb 'lgo'; did you mean 'log'\?$"
run 2 frobnicate
lacks err 'did you mean'
run 2 log linear.svp --jsno
has err "there is no option '--jsno'; did you mean --json\?"
run 2 log -x linear.svp
has err "there is no option '-x'"
run 2 log
has err '^savepoint: log: too few arguments; usage: savepoint log \[OPTIONS\] ARCHIVE$'
run 2 log linear.svp linear.svp
has err 'too many arguments'
run 2 log -n linear.svp
run 2 log linear.svp -n
has err '^savepoint: log: -n needs a value$'
run 2 log -n many linear.svp
has err "^savepoint: log: -n needs a number, not 'many'$"
run 2 log -n -1 linear.svp
run 2 log -n 5x linear.svp
has err "^savepoint: log: -n needs a number, not '5x'$"

# Numbers that are none are one thing, those that are too large another.
huge=99999999999999999999 most=18446744073709551615
for words in 'log -n' 'log --count' 'stats --last' 'report --last' 'top --count' 'compact --keep-last' 'compact --keep-bytes'; do
    # shellcheck disable=SC2086 # a verb and its option
    run 2 $words $huge linear.svp
    has err "^savepoint: ${words/ /: }: $huge is too large, the most is $most$"
done
for words in 'log -n' 'log --count' 'stats --last' 'report --last' 'top --count' 'compact --keep-last' 'compact -l'; do
    # shellcheck disable=SC2086 # a verb and its option
    run 2 $words 0 linear.svp
    has err "^savepoint: ${words/ /: } needs at least 1$"
done
run 2 doctor -s 1
has err '^savepoint: doctor: --seconds is the time for the self-test: give --self-test, too$'
run 0 help
cp out whole
for option in --help -h help; do
    run 0 help $option
    cmp -s out whole || fail "help $option"
done
run 0 log -n $most linear.svp
run 0 compact --dry-run --keep-bytes $most linear.svp
run 2 log -n ${most%5}6 linear.svp
has err ' is too large, '
run 2 hexdump --width $huge linear.svp HEAD heap
has err "^savepoint: hexdump: --width: $huge is too large, the most is 64$"
run 2 hexdump -w65 linear.svp HEAD heap
has err '^savepoint: hexdump: -w: 65 is too large, the most is 64$'
run 2 doctor --seconds 86401
has err '^savepoint: doctor: --seconds: 86401 is too large, the most is 86400$'
run 2 compact --keep-bytes 16777216T linear.svp
has err "^savepoint: compact: --keep-bytes: 16777216T is too large, the most is $most$"
run 0 compact --dry-run --keep-every '213503 days' linear.svp
for time in '213504 days' ${huge}h; do
    run 2 compact --dry-run --keep-every "$time" linear.svp
    has err "^savepoint: compact: --keep-every: $time is too large, the most is 213503 days$"
done
run 2 log --json=yes linear.svp
run 2 log --color=sometimes linear.svp
run 2 --color=sometimes log linear.svp
run 2 --json log linear.svp
run 2 --verison
has err "there is no option '--verison' in front of a verb; did you mean --version\?$"
run 2 log --jsn linear.svp
has err "there is no option '--jsn'; did you mean --json\?$"

# All the ways to write an option; operands and options in any order.
run 0 log linear.svp -n 1
cp out one
for form in '-n1' '--count=1' '--count 1'; do
    # shellcheck disable=SC2086 # the words of the form are arguments of their own
    run 0 log $form linear.svp
    cmp -s out one || fail "$form"
done
run 0 log -n 1 -- linear.svp
cmp -s out one || fail "--"
run 0 log -jn1 linear.svp
has out '^\{'
finish
