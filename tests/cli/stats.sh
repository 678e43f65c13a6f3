#!/bin/bash
# stats.sh - savepoint stats: ranges, sums, regions and coders, time, damage
. "$(dirname "$0")/cli.bash"
make linear branch changes sixty crowd two_regions torn damaged empty

run 0 stats linear.svp
silent err
sed -E -e 's/ [0-9.]+ (µs|ms)/ PAUSE/g' -e 's/ +#+$/ BAR/' out >plain
cp plain out
shows out <<'END'
snapshots 5
sequence 1 to 5
first TIME
last TIME
pages 11, 2.2 a snapshot
stored SIZE
ratio 5.0x against full copies
keys 11 pages, SIZE each
overhead SIZE for each page
pause PAUSE in the middle
 PAUSE for 9 of 10
 PAUSE at most

REGION SIZE DIRTY CHANGED AMPL STORED RATIO
heap SIZE 2.2 SIZE 1.0x
CHANGED and AMPL: of deltas only

REGION CODER PAGES STORED EACH
heap stored 11 SIZE SIZE

SEQ FROM DIRTY STORED PAUSE LONGEST
 1 TIME 1.0 SIZE PAUSE PAUSE BAR
 2 TIME 2.0 SIZE PAUSE PAUSE BAR
 3 TIME 3.0 SIZE PAUSE PAUSE BAR
 4 TIME 4.0 SIZE PAUSE PAUSE BAR
 5 TIME 1.0 SIZE PAUSE PAUSE BAR
END

# Ranges.
# sequences WANTED ARGUMENT...
sequences() {
    local wanted=$1
    shift
    run 0 stats "$@"
    has out "^sequence +$wanted$"
}
sequences '3 to 5' linear.svp two..HEAD
sequences '3 to 5' linear.svp two..
sequences '1 to 3' linear.svp ..three
sequences '1 to 3' linear.svp three
sequences '3 to 3' linear.svp two..three
sequences '4 to 5' linear.svp -n 2
has out '^snapshots  2, the newest \(--last N\)$'
sequences '2 to 3' linear.svp --last 2 one..three
lacks out 'the newest'
sequences '1 to 5' branch.svp
[ "$(grep -cE '^ +[0-9]+  [0-9-]+ [0-9:]+  ' out)" = 3 ] || fail "the other branch is left out"
run 2 stats branch.svp three..HEAD
has err 'does not lead to its end$'
run 2 stats linear.svp none..HEAD
run 2 stats linear.svp HEAD..none
run 2 stats linear.svp --last 0
run 0 stats linear.svp three..three
silent out
has err 'the range holds no snapshots$'
run 5 stats empty.svp

# Regions, deltas, and their coders.
run 0 stats changes.svp
has out '^deltas +[1-9]'
has out '^temp +gone '
has out '^world +16\.0 KiB '
run 0 stats --json changes.svp
has out '^\{"type":"region","region":"temp","bytes":0,"dirty_pages":1,'
has out '"coder":"xor-runs","kind":"delta",'
tail -n 1 out >last
has last '^\{"type":"summary","snapshot_count":2,"cut":false,"first_sequence":1,"last_sequence":2,'

# The sums agree with what log tells, and with each other.
cat >check.py <<'END'
import json
import sys

stats = [json.loads(line) for line in open("out")]
log = [json.loads(line) for line in open("log")]
summary = stats.pop()
regions = [row for row in stats if row["type"] == "region"]
intervals = [row for row in stats if row["type"] == "interval"]


def total(rows, key):
    return sum(row[key] for row in rows)


coders = [coder for region in regions for coder in region["coders"]]
pauses = sorted(row["pause_ns"] for row in log)
expected = {
    "snapshot_count": [len(log), total(intervals, "snapshot_count")],
    "stored_bytes": [total(log, "stored_bytes"), total(intervals, "stored_bytes"),
                     total(coders, "stored_bytes") + summary["overhead_bytes"]],
    "dirty_pages": [total(log, "changed_pages"), total(intervals, "dirty_pages"), total(regions, "dirty_pages"),
                    total(coders, "dirty_pages")],
    "full_bytes": [4096 * total(log, "region_pages")],
    "pause_median_ns": [pauses[(len(pauses) + 1) // 2 - 1]],
    "pause_ninth_decile_ns": [pauses[(9 * len(pauses) + 9) // 10 - 1]],
    "pause_longest_ns": [pauses[-1]],
}
for kind in "delta", "key", "zero":
    rows = [coder for coder in coders if coder["kind"] == kind]
    expected[kind + "_pages"] = [total(rows, "dirty_pages")]
    if kind != "zero":
        expected[kind + "_bytes"] = [total(rows, "stored_bytes")]
expected["delta_pages"].append(total(regions, "delta_pages"))
for key, values in expected.items():
    if any(value != summary[key] for value in values):
        sys.exit(f"{key}: {summary[key]}, expected {values}")
if len(intervals) > 20:
    sys.exit(f"{len(intervals)} intervals")
END
for scenario in linear branch changes two_regions torn sixty crowd; do
    run 0 log --json $scenario.svp
    mv out log
    run 0 stats --json $scenario.svp
    python3 check.py || fail "the sums of $scenario"
done
run 0 stats sixty.svp
[ "$(grep -cE '^ *[0-9]+-[0-9]+  ' out)" = 20 ] || fail "20 intervals"
has out '^ *1-3  '

[ "$(grep -c '^world ' out)" = 2 ] || fail "a region that came back is one region"
run 0 stats crowd.svp
[ "$(grep -E '^region-' out | head -n 1 | cut -c 1-9)" = region-00 ] || fail "most bytes first"
[ "$(grep -c '^region-' out)" = 40 ] || fail "20 regions, with one coder each"
has out '^\.\.\. 6 more \(--json\)$'

for columns in $(seq 40 3 100); do
    for scenario in linear changes two_regions sixty; do
        COLUMNS=$columns run 0 stats $scenario.svp
        [ "$(wc -L <out)" -le "$columns" ] || fail "$scenario is $(wc -L <out) wide on $columns columns"
        if grep -q '^CHANGED and AMPL' out; then # only what is shown is explained
            has out '^REGION .* CHANGED +AMPL'
        fi
    done
done
COLUMNS=40 run 0 stats linear.svp
lacks out 'CHANGED'

# Damage: told, and the rest is shown.
run 1 stats damaged.svp
has err '^savepoint: stats: damaged.svp: all of snapshot [0-9a-f]{8} cannot be read: '
has out '^keys +2 pages'
run 1 stats --json damaged.svp
has out '"unread_count":1\}$'
offset=$(grep -abo three linear.svp | cut -d: -f1)
cp linear.svp broken.svp
printf T | dd of=broken.svp bs=1 seek="$offset" conv=notrunc 2>/dev/null
run 6 stats broken.svp
has out '^snapshots  2, the newest: damage$'
has err '^savepoint: stats: broken.svp: .*\(offset [0-9]+\)$'
cp linear.svp nameless.svp
for offset in $(grep -abo heap linear.svp | cut -d: -f1); do
    printf H | dd of=nameless.svp bs=1 seek="$offset" conv=notrunc 2>/dev/null
done
run 1 stats nameless.svp
has out '^\(region 1\) +\? '
has err 'the regions of snapshot [0-9a-f]{8} cannot be read: '
run 0 stats torn.svp
has err 'torn tail'
finish
