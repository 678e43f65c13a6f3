#!/bin/bash
# log.sh - savepoint log: ancestors, branches, limits, torn and damaged archives
. "$(dirname "$0")/cli.bash"
make linear branch autosave torn damaged unsynced empty

run 0 log linear.svp
silent err
shows out <<'END'
ID SEQ TIME PAGES SIZE STATE NAMES LABEL
ID 5 TIME 1 SIZE sealed HEAD five
ID 4 TIME 4 SIZE sealed
ID 3 TIME 3 SIZE sealed three
ID 2 TIME 2 SIZE sealed two
ID 1 TIME 1 SIZE sealed one
END

run 0 log -n 2 linear.svp
[ "$(wc -l <out)" = 3 ] || fail "-n 2 shows $(wc -l <out) lines with the title"

run 0 log branch.svp
shows out <<'END'
ID SEQ TIME PAGES SIZE STATE NAMES LABEL
ID 5 TIME 2 SIZE sealed HEAD other two
ID 4 TIME 2 SIZE sealed other
ID 1 TIME 1 SIZE sealed one
2 snapshots on other branches (--all)
END
run 0 log -n 1 branch.svp
lacks out 'other branches'

run 0 log --all branch.svp
shows out <<'END'
 ID SEQ TIME PAGES SIZE STATE NAMES LABEL
* ID 5 TIME 2 SIZE sealed HEAD other two
* ID 4 TIME 2 SIZE sealed other
| * ID 3 TIME 1 SIZE sealed three
| * ID 2 TIME 1 SIZE sealed two
|/
* ID 1 TIME 1 SIZE sealed one
END

run 0 log autosave.svp
shows out <<'END'
ID SEQ TIME PAGES SIZE STATE NAMES LABEL
ID 11 TIME 1 SIZE sealed HEAD auto
ID 10 TIME 1 SIZE sealed auto
ID 6 TIME 1 SIZE sealed by hand
END
run 0 log --dropped autosave.svp
[ "$(grep -c ' auto$' out)" = 10 ] || fail "--dropped shows all autosaves"
run 0 log --dropped --json autosave.svp
[ "$(grep -c '"autosave":true' out)" = 10 ] || fail "ten autosaves"
[ "$(grep -c '"dropped":true' out)" = 8 ] || fail "eight are dropped"

run 0 log --json linear.svp
[ "$(wc -l <out)" = 5 ] || fail "one line for each snapshot"
[ "$(grep -c '"head":true' out)" = 1 ] || fail "one HEAD"
has out '^\{"id":"[0-9a-f]{32}","parent":"[0-9a-f]{32}","digest":"[0-9a-f]{32}","sequence":5,'
has out '"parent":null,"digest":"[0-9a-f]{32}","sequence":1,'
has out '"label":"five","names":\[\],"pinned":false,"head":true,"sealed":true,'

run 0 log torn.svp
has err '^savepoint: log: torn.svp: the last .* are a torn tail'
[ "$(grep -cE ' (one|two)$' out)" = 2 ] || fail "the snapshots before the tail are shown"
lacks out 'lost'

run 0 log unsynced.svp
has out ' unsealed .*also written$'
has out ' sealed .*durable$'

"$tool" log damaged.svp >out 2>err || [ $? = 1 ] || fail "damage gives exit code 1"
has out 'also good'

run 5 log empty.svp
has err '^savepoint: log: empty.svp: '
run 3 log missing.svp
has err 'No such file or directory'
printf 'no archive' >text.svp
run 5 log text.svp
finish
