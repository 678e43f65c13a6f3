#!/bin/bash
# terminal.sh - widths, colours, control characters, closed pipes, full disks, Ctrl-C
. "$(dirname "$0")/cli.bash"
make linear branch control_labels large

# Nothing that moves the cursor comes through, and JSON stays JSON.
escape=$(printf '\033')
for verb in log show verify; do
    run 0 "$verb" control_labels.svp
    lacks out "$escape"
    lacks out "$(printf '\007')"
done
run 0 log control_labels.svp
has out 'red \\x1b\[31m bell \\x07 line\\x0aend$'
has out 'turned \\u202e round$'
run 0 log --json control_labels.svp
has out '"label":"red \\u001b\[31m bell \\u0007 line\\nend"'
has out '"label":"turned \\u202e round"'
has out '"label":"\\"quoted\\\\\\" é 漢"'
[ "$(wc -l <out)" = 3 ] || fail "one line for each snapshot"
run 0 show control_labels.svp 'HEAD~2'
has out '^message +first line$'
has out '^            second \\x1b\[31mline\\x07 \\xff end$'
run 0 show --json control_labels.svp 'HEAD~2'
has out '"message":"first line\\nsecond \\u001b\[31mline\\u0007 \\ufffd end"'

# No line is wider than the terminal.
for columns in 40 60 80 100; do
    for arguments in 'log control_labels.svp' 'log --all branch.svp' 'version'; do
        # shellcheck disable=SC2086 # several arguments
        COLUMNS=$columns run 0 $arguments
        [ "$(wc -L <out)" -le "$columns" ] || fail "$arguments is $(wc -L <out) wide on $columns columns"
    done
done
COLUMNS=40 run 0 log control_labels.svp
has out '…$'
lacks out 'TIME'

# Colours only where asked for, or on a terminal that takes them.
run 0 log linear.svp
lacks out "$escape"
run 0 log --color=always linear.svp
has out "$escape\[33m"
run 0 --color=always log linear.svp
has out "$escape\[33m"
if command -v script >/dev/null; then
    on_terminal() {
        env "$@" script -qec "$tool log linear.svp" /dev/null >out </dev/null
    }
    on_terminal TERM=xterm
    has out "$escape\[33m"
    on_terminal TERM=dumb
    lacks out "$escape"
    on_terminal TERM=xterm NO_COLOR=1
    lacks out "$escape"
    for arguments in 'export linear.svp HEAD --output -' 'cat linear.svp HEAD heap'; do
        script -qec "$tool $arguments" /dev/null >out </dev/null && fail "memory on the terminal: $arguments"
        has out 'write memory to the terminal'
    done
    script -qec "$tool cat --force linear.svp HEAD heap:0x9000+16" /dev/null >out </dev/null || fail "cat --force"
    cmp out <(head -c 16 /dev/zero) || fail "cat --force"
fi

# Output that cannot be written is a failure; a reader that leaves is none.
for arguments in 'log linear.svp' 'log --json linear.svp' 'show linear.svp' 'verify linear.svp' 'version' '--help' \
    'hexdump linear.svp HEAD heap' 'cat linear.svp HEAD heap' 'doctor'; do
    code=0
    # shellcheck disable=SC2086 # several arguments
    "$tool" $arguments >/dev/full 2>err || code=$?
    [ "$code" = 3 ] || fail "$arguments >/dev/full: exit code $code"
    has err 'cannot write the output: No space left on device$'
done
for arguments in 'log --json linear.svp' 'show linear.svp' 'export linear.svp HEAD --output -' \
    'cat large.svp HEAD field' 'hexdump --all large.svp HEAD field'; do
    # shellcheck disable=SC2086 # several arguments
    { "$tool" $arguments 2>err || true; } | true
    silent err
done

# A reader that has gone: the tool ends as any other program does.
mkfifo gone waiting
for arguments in 'log linear.svp' 'export linear.svp HEAD --output -' 'cat linear.svp HEAD heap' \
    'hexdump linear.svp HEAD heap'; do
    code=0
    exec 3<>gone
    exec 4>gone
    exec 3>&-
    # shellcheck disable=SC2086 # several arguments
    "$tool" $arguments >&4 2>err 4>&- || code=$?
    exec 4>&-
    [ "$code" = 141 ] || fail "$arguments into a closed pipe: exit code $code"
done

# interrupt CODE default|ignore: Ctrl-C while an export waits for its reader, which then reads on
interrupt() {
    local exporter reader code=0
    exec 3<>waiting
    env "--$2-signal=INT" "$tool" export large.svp HEAD --output - >waiting 2>err 3>&- &
    exporter=$!
    dd bs=1 count=1 <&3 >first 2>/dev/null # it has begun; the pipe holds less than the region
    kill -INT "$exporter"
    cat <&3 >rest &
    reader=$!
    wait "$exporter" || code=$?
    kill "$reader"
    wait "$reader" 2>/dev/null || true
    exec 3>&-
    [ "$code" = "$1" ] || fail "Ctrl-C ($2) gives exit code $code"
    silent err
}
interrupt 130 default
interrupt 0 ignore # as in a command that was started in the background
finish
