#!/bin/bash
# robust.sh - what every verb owes its users: closed pipes, narrow terminals, wrong files, hostile names, busy writers
#
# The verbs are those of 'savepoint help'; one that has no row here fails, but for drop, which takes something away each
# time (compact.sh), and receive, which wants a stream (stream.sh).
. "$(dirname "$0")/cli.bash"
make linear hostile
mv linear.svp good.svp
"$tool" label -q good.svp best two
"$tool" pin -q good.svp three --note 'for the report'

# VERB | ARGUMENTS | TRAITS. Of the words ARCHIVE, REGION (its first region) and OUT (a path that is free) stand for
# themselves. Traits: binary (prints memory), wide (prints sentences or ids, not only tables), locks (writes to the
# archive), scans (reads all of it: fewer turns beside a busy program), finds (exit code 1: there is a difference).
rows='
log        | ARCHIVE                           |
log        | --all -n 9 ARCHIVE                |
show       | ARCHIVE                           | wide
show       | ARCHIVE HEAD~1                    | wide
diff       | ARCHIVE HEAD~1 HEAD               | finds
stats      | ARCHIVE                           |
report     | ARCHIVE -o -                      | binary
report     | ARCHIVE --json                    | wide
top        | ARCHIVE --count 2 --interval 0.1  | wide
verify     | ARCHIVE                           | wide scans
verify     | ARCHIVE HEAD                      | wide
restore    | ARCHIVE HEAD                      | wide locks
label      | ARCHIVE                           |
label      | --move ARCHIVE moved @{0\ s\ ago} | wide locks
pin        | ARCHIVE                           |
pin        | ARCHIVE HEAD                      | wide locks
compact    | --dry-run ARCHIVE                 | wide scans
compact    | ARCHIVE                           | wide scans locks
send       | -q ARCHIVE                        | binary
export     | ARCHIVE HEAD -f -o OUT            |
export     | ARCHIVE HEAD REGION --output -    | binary
cat        | ARCHIVE HEAD REGION               | binary
hexdump    | ARCHIVE HEAD REGION               | wide
version    |                                   |
doctor     |                                   | wide
completion | bash                              | wide
help       |                                   | wide
'
verbs=$("$tool" --help | sed -n '/^Verbs:/,/^$/s/^  \([a-z]*\) .*/\1/p')
for verb in $verbs; do
    grep -q "^$verb  *|" <<<"$rows" || [[ $verb = drop || $verb = receive ]] || fail "verb $verb has no row in robust.sh"
done

# Calls `"$@" TRAITS VERB ARGUMENT...` for each row whose verb there is; $archive stands for ARCHIVE.
archive=good.svp region=heap
each_row() {
    local verb arguments traits words i
    while IFS='|' read -r verb arguments traits <&4; do
        verb=${verb// /}
        if [ -z "$verb" ] || ! grep -qx "$verb" <<<"$verbs"; then
            continue
        fi
        read -ra words <<<"${arguments//\\ /_}"
        for i in "${!words[@]}"; do
            case ${words[i]} in
            ARCHIVE) words[i]=$archive ;;
            REGION) words[i]=$region ;;
            OUT) words[i]=$(mktemp -u -p .) ;;
            *) words[i]=${words[i]//_/ } ;;
            esac
        done
        "$@" "$traits" "$verb" "${words[@]}"
    done 4<<<"$rows"
}

# The exit code of a row that works.
good() {
    if [[ $1 == *finds* ]]; then echo 1; else echo 0; fi
}

takes_archive() {
    [[ " $* " == *" $archive "* ]]
}

has_json() {
    grep -q -- --json < <("$tool" help "$1")
}

# clean FILE...: nothing in it that acts on a terminal
clean() {
    ! LC_ALL=C grep -nP '[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xaa-\xae]' "$@" >found ||
        fail "${FUNCNAME[1]}: $(head -c 200 found | cat -v)"
}

# ---- each of them works at all
works() {
    local traits=$1
    shift
    run "$(good "$traits")" "$@"
    [ -s out ] || fail "savepoint $*: nothing is printed"
    takes_archive "$@" && [[ $traits != *binary* ]] && { clean out; }
    silent err
}
each_row works

# ---- a reader that has seen enough
closed_pipe() {
    local code=0 good
    good=$(good "$1")
    shift
    "$tool" "$@" 2>err | head -c 1 >/dev/null || code=${PIPESTATUS[0]}
    case $code in
    "$good" | 141) ;;
    *) fail "savepoint $* into head: exit code $code" ;;
    esac
    silent err
    code=0
    exec 3<>gone
    exec 5>gone
    exec 3>&-
    "$tool" "$@" >&5 2>err 5>&- || code=$?
    exec 5>&-
    [ "$code" = 141 ] || fail "savepoint $* into a closed pipe: exit code $code"
    silent err
}
mkfifo gone
each_row closed_pipe

# ---- a narrow terminal, no colours where they are not wanted
on_terminal() {
    local setting=$1
    shift
    printf -v command '%q ' "$tool" "$@"
    env TERM=xterm "$setting" script -qec "stty cols 40; $command" /dev/null >out </dev/null || true
    sed -i 's/\r$//' out
}

narrow() {
    local traits=$1 wide
    shift
    [[ $traits == *binary* ]] && return
    COLUMNS=40 run "$(good "$traits")" "$@"
    wide=$(wc -L <out)
    [[ $traits == *wide* ]] || [ "$wide" -le 40 ] || fail "COLUMNS=40 savepoint $*: $wide columns"
    on_terminal NO_COLOR=1 "$@"
    lacks out "$(printf '\033\\[[0-9;]*m')"
    wide=$(wc -L <out)
    [[ $traits == *wide* ]] || [ "$wide" -le 40 ] || fail "savepoint $* on a terminal of 40 columns: $wide columns"
    [ "$1" = help ] || set -- "$@" --color=never
    on_terminal IGNORED=1 "$@"
    lacks out "$(printf '\033\\[[0-9;]*m')"
    run "$(good "$traits")" "$@"
    lacks out "$(printf '\033')"
}
command -v script >/dev/null || {
    echo "SKIPPED: script (of util-linux) is not installed"
    exit 77
}
each_row narrow

# ---- an option that is none
unknown_option() {
    local option=--hlep meant=--help
    shift
    if [ "$1" = help ]; then
        run 2 help --hlep
        return
    fi
    has_json "$1" && option=--jsn meant=--json
    run 2 "$@" "$option"
    silent out
    has err "^savepoint: $1: there is no option '$option'; did you mean $meant\?$"
}
each_row unknown_option

# ---- files that are no archives
wrong_file() {
    local code=$1 name=$2
    shift 3
    takes_archive "$@" || return 0
    run "$code" "${@/#$archive/$name}"
    silent out
    has err "^savepoint: $1: $name: "
    [ "$(wc -l <err)" -le 2 ] || fail "savepoint $* on $name: a message and advice are two lines: $(cat err)"
    lacks err "$name: $name"
}
mkdir folder.svp
: >empty.svp
printf 'Dear diary, today nothing happened at all. It is good to write it down nevertheless.\n' >text.svp
head -c 100 good.svp >cut.svp
each_row wrong_file 3 missing.svp
each_row wrong_file 5 folder.svp
each_row wrong_file 5 empty.svp
each_row wrong_file 5 text.svp
each_row wrong_file 5 cut.svp
for name in folder.svp empty.svp text.svp cut.svp; do
    [ -e "$name" ] || fail "$name is gone"
done
[ ! -e missing.svp ] || fail "an archive was made"
if [ "$(wc -c <text.svp)" != 85 ] || [ -s empty.svp ]; then
    fail "a file that is no archive was changed"
fi

# ---- archives that were cut at birth: every verb says the same, and leaves them as they are
newborn() {
    shift
    takes_archive "$@" || return 0
    cp newborn.copy "$archive"
    run 5 "$@"
    silent out
    has err "^savepoint: $1: $archive: not an archive \\(empty or cut at birth\\)"
    cmp -s "$archive" newborn.copy || fail "savepoint $* changed a file of $bytes bytes"
    [ -z "$(compgen -G "$archive.*")" ] || fail "savepoint $*: made $(compgen -G "$archive.*")"
}
archive=newborn.svp
body_bytes=$(od -An -tu8 -j24 -N8 good.svp)
segment_bytes=$((64 + (body_bytes + 7) / 8 * 8))
for bytes in 0 1 7 8 63 64 200 $((segment_bytes - 1)); do
    head -c "$bytes" good.svp >newborn.copy
    each_row newborn
    newborn '' drop newborn.svp HEAD
done

# ---- names that would act on a terminal
hostile() {
    local traits=$1
    shift
    takes_archive "$@" || return 0
    run "$(good "$traits")" "$@"
    [[ $traits == *binary* ]] || clean out
    clean err
    COLUMNS=60 run "$(good "$traits")" "$@"
    [[ $traits == *binary* ]] || clean out
    has_json "$1" || return 0
    run "$(good "$traits")" "$@" --json
    clean out
    run 2 "$1" --json "$(printf 'no\033[31m\nfile')" HEAD HEAD HEAD HEAD HEAD # too many, or no such file
    clean err
}
hostile_missing() {
    shift
    takes_archive "$@" || return 0
    run 3 "$@"
    clean out err
}
archive=hostile.svp region=$(printf '\033[31mred\n\007')
"$tool" label -q hostile.svp best HEAD
"$tool" pin -q hostile.svp HEAD
each_row hostile
archive=$(printf 'missing \033[31m \302\2332J')
each_row hostile_missing
archive=busy.svp region=heap

# ---- beside a program that writes all the time
cat >check.py <<'END'
import json, sys
for line in open(sys.argv[1], encoding="utf-8"):
    json.loads(line)
END

beside() {
    local traits=$1 turns=50 code i before=$SECONDS options locked=0
    shift
    takes_archive "$@" || return 0
    [[ $traits != *scans* ]] || turns=10
    : >json
    for ((i = 0; i < turns; i++)); do
        options=()
        if ((i % 2)) && has_json "$1"; then
            options=(--json)
        fi
        code=0
        "$tool" "$@" "${options[@]}" >out 2>err </dev/null || code=$?
        if [[ $code = 4 && $traits == *locks* ]]; then
            locked=$((locked + 1))
            continue
        fi
        if [ "$code" != "$(good "$traits")" ]; then
            fail "savepoint $* beside a program, turn $i: exit code $code: $(head -n 2 err)"
            return
        fi
        [ -s out ] || fail "savepoint $* beside a program, turn $i: nothing is printed"
        [[ ${options[0]:-} != --json || $traits == *binary* ]] || cat out >>json
    done
    /usr/bin/python3 check.py json || fail "savepoint $* --json beside a program: no JSON"
    echo "$((SECONDS - before)) s, $locked of $turns found it locked: $*"
}
mkfifo busy.in
"$maker" busy.svp busy <busy.in >busy.out &
busy=$!
exec 3>busy.in
until grep -q ready busy.out; do sleep 0.05; done
"$tool" log busy.svp >/dev/null
for verb in label\ -q\ busy.svp\ best pin\ -q\ busy.svp\ HEAD; do
    # shellcheck disable=SC2086 # the words of the command
    until "$tool" $verb 2>/dev/null; do :; done
done
each_row beside
kill -0 "$busy" 2>/dev/null || fail "the program did not live through it"
exec 3>&-
wait "$busy" || fail "the program failed: exit code $?"
run 0 verify busy.svp
cat out
finish
