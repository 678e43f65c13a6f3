#!/bin/bash
# many.sh - a hundred thousand snapshots: what is asked for costs what is shown, not what there is
. "$(dirname "$0")/cli.bash"
command -v strace >/dev/null || {
    echo "SKIPPED: strace is not installed"
    exit 77
}
before=$SECONDS
make many
echo "made in $((SECONDS - before)) s: $(stat -c %s many.svp) bytes"

# reads MOST ARGUMENT...: so many bytes of the archive at most
reads() {
    local most=$1 sum
    shift
    ASAN_OPTIONS=detect_leaks=0 strace -f -qq -o calls -P "$work/many.svp" \
        -e trace=read,readv,pread64,preadv,preadv2,mmap "$tool" "$@" >out 2>err || fail "savepoint $*: $(cat err)"
    ! grep -q mmap calls || fail "savepoint $* maps the archive"
    sum=$(sed -nE 's/.* = ([0-9]+)$/\1/p' calls | awk '{ sum += $1 } END { print sum + 0 }')
    echo "$sum bytes in $(wc -l <calls) reads: $*"
    [ "$sum" -gt 1000 ] || fail "savepoint $*: nothing was counted"
    [ "$sum" -le "$most" ] || fail "savepoint $* reads $sum bytes, more than $most"
}
reads 262144 log -n 20 many.svp
[ "$(wc -l <out)" = 21 ] || fail "20 snapshots and the title"
has out ' 100000  .*number 100000$'
reads 262144 log -n 20 --all many.svp
reads 262144 show many.svp HEAD~20
reads 262144 label many.svp
reads 262144 completion --candidates -- show many.svp ''

# References do not change that.
run 0 label many.svp best 'number 1000'
run 0 pin many.svp HEAD~99000
for name in a b c d e f g h; do
    run 0 label many.svp "name $name" HEAD
done
reads 262144 log -n 20 many.svp
has out 'HEAD, name a, name b'

# Digits that fit several are answered with those they fit.
"$tool" log --json many.svp | sed -E 's/^\{"id":"([0-9a-f]{32}).*/\1/' | sort >ids
[ "$(wc -l <ids)" = 100000 ] || fail "$(wc -l <ids) snapshots"
cut -c1-4 ids | uniq -c >counts
awk '$1 == 2 { print $2; exit }' counts >prefix
run 2 show many.svp "$(cat prefix)"
has err "'$(cat prefix)' fits 2 snapshots:"
while read -r id; do
    has err "${id:0:12}"
    run 0 show many.svp "${id:0:12}"
    run 2 show many.svp "$(cat prefix)"
done < <(grep "^$(cat prefix)" ids)
has err '^Give more digits of the id\.'
finish
