#!/bin/bash
# show.sh - savepoint show: one snapshot by every kind of name
. "$(dirname "$0")/cli.bash"
make linear two_regions torn

run 0 show linear.svp
silent err
head -n 8 out >top
shows top <<'END'
snapshot LONGID
parent LONGID
digest LONGID
sequence 5
time TIME (UTC)
label five
names HEAD
flags sealed
END
has out '^changed +1 of 16 pages \(6\.2%\)$'
has out '^heap +0x[0-9a-f]+ +64\.0 KiB +0 B +the program.s$'
has out '^snapshots +5$'
has out '^pause +[1-9][0-9.]* (µs|ms)$'

run 0 show linear.svp three
has out '^sequence +3$'
run 0 show linear.svp HEAD~2
has out '^sequence +3$'
run 0 show linear.svp "$(id_of linear.svp two | cut -c1-12)"
has out '^label +two$'
run 0 show linear.svp one
has out '^parent +none$'
has out '^flags +sealed, root$'

run 2 show linear.svp nothing
has err "^savepoint: show: linear.svp: .*nothing"
has err '^This lists what is there: savepoint log --all linear.svp$'
run 2 show linear.svp HEAD~5

run 0 show two_regions.svp --json
[ "$(wc -l <out)" = 1 ] || fail "one object on one line"
has out '"regions":\[\{"name":"\.\./world","address":"0x[0-9a-f]+","bytes":8192,"excluded_bytes":0,"mapped":false\}'
has out '"name":"heap","address":"0x[0-9a-f]+","bytes":65536,"excluded_bytes":8192,'
has out '"archive":\{"path":"two_regions.svp","file_uuid":"[0-9a-f]{32}",.*"torn_bytes":0,"damage_offset":null,'

run 0 show torn.svp
has err 'torn tail'
finish
