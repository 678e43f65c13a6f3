#!/bin/bash
# doctor.sh - savepoint doctor: what works here, costs, advice
. "$(dirname "$0")/cli.bash"
without_uffd=$(realpath "$4")
mkdir temporary
export TMPDIR=$work/temporary
expected=0
"$tool" version --json | grep -q '"backends":\[{"name":"[a-z]*","available":true' || expected=1

# of MEMBER: its value in the one object in out
of() {
    python3 -c 'import json, sys; print(eval("value" + sys.argv[1], {"value": json.load(open("out"))}))' "$1"
}

run $expected doctor
silent err
has out '^savepoint [0-9.]+, .+, host pages of [0-9.]+ KiB$'
has out '^compare +yes +[0-9.]+ KiB +counted +[0-9.]+ [nµm]s +[0-9.]+ [nµm]s +[0-9.]+ [nµm]s$'
has out '^default   [a-z]+'
has out '^folder    \. \([^)]+\): a sync takes [0-9.]+ [nµm]s, the slowest of 20 took [0-9.]+ [nµm]s$'
[ "$expected" = 1 ] || has out '^Nothing to do: '
[ -z "$(ls -A temporary)" ] || fail "left behind: $(ls -A temporary)"
[ "$(find . -name '.savepoint*')" = '' ] || fail "left in the folder examined: $(ls -A)"

run $expected doctor --json
silent err
[ "$(wc -l <out)" = 1 ] || fail "one object on one line"
[ "$(of '["host_page_bytes"]')" = "$(getconf PAGE_SIZE)" ] || fail "host_page_bytes"
[ "$(of '["forced"]')" = None ] || fail "forced"
[ "$(of '["folder"]["writable"]')" = True ] || fail "writable"
[ "$(of '["folder"]["sync_median_ns"] <= value["folder"]["sync_slowest_ns"]')" = True ] || fail "sync"
# shellcheck disable=SC2016 # Python
[ "$(of '["backends"] and [b["measured_pages"] == 2048 * b["available"] and (b["first_write_ns"] > 0) == b["available"] and (b["clean_take_ns"] > 0) == b["available"] and (b["full_take_ns"] > 0) == b["available"] for b in value["backends"]] == [True] * len(value["backends"])')" = True ] ||
    fail "costs: $(cat out)"

# A container that forbids userfaultfd: a fallback is a finding, and there is advice.
restricted() {
    local code=0
    "$without_uffd" "$tool" "$@" >out 2>err || code=$?
    [ $code != 77 ] || { echo "this system cannot filter system calls: $(cat err)"; exit 77; }
    [ $code = 1 ] || fail "restricted $*: exit code $code"
    silent err
}
restricted doctor
has out '^uffd +no$'
has out '^default   signal for large regions, compare for small ones: fallbacks$'
has out '^\* uffd does not work here: userfaultfd is forbidden here, .*seccomp'
has out '^\* Programs run with a fallback '
has out 'signal for a watch of savepoint/watch.h'
has out '^\* Under signal, system calls .* savepoint_prepare'
has out '^\* Under signal every run .* vm.max_map_count'
lacks out 'Nothing to do'
restricted doctor --json
[ "$(of '["fallback"], value["default_large"], value["default_small"]')" = "(True, 'signal', 'compare')" ] ||
    fail "fallback: $(cat out)"
[ "$(of '["backends"][0]["available"], value["backends"][0]["measured_pages"]')" = '(False, 0)' ] || fail "uffd"
[ "$(of '["advice"].__len__() >= 4')" = True ] || fail "advice"
SAVEPOINT_WATCH=uffd restricted doctor
has out '^default   none$'
has out '^\* A program started here cannot watch memory: userfaultfd is forbidden here'
COLUMNS=40 restricted doctor
[ "$(wc -L <out)" -le 40 ] || fail "$(wc -L <out) wide on 40 columns"

# Forced.
SAVEPOINT_WATCH=signal run $expected doctor
has out '^default   signal$'
has out '^\* SAVEPOINT_WATCH=signal is set'
SAVEPOINT_WATCH=nothing run 1 doctor
has out "^default   none$"
has out "there is no write-watch called 'nothing' on this system: 'savepoint doctor' lists them"

# Folders.
SAVEPOINT_WATCH='' run $expected doctor temporary
has out '^folder    temporary \('
lacks out 'SAVEPOINT_WATCH'
run 3 doctor missing
has out '^folder    missing .*: cannot be written: No such file or directory$'
has out '^\* No archive can be written in this folder\.'
lacks out 'Nothing to do'
has err '^savepoint: doctor: missing: cannot write to this folder: No such file or directory$'
TMPDIR=$work/missing run 3 doctor
has err '^savepoint: doctor: cannot make a temporary folder \(TMPDIR\): No such file or directory$'
mkdir 'in memory'
if mount -t tmpfs -o size=48k none 'in memory' 2>/dev/null; then
    run 3 doctor 'in memory' # 20 blocks are more than there is
    has out '^folder    in memory \(tmpfs\): cannot be written: No space left on device$'
    mount -o remount,size=12k 'in memory'
    TMPDIR='in memory' run $expected doctor
    has out '^\* compare could not be measured: '
    mount -o remount,size=1m 'in memory'
    run $expected doctor 'in memory'
    has out '^\* The folder is in memory \(tmpfs\)'
    [ -z "$(ls -A 'in memory')" ] || fail "left behind: $(ls -A 'in memory')"
    umount 'in memory'
fi

COLUMNS=60 run $expected doctor
[ "$(wc -L <out)" -le 60 ] || fail "$(wc -L <out) wide on 60 columns"
run 2 doctor one two
run 2 doctor --seconds x
run 2 doctor --seconds 86401
run 2 doctor --self-test folder
has err 'takes no folder'

# stopped SIGNAL CODE ARGUMENT...: it ends with that code, and leaves nothing behind
stopped() {
    local signal=$1 expected=$2 code=0
    shift 2
    env --default-signal="$signal" "$tool" doctor "$@" >out 2>err &
    doctor=$!
    until [ -n "$(ls -A temporary)" ] || ! kill -0 $doctor 2>/dev/null; do sleep 0.01; done
    kill "-$signal" $doctor
    wait $doctor || code=$?
    [ $code = "$expected" ] || fail "SIG$signal gives exit code $code: $(cat err)"
    [ -z "$(ls -A temporary)" ] || fail "left behind: $(ls -A temporary)"
    rm -rf temporary/*
}
stopped INT 130
stopped TERM 143
stopped HUP 129
stopped TERM 143 --self-test
finish
