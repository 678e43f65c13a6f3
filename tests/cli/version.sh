#!/bin/bash
# version.sh - savepoint version: library, format and write-watches
. "$(dirname "$0")/cli.bash"

run 0 version
silent err
has out '^savepoint [0-9]+\.[0-9]+\.[0-9]+ \(archive format [0-9]+\)$'
has out '^compare +yes '
cp out first
run 0 --version
cmp -s out first || fail "--version says something else"
run 0 version --json
[ "$(wc -l <out)" = 1 ] || fail "one object on one line"
has out '^\{"version":"[0-9.]+","format_version":[0-9]+,"backends":\[\{"name":"'
has out '\{"name":"compare","available":true,'
run 2 version argument
finish
