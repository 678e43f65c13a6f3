#!/bin/bash
# diff.sh - savepoint diff: ranges, bytes, counts, regions, JSON, what it exits with
. "$(dirname "$0")/cli.bash"
make changes linear branch torn damaged

# prints [WORDS]: all but the two lines that name the snapshots is what stands on standard input
prints() {
    cat >expected
    tail -n +3 out | diff -u --label expected --label out expected - || fail "out differs"
}

run 1 diff changes.svp old new
silent err
head -n 2 out >names
normalise names | diff - <(printf '%s\n' '--- ID sequence 1 TIME old' '+++ ID sequence 2 TIME new') || fail "the names"
prints <<'END'
arena
+ 0x00000000..0x00000fff  1 page
heap
  0x000013a8..0x000013af  8 bytes  page 1 + 0x3a8
  0x00005ffc..0x00006003  8 bytes  page 5 + 0xffc
  0x00008000..0x00008004  2 bytes  page 8 + 0x000
  0x00008010..0x00008010  1 byte  page 8 + 0x010
  0x00009000..0x00009fff  4096 bytes  page 9 + 0x000
temp
- 0x00000000..0x00000fff  1 page
world
+ 0x00002000..0x00003fff  2 pages
changed  4115 bytes on 5 pages
gone     1 page (1 region)
new      3 pages (1 region)
END

# HEAD~1 and HEAD are what is compared where nothing is named; the other way round, signs change places.
cp out forward
run 1 diff changes.svp
cmp -s out forward || fail "the defaults are HEAD~1 and HEAD"
run 1 diff changes.svp old
cmp -s out forward || fail "the default of the right is HEAD"
run 1 diff changes.svp new old
has out '^- 0x00002000\.\.0x00003fff  2 pages$'
has out '^gone     3 pages \(1 region\)$'

run 0 diff changes.svp new HEAD
silent out
run 0 diff -q changes.svp new new
run 1 diff --quiet changes.svp old new
silent out
run 1 diff branch.svp three 'other two'
has out '^changed  [0-9]+ bytes on 2 pages$'
run 0 diff branch.svp one label:one --json
has out '"equal":true'

# The bytes themselves, the first 20 rows of a region.
run 1 diff changes.svp old new --hex --region heap
tail -n +4 out | head -n 12 >rows
diff -u - rows <<'END' || fail "--hex"
- 000013a0  61 20 6c 69 6e 65 20 6f 66 20 6d 65 6d 6f 72 79  a line of memory
+ 000013a0  61 20 6c 69 6e 65 20 6f 58 58 58 58 58 58 58 58  a line oXXXXXXXX
- 00005ff0  00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  ................
+ 00005ff0  00 00 00 00 00 00 00 00 00 00 00 00 01 01 01 01  ................
- 00006000  00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  ................
+ 00006000  01 01 01 01 00 00 00 00 00 00 00 00 00 00 00 00  ................
- 00008000  00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  ................
+ 00008000  02 00 00 00 02 00 00 00 00 00 00 00 00 00 00 00  ................
- 00008010  00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  ................
+ 00008010  02 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  ................
- 00009000  00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  ................
+ 00009000  03 03 03 03 03 03 03 03 03 03 03 03 03 03 03 03  ................
END
[ "$(wc -l <out)" = 45 ] || fail "20 rows and $(($(wc -l <out) - 5)) lines"
has out '^  \.\.\. 241 more \(--all\)$'
run 1 diff changes.svp old new --hex --region heap --all
[ "$(grep -c '^[-+] ' out)" = 522 ] || fail "--all shows $(grep -c '^[-+] ' out) lines of bytes"
lacks out 'more'

# Ranges are bounded too; JSON never is, and bridges no gap.
run 1 diff linear.svp one five --json
[ "$(grep -c '"type":"run"' out)" -gt 30 ] || fail "the noise of 'linear' should make many runs"
run 1 diff changes.svp old new --json
sed -E 's/[0-9a-f]{32}/ID/g' out | diff -u - <(cat <<'END'
{"type":"run","kind":"only_right","region":"arena","offset":0,"bytes":4096}
{"type":"run","kind":"changed","region":"heap","offset":5032,"bytes":8}
{"type":"run","kind":"changed","region":"heap","offset":24572,"bytes":8}
{"type":"run","kind":"changed","region":"heap","offset":32768,"bytes":1}
{"type":"run","kind":"changed","region":"heap","offset":32772,"bytes":1}
{"type":"run","kind":"changed","region":"heap","offset":32784,"bytes":1}
{"type":"run","kind":"changed","region":"heap","offset":36864,"bytes":4096}
{"type":"run","kind":"only_left","region":"temp","offset":0,"bytes":4096}
{"type":"run","kind":"only_right","region":"world","offset":8192,"bytes":8192}
{"type":"summary","left":"ID","right":"ID","equal":false,"regions_changed":2,"regions_only_left":1,"regions_only_right":1,"pages_changed":5,"pages_only_left":1,"pages_only_right":3,"changed_bytes":4115}
END
) || fail "--json"

run 1 diff changes.svp old new --stat
shows out <<'END'
REGION PAGES BYTES AMPL SIZE
arena new SIZE
heap 5 4115 5.0x ####....................
temp gone SIZE
world +SIZE
changed 4115 bytes on 5 pages
gone 1 page (1 region)
new 3 pages (1 region)
END
run 1 diff changes.svp old new --stat --json
has out '^\{"type":"region","region":"arena","change":"new","left_bytes":null,"right_bytes":4096,"pages_changed":0,"changed_bytes":0\}$'
has out '"region":"heap","change":"changed","left_bytes":57344,"right_bytes":57344,"pages_changed":5,"changed_bytes":4115'
lacks out '"type":"run"'
run 1 diff changes.svp old new --regions
shows out <<'END'
CHANGE REGION SIZE
new arena SIZE
changed heap SIZE
gone temp SIZE
grown world SIZE -> SIZE
END
run 1 diff changes.svp new old --regions -r world
has out '^shrunk +world'
[ "$(wc -l <out)" = 2 ] || fail "one region"

run 1 diff changes.svp old new --regions --json
tail -n 1 out >last
has last '^\{"type":"summary"'

# One region.
run 1 diff changes.svp old new --region temp
prints <<'END'
temp
- 0x00000000..0x00000fff  1 page
gone     1 page (1 region)
END
run 0 diff linear.svp one one --region heap
run 2 diff changes.svp old new --region wrld
has err "neither snapshot has a region 'wrld'; did you mean 'world'\?$"
run 2 diff changes.svp old new --region nothing
has err "'savepoint show' lists them$"

# Widths and colours.
for columns in $(seq 40 3 82); do
    for option in --all --hex --stat --regions; do
        COLUMNS=$columns run 1 diff changes.svp old new "$option"
        [ "$(wc -L <out)" -le "$columns" ] || fail "$option is $(wc -L <out) wide on $columns columns"
        lacks out '^[-+ ] 0.*…$'
    done
done
COLUMNS=40 run 1 diff changes.svp old new --hex
has out '^\+ 000013a8  58 58 58 58 58 58 58 58$'
COLUMNS=80 run 1 diff changes.svp old new --hex
has out '^\+ 000013a0 .*  a line oXXXXXXXX$'
escape=$(printf '\033')
lacks out "$escape"
run 1 diff changes.svp old new --hex --color=always
has out "^\+ 000013a0  61 20 6c 69 6e 65 20 6f $escape\[32m58 58 58 58 58 58 58 58$escape\[0m  a line o$escape\[32mXXXXXXXX$escape\[0m$"

# What cannot be compared.
run 2 diff changes.svp nothing
run 2 diff changes.svp old new --hex --stat
run 2 diff changes.svp old new --json --quiet
run 2 diff changes.svp old new HEAD
make empty
run 5 diff empty.svp
run 2 diff linear.svp HEAD~4 HEAD~5
run 6 diff damaged.svp 'also good' bad
has err "^savepoint: diff: damaged.svp: page 0 of region 'heap': "
run 6 diff --json damaged.svp 'also good' bad
lacks out summary
run 1 diff damaged.svp good 'also good' # they do not rest on it
run 1 diff torn.svp one two
has err 'torn tail'

# Output that does not arrive.
code=0
"$tool" diff changes.svp >/dev/full 2>err || code=$?
[ "$code" = 3 ] || fail "a full disk gives exit code $code"
{ "$tool" diff --hex --all linear.svp one five 2>err || true; } | head -n 1 >first
silent err

# Ctrl-C while the reader does not read on.
mkfifo waiting
code=0
exec 3<>waiting
env --default-signal=INT "$tool" diff linear.svp one five --hex --all >waiting 2>err 3>&- &
comparison=$!
dd bs=1 count=1 <&3 >first 2>/dev/null # it has begun; the pipe holds less than all of it
kill -INT "$comparison"
cat <&3 >rest &
reader=$!
wait "$comparison" || code=$?
kill "$reader"
wait "$reader" 2>/dev/null || true
exec 3>&-
[ "$code" = 130 ] || fail "Ctrl-C gives exit code $code"
silent err
finish
