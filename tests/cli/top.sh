#!/bin/bash
# top.sh - savepoint top: pictures of an archive that grows, is cut or replaced; the terminal itself is in top_terminal.py
memory=$(realpath "${3:?usage: $0 SAVEPOINT MAKE_ARCHIVE MAKE_MEMORY}")
terminal=$(realpath "$(dirname "$0")/top_terminal.py")
. "$(dirname "$0")/cli.bash"
make linear branch damaged control_labels
"$memory" game.svp game

# A program that takes a snapshot whenever it is told to.
mkfifo orders answers
"$memory" live.svp live <orders >answers &
program=$!
exec 3>orders 4<answers
snapshot() {
    local answer
    echo >&3
    read -r answer <&4
}
snapshot
snapshot
snapshot

run 0 top --count 1 live.svp
silent err
has out '^live.svp  a writer is at work$'
has out '^3 snapshots · [0-9.]+ KiB · \+[0-9.]+ .*/s · [0-9.]+ snapshots/s · newest [0-9.:]+ '
has out '^pause [0-9.]+ .s · median [0-9.]+ .s · longest [0-9.]+ .s$'
has out '^dirty pages  +█▅▅ +1$'
has out '^stored  +█{3} +4\.0 KiB$'
has out '^writes of the last 3 snapshots$'
has out '^heap +▏ +█+ +▕ page 5 3×$'
has out '^stack +▏█+ +▕ page 0 1×$'

# until_shown PATTERN: the last picture of live.svp in out shows it; no pipe, whose writer would fail when its reader has
# seen enough
until_shown() {
    for ((i = 0; i < 600; i++)); do
        awk '/^live\.svp / { picture = "" } { picture = picture $0 "\n" } END { printf "%s", picture }' out >last
        ! grep -qE "$1" last || return 0
        sleep 0.1
    done
    fail "never showed '$1': $(tail -n 20 out)"
}

# The pictures follow the program: what a look finds is added to what was known.
"$tool" top --count 3 --interval 0.1 live.svp >out 2>err || fail "exit code $?"
silent err
[ "$(grep -c '^live.svp  a writer is at work$' out)" = 3 ] || fail "three pictures: $(cat out)"
"$tool" top --interval 0.1 live.svp >out 2>err &
looker=$!
until_shown '^3 snapshots'
snapshot
until_shown '^4 snapshots'
snapshot
until_shown '^5 snapshots'
until_shown '^heap .*page 5 5×$'
until_shown '^stack .*page 0 1×$'
kill -TERM "$looker"
wait "$looker" || true
silent err

# More snapshots than are kept: page 0 of the stack is beyond the newest 64.
for ((i = 0; i < 70; i++)); do
    snapshot
done
run 0 top -n1 live.svp
has out '^heap .* page 5 64×$'
has out '^stack .* not written$'

# Narrow terminals, other locales, no colours where there is no terminal.
for columns in 40 60 80 120; do
    COLUMNS=$columns run 0 top -n1 game.svp
    [ "$(wc -L <out)" -le "$columns" ] || fail "$(wc -L <out) wide on $columns columns"
    LC_ALL=C COLUMNS=$columns run 0 top -n1 game.svp
    ! LC_ALL=C grep -q '[^ -~]' out || fail "not ASCII on $columns columns"
done
has out '^world +\|.*\| page '
lacks out "$(printf '\033')"
run 0 --color=always top -n1 live.svp
has out "$(printf '\033')\[36m"
run 0 top -n1 branch.svp
has out '^branch.svp  no writer$'
has out '^5 snapshots'
run 0 top -n1 damaged.svp
has out '^damaged: see savepoint verify$'

# It reads what is new: ten looks cost little more than one.
bytes_read() {
    bash -c '"$0" "$@" >/dev/null; while read -r name count; do [ "$name" != rchar: ] || echo "$count"; done <"/proc/$$/io"' \
        "$tool" top --interval 0.05 --count "$1" game.svp
}
one=$(bytes_read 1)
ten=$(bytes_read 10)
[ "$one" -gt 1000000 ] && [ "$ten" -lt $((one + one / 4)) ] || fail "one look reads $one bytes, ten read $ten"

# The archive goes, comes back, is another one, is cut: it is looked at anew.
"$tool" top --interval 0.1 live.svp >out 2>err &
looker=$!
until_shown '^75 snapshots'
mv live.svp away.svp
until_shown '^cannot be read now: .*cannot open'
until_shown '^heap .* page 5 64×' # what was known is still shown
mv away.svp live.svp
until_shown '^75 snapshots'
cp linear.svp other.svp
mv live.svp away.svp
mv other.svp live.svp
until_shown '^5 snapshots'
until_shown '^heap .*page 0 5×, 1 3×'
: >live.svp
until_shown '^cannot be read now: not an archive'
cp branch.svp other.svp
mv other.svp live.svp
until_shown '^heap .*page 0 5×, 1 2×'
kill -TERM "$looker"
code=0
wait "$looker" || code=$?
[ "$code" = 143 ] || fail "SIGTERM gives exit code $code"
silent err

exec 3>&-
wait "$program"

run 3 top missing.svp
has err 'No such file'
printf 'no archive' >text.svp
run 5 top text.svp
for wrong in '--interval 0' '--interval 0.01' '--interval x' '--interval 1s' '--interval nan' '--interval 1e9' '--count 0'; do
    # shellcheck disable=SC2086 # an option and its value
    run 2 top $wrong linear.svp
done
python3 "$terminal" "$tool" game.svp || fail "on a terminal"
finish
