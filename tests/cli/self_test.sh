#!/bin/bash
# self_test.sh - savepoint doctor --self-test: passes here, and finds write-watches that have a fault
. "$(dirname "$0")/cli.bash"
lossy=$(realpath "$3") without_uffd=$(realpath "$4")
mkdir temporary
export TMPDIR=$work/temporary
available=$("$tool" version --json | grep -oE '"name":"[a-z]+","available":true' | cut -d'"' -f4)

# at_least NUMBER WHAT BACKEND CHECK: out says that the check passed, and did at least so many
at_least() {
    local found
    found=$(sed -nE "s/^$3 +$4 +ok: (.*, )?([0-9]+) $2(,.*)?$/\2/p" out)
    [ "${found:-0}" -ge "$1" ] || fail "$3 $4: '$found' $2, at least $1 expected: $(cat out)"
}

run 0 doctor --self-test --seconds 3
silent err
for backend in $available; do
    at_least 7000 writes $backend laws
    at_least 90 takes $backend laws
    at_least 10 restores $backend laws
    at_least 50000 increments $backend increments
    at_least 40 takes $backend increments
    at_least 4 restores $backend increments
    has out "^$backend +increments .* 0 lost$"
done
count=$(echo "$available" | wc -w)
has out "^$((count * 2)) checks, 0 failed$"
[ -z "$(ls -A temporary)" ] || fail "left behind: $(ls -A temporary)"

# Only the one asked for; JSON; the same is done every time.
SAVEPOINT_WATCH=compare run 0 doctor --self-test --seconds 1 --json
[ "$(wc -l <out)" = 3 ] || fail "two checks and a summary"
has out '^\{"type":"check","backend":"compare","check":"laws","result":"ok","writes":7[0-9]+,"takes":[0-9]+,.*"lost_stores":null,"message":null\}$'
has out '^\{"type":"check","backend":"compare","check":"increments","result":"ok",.*"lost_stores":0,"message":null\}$'
has out '^\{"type":"summary","checks":2,"failed":0\}$'
SAVEPOINT_WATCH=nothing run 3 doctor --self-test
has err 'no write-watch of that name'

# Too little is a failure, and no accusation.
SAVEPOINT_WATCH=compare run 1 doctor --self-test --seconds 0
has out '^compare +laws +ok: '
has out '^compare +increments +TOO LITTLE: .*; at least 50000 increments, .* --seconds gives them more time$'
silent err

# faulty CODE FAULT BACKEND: the tool with a write-watch that has a fault
faulty() {
    local code=0
    SAVEPOINT_TEST_FAULT=$2 SAVEPOINT_WATCH=$3 "$lossy" doctor --self-test --seconds 1 >out 2>err || code=$?
    [ $code = "$1" ] || fail "fault '$2' of $3: exit code $code, expected $1: $(cat out err)"
    [ -z "$(ls -A temporary)" ] || fail "left behind: $(ls -A temporary)"
}
for backend in $available; do
    faulty 0 none "$backend"
    faulty 1 page "$backend"
    has out "^$backend +laws +FAILED: .*; after stores of every size and alignment the snapshot differs from memory on "
    has out "^$backend +increments +FAILED: .* [1-9][0-9]* lost; a snapshot differs from memory as it was on "
    has out '^2 checks, 2 failed$'
    has err 'does not keep its promise here .* Please report the lines above together with the output of'
    faulty 1 store "$backend"
    has out "^$backend +laws +FAILED: .* (a take has changed memory|memory differs from what was written to it) on "
    has out "^$backend +increments +FAILED: .* [1-9][0-9]* lost; "
done
faulty 1 prepare signal
has out '^signal +laws +FAILED: .* a system call cannot write to watched memory that was prepared: Bad address$'

# What does not work here is left out, unless it was asked for.
code=0
"$without_uffd" "$tool" doctor --self-test --seconds 2 >out 2>err || code=$?
if [ $code != 77 ]; then
    [ $code = 0 ] || fail "without uffd: exit code $code: $(cat out err)"
    has err '^savepoint: doctor: uffd is left out, it does not work here: userfaultfd is forbidden'
    has out '^4 checks, 0 failed$'
    code=0
    SAVEPOINT_WATCH=uffd "$without_uffd" "$tool" doctor --self-test >out 2>err || code=$?
    [ $code = 3 ] || fail "a forced backend that cannot work: exit code $code"
    has err '^savepoint: doctor: SAVEPOINT_WATCH=uffd does not work here: userfaultfd is forbidden'
fi

# No room: nobody's fault, and no result.
mkdir small
if mount -t tmpfs -o size=64k none small 2>/dev/null; then
    TMPDIR=small run 3 doctor --self-test
    has out ' laws +impossible: .*NO_SPACE'
    [ -z "$(ls -A small)" ] || fail "left behind: $(ls -A small)"
    umount small
fi
TMPDIR=$work/missing run 3 doctor --self-test

for columns in 40 60 80; do
    COLUMNS=$columns SAVEPOINT_WATCH=compare run 0 doctor --self-test --seconds 1
    [ "$(wc -L <out)" -le $columns ] || fail "$(wc -L <out) wide on $columns columns"
done

# Ctrl-C, in either check: the files go, and the exit code tells.
for lines in 0 1; do
    code=0
    env --default-signal=INT SAVEPOINT_WATCH=compare "$tool" doctor --self-test >out 2>err &
    doctor=$!
    until [ -e "$(echo temporary/*/trial.svp)" ] && [ "$(wc -l <out)" -ge $lines ]; do sleep 0.01; done
    kill -INT $doctor
    wait $doctor || code=$?
    [ $code = 130 ] || fail "Ctrl-C gives exit code $code: $(cat out err)"
    [ -z "$(ls -A temporary)" ] || fail "left behind: $(ls -A temporary)"
    has out ' stopped: '
    lacks out 'checks'
done
finish
