#!/bin/bash
# signals.sh - the first Ctrl-C, SIGTERM or SIGHUP ends what waits for the other end of a pipe
. "$(dirname "$0")/cli.bash"
make linear large
mkfifo idle
exec 5<>idle # both ends are open, and nothing is read or written here

# sleeps PID: until it waits
sleeps() {
    local state=
    until [ "$state" = S ]; do
        sleep 0.05
        state=$(sed 's/.*) //; s/ .*//' "/proc/$1/stat" 2>/dev/null) || return 0
    done
}

# ends_by SIGNAL CODE FROM TO ARGUMENT...: by the first one, and says nothing about it
ends_by() {
    local signal=$1 expected=$2 from=$3 to=$4 code=0 process
    shift 4
    [ "$to" != idle ] || head -c 65000 /dev/zero >idle # a pipe holds 65536 bytes
    env --default-signal="$signal" timeout --foreground 5 "$tool" "$@" <"$from" >"$to" 2>err 5>&- &
    process=$!
    until pgrep -P $process >child; do sleep 0.02; done
    sleeps "$(cat child)"
    kill "-$signal" "$(cat child)"
    wait $process || code=$?
    [ "$code" = "$expected" ] || fail "SIG$signal, savepoint $*: exit code $code, expected $expected: $(cat err)"
    silent err
    timeout 0.2 cat <&5 >/dev/null || true
}

"$tool" send -q linear.svp >whole.stream
bytes=$(stat -c %s whole.stream)
for signal in INT:130 TERM:143 HUP:129; do
    code=${signal#*:} signal=${signal%:*}
    ends_by "$signal" "$code" idle /dev/null receive new.svp
    [ ! -e new.svp ] || fail "SIG$signal: an archive without a snapshot is left"
    head -c $((bytes - 9000)) whole.stream >idle
    ends_by "$signal" "$code" idle out receive begun.svp
    run 0 verify begun.svp
    rm begun.svp
    ends_by "$signal" "$code" /dev/null idle send large.svp
    ends_by "$signal" "$code" /dev/null idle export large.svp HEAD --output -
    ends_by "$signal" "$code" /dev/null idle report large.svp -o -
done

# Who started it in the background does not want it to end by Ctrl-C.
(trap '' INT && exec "$tool" receive new.svp <idle >out 2>err) &
receiver=$!
sleeps $receiver
kill -INT $receiver
sleep 0.2
kill -TERM $receiver || fail "Ctrl-C that was meant for others ended it: $(cat err)"
code=0
wait $receiver || code=$?
[ "$code" = 143 ] || fail "SIGTERM behind a Ctrl-C that is ignored: exit code $code"

# A limit on the size of files is told as a full disk is, and what was made goes again.
limited() {
    local code=0
    (ulimit -f 100 && exec "$tool" "$@" >out 2>err) || code=$?
    [ "$code" = 3 ] || fail "savepoint $* with a limit: exit code $code: $(cat err)"
    has err 'File too large'
}
limited export large.svp HEAD -o dump
has err '^savepoint: export: dump/field\.bin: cannot write: File too large$'
[ ! -e dump ] || fail "left behind: $(find dump)"
limited export large.svp HEAD --output -
limited cat large.svp HEAD field
finish
