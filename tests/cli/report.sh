#!/bin/bash
# report.sh - savepoint report: the figures, the file, damage, interrupts; the page itself is looked at in tests/browser
memory=$(realpath "${3:?usage: $0 SAVEPOINT MAKE_ARCHIVE MAKE_MEMORY}")
. "$(dirname "$0")/cli.bash"
make linear branch torn damaged
for scenario in known hostile game regions; do
    "$memory" $scenario.svp $scenario
done

cat >figures.py <<'END'
"""figures.py FILE EXPRESSION: prints what EXPRESSION over the JSON in FILE gives
   figures.py FILE...: checks what is true of every report"""
import json
import sys


def load(path):
    global data, regions, columns
    data = json.load(open(path, encoding="utf-8"))
    regions = {region["name"]: region for region in data["regions"]}
    columns = data["columns"]
    drawn = [cell for region in data["regions"] + [data["shared_row"]] for cell in region["cells"]]
    assert all(0 <= cell[1] < len(columns) and sum(cell[3:]) > 0 for cell in drawn), "cells"
    assert all(cell[0] < region["row_count"] for region in data["regions"] for cell in region["cells"]), "rows"
    assert len(columns) <= 128 and sum(region["row_count"] for region in data["regions"]) < 256, "grid"
    assert sum(column["snapshot_count"] for column in columns) == data["snapshot_count"], "columns"
    assert all(branch["lane"] < 24 for branch in data["branches"]), "lanes"
    if data["finding_count"] == 0:
        assert sum(sum(cell[3:]) for cell in drawn) == data["total"]["changed_pages"], "pages"
        assert sum(region["written_pages"] for region in data["regions"]) == data["total"]["changed_pages"], "regions"


def cells(name):
    return " ".join("{}.{}:{}B/{}d{}w{}z".format(*cell) for cell in regions[name]["cells"])


if sys.argv[1] == "out":
    load("out")
    print(eval(sys.argv[2]))
else:
    for path in sys.argv[1:]:
        load(path)
END

# figures EXPRESSION VALUE
figures() {
    local value
    value=$(python3 figures.py out "$1") || fail "$1"
    [ "$value" = "$2" ] || fail "$1 is $value, not $2"
}

run 0 report --json known.svp
silent err
figures 'cells("heap")' '0.0:4096B/0d1w0z 0.8:4096B/0d0w1z 5.2:4096B/0d1w0z 5.6:16B/1d0w0z'
figures 'cells("stack")' '1.8:4096B/0d1w0z 2.8:4096B/0d1w0z'
figures '[(page["region"], page["page"], page["written_pages"]) for page in data["hottest"]][:2]' \
    "[('heap', 0, 2), ('heap', 5, 2)]"
figures 'columns[2]["first"]["label"], columns[2]["snapshot_count"]' "('third', 1)"
figures 'data["head"]["sequence"], data["title"], data["has_older"]' "(10, 'known.svp', False)"
run 0 report --json --last 4 --title 'a title' known.svp
figures 'cells("heap")' '0.2:4096B/0d0w1z 5.0:16B/1d0w0z'
figures 'data["title"], data["has_older"], data["branches"][0]["parent_snapshot"]' "('a title', True, None)"

run 0 report --json branch.svp
figures '[[b[k] for k in ("lane", "first_snapshot", "last_snapshot", "parent_snapshot")] for b in data["branches"]]' \
    '[[0, 0, 4, None], [1, 1, 2, 0]]'
figures '[column["lane"] for column in columns]' '[0, 1, 1, 0, 0]'
figures '[mark["point"]["label"] for mark in data["marks"] if mark["head"]]' "['other two']"
run 0 report --json game.svp
figures 'len(columns), data["column_snapshots"]' '(120, 1)'
run 0 report --json regions.svp
figures 'sum(region["row_count"] > 0 for region in data["regions"])' 64
figures 'sum(name in regions for name in ("level 0", "level 119"))' 2
"$memory" long.svp large 300 64
run 0 report --json long.svp
figures 'len(columns), columns[0]["snapshot_count"], columns[-1]["snapshot_count"]' '(100, 3, 3)'
figures 'regions["field"]["row_count"], data["hottest"][0]["page"], data["hottest"][0]["written_pages"]' '(64, 57, 300)'

# References, dropped snapshots, regions that come, grow and go: whatever is in the corpus, and in bounded time and memory.
for file in "$source_tree"/format/corpus/*.svp; do
    code=0
    timeout 20 "$tool" report --json "$file" >"$(basename "$file").json" 2>err || code=$?
    case $(basename "$file") in
    good-* | torn-*) [ "$code" = 0 ] ;;
    *) [ "$code" -le 6 ] ;;
    esac || fail "$(basename "$file"): exit code $code: $(cat err)"
done
find . -name '*.svp.json' -empty -delete
python3 figures.py ./*.svp.json || fail "the corpus"
run 0 report --json "$source_tree/format/corpus/good-ref-void.svp"
figures 'data["total"]["dropped_count"], [mark["dropped"] for mark in data["marks"]].count(True)' '(1, 1)'
run 0 report --json "$source_tree/format/corpus/good-ref-head.svp"
figures '[name for mark in data["marks"] for name in mark["names"]], any(mark["pinned"] for mark in data["marks"])' \
    "(['known good'], True)"

# Damage: the page tells it and shows the rest.
run 1 report --json damaged.svp
has err '^savepoint: report: damaged.svp: 1 thing could not be read; the report tells which$'
figures 'cells("heap")' '0.0:4096B/0d1w0z 0.1:4096B/0d1w0z'
figures '[column["damaged_count"] for column in columns]' '[0, 0, 1]'
figures 'data["findings"][0]["snapshot"] == data["head"]["id"], data["finding_count"]' '(True, 1)'
run 1 report -o damaged.html damaged.svp
[ -s damaged.html ] || fail "no page of the damaged archive"
run 0 report --json torn.svp
has err 'a torn tail'

# The page: everything in one file, nothing from the archive stands in it as markup.
run 0 report -o hostile.html hostile.svp
shows out <<<'hostile.html: 3 snapshots'
[ "$(stat -c %a hostile.html)" = 600 ] || fail "readable by others"
has hostile.html "^<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';"
[ "$(grep -c '^{' hostile.html)" = 1 ] || fail "the data is one line"
! grep '^{' hostile.html | grep -q '<' || fail "markup in the data"
[ "$(grep -c '</script>' hostile.html)" = 2 ] || fail "two scripts"
lacks hostile.html '@[a-z]+(\.[a-z]+)?@'
"$tool" report -o - hostile.svp | cmp - hostile.html || fail "-o - prints another page"
run 0 report --json -o figures.json known.svp
cp figures.json out
figures 'data["snapshot_count"]' 10

# Where it must not go.
run 2 report known.svp
has err 'where to\? -o report.html'
run 2 report -o hostile.html known.svp
has err 'hostile.html: is there already; --force replaces it$'
run 0 report -qf -o hostile.html known.svp
silent out
mkdir folder
run 2 report -f -o folder known.svp
run 3 report -o missing/report.html known.svp
run 2 report -f -o /dev/full known.svp
run 2 report --last 0 --json known.svp
code=0
"$tool" report --json known.svp >/dev/full 2>err || code=$?
[ "$code" = 3 ] || fail "a full disk gives exit code $code"
run 5 report -o none.html hostile.html
[ ! -e none.html ] || fail "a page of no archive"

# Ctrl-C at any time: the whole file or none, and 130 where the tool itself ended.
"$memory" slow.svp large 4000 4096
cat >interrupt.py <<'END'
import glob
import os
import signal
import subprocess
import sys
import time

command = [sys.argv[1], "report", "-q", "-o", "slow.html", "slow.svp"]
ended = 0
for attempt in range(40):
    tool = subprocess.Popen(command)
    time.sleep(0.01 * (attempt % 20))
    tool.send_signal(signal.SIGINT)
    code = tool.wait()
    assert code in (0, 130, -signal.SIGINT), f"exit code {code}"
    assert os.path.exists("slow.html") == (code == 0), f"exit code {code} and a file, or neither"
    ended += code == 130
    if code == 0:
        assert open("slow.html", encoding="utf-8").read().endswith("</html>\n"), "half a page"
        os.unlink("slow.html")
    assert glob.glob("slow.html*") == [], "something is left behind"
assert ended > 0, "never interrupted"
END
python3 interrupt.py "$tool" || fail "Ctrl-C"
finish
