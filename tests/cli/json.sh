#!/bin/bash
# json.sh - what --json prints is JSON, one object a line, and docs/json.md names every member
. "$(dirname "$0")/cli.bash"
make linear branch changes two_regions control_labels damaged torn

cat >check.py <<'END'
import json
import re
import sys

documented = set(re.findall(r"`([a-z0-9_]+)`", open(sys.argv[1], encoding="utf-8").read()))


def check(value):
    if isinstance(value, dict):
        for key, member in value.items():
            if key not in documented:
                sys.exit(f"docs/json.md does not name '{key}'")
            check(member)
    elif isinstance(value, list):
        for member in value:
            check(member)


lines = open("out", encoding="utf-8").read().split("\n")
if lines.pop() != "" or not lines:
    sys.exit("nothing printed, or no line end behind the last object")
for line in lines:
    value = json.loads(line)
    if not isinstance(value, dict):
        sys.exit("a line is no object")
    check(value)
END

# json CODE ARGUMENT...
json() {
    run "$@" --json
    python3 check.py "$source_tree/docs/json.md" || fail "$* --json"
}

for scenario in linear branch two_regions control_labels torn; do
    json 0 log --all $scenario.svp
    json 0 show $scenario.svp
    json 0 stats $scenario.svp
    json 0 verify $scenario.svp
    json 0 report $scenario.svp
done
json 0 show control_labels.svp 'HEAD~2'
json 1 verify damaged.svp
json 1 stats damaged.svp
json 1 diff changes.svp
json 1 diff changes.svp --stat
json 1 report damaged.svp
json 0 restore linear.svp HEAD~1
json 0 export two_regions.svp HEAD -o dump
json 0 hexdump --address linear.svp HEAD heap:1+40
json 0 label two_regions.svp best
json 0 label two_regions.svp
json 0 label two_regions.svp best --delete
json 0 pin two_regions.svp HEAD --note 'to be kept'
json 0 pin two_regions.svp
json 0 drop branch.svp two
json 0 compact branch.svp --keep-last 2
json 0 version
expected=0
grep -q '"backends":\[{"name":"[a-z]*","available":true' out || expected=1
json $expected doctor
json 0 doctor --self-test --seconds 1
finish
