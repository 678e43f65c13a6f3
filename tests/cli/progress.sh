#!/bin/bash
# progress.sh - the line that shows how far long work has come, and Ctrl-C in the middle of it
. "$(dirname "$0")/cli.bash"
make large
escape=$(printf '\033')

# on_terminal CODE COLUMNS INTERRUPT ARGUMENT...: the lines that were drawn, one a line, go to the file out
on_terminal() {
    local expected=$1 columns=$2 interrupt=$3 code=0
    shift 3
    /usr/bin/python3 "$source_tree/tests/cli/progress.py" "$columns" "$interrupt" "$tool" "$@" || code=$?
    [ "$code" = "$expected" ] || fail "savepoint $*: exit code $code, expected $expected: $(cat screen)"
    sed "s/\r$escape\[K/\n/g" screen | sed '/^$/d' >out
}

cleared() {
    [ "$(tail -c 4 screen)" = "$(printf '\r\033[K')" ] || fail "the line was not taken away: $(tail -c 60 screen | od -c)"
    ! grep -q "$escape\[[0-9;]*m" screen || fail "colours"
}

export TERM=xterm
on_terminal 0 80 0 export large.svp HEAD --output -
has out '^export: +[0-9]+%  [0-9]+ s left  [0-9.]+ [KM]iB/s  [0-9.]+ MiB of 8\.0 MiB$'
cleared
[ "$(wc -l <out)" -ge 3 ] || fail "it moves: $(cat out)"

# What does not fit is left out; nothing wraps.
on_terminal 0 40 0 export large.svp HEAD --output -
has out '^export: +[0-9]+%  [0-9]+ s left  [0-9.]+ [KM]iB/s$'
[ "$(wc -L <out)" -le 39 ] || fail "$(wc -L <out) columns of 40"
cleared

on_terminal 130 80 5 export large.svp HEAD --output -
has out '^export: '
lacks out 'savepoint'
cleared

# Not where nobody wants to see it.
for setting in TERM=dumb TERM=xterm; do
    quiet=-q
    [ "$setting" = TERM=dumb ] && quiet=
    # shellcheck disable=SC2086 # no option, or one
    /usr/bin/python3 "$source_tree/tests/cli/progress.py" 80 0 env "$setting" "$tool" export $quiet large.svp HEAD --output -
    [ ! -s screen ] || fail "$setting $quiet: $(cat screen)"
done

# Ctrl-C at any instant of an export leaves the whole file or nothing, and never a part.
mkdir dump
whole=0 nothing=0
for delay in 0 0.002 0.004 0.006 0.008 0.01 0.012 0.014 0.016 0.018 0.02 0.025 0.03 0.04 0.05 0.1 0.2 0.3 0.5; do
    code=0
    env --default-signal=INT "$tool" export -q -f large.svp HEAD -o dump &
    exporter=$!
    sleep "$delay"
    kill -INT "$exporter" 2>/dev/null || true
    wait "$exporter" || code=$?
    size=0
    [ ! -e dump/field.bin ] || size=$(stat -c %s dump/field.bin)
    case $code-$size in
    0-8388608) whole=$((whole + 1)) ;;
    130-0) nothing=$((nothing + 1)) ;;
    *) fail "exit code $code, and a file of $size bytes" ;;
    esac
    [ -z "$(find dump -name '*.part')" ] || fail "left behind: $(ls dump)"
    rm -f dump/*
done
echo "$whole exports whole, $nothing interrupted"
finish
