#!/bin/bash
# check_symbols.sh - the shared library exports the public functions and nothing else; internals keep their prefix
#
# usage: check_symbols.sh SHARED-LIBRARY OBJECT...
set -euo pipefail
include=$(cd "$(dirname "$0")/../.." && pwd)/lib/include
headers="$include/savepoint.h $include/savepoint/archive.h $include/savepoint/watch.h"
shared=$1
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Declared: the name before the first '(' of each declaration that begins with SAVEPOINT_API.
# shellcheck disable=SC2086
grep -hv '^#' $headers | tr '\n' ' ' | grep -oE 'SAVEPOINT_API [^;()]*\(' |
    sed -E 's/.*[ *](savepoint_[a-z_]+)\($/\1/' | sort -u >"$work/declared"
nm -D --defined-only "$shared" | awk '{ print $3 }' | sed 's/@.*//' | sort -u >"$work/exported"
nm --defined-only "$@" | awk '$2 ~ /^[A-Z]$/ { print $3 }' | sort -u >"$work/global"

declared=$(wc -l <"$work/declared")
echo "check_symbols: $declared functions declared, $(wc -l <"$work/exported") symbols exported," \
    "$(wc -l <"$work/global") global"
status=0
[ "$declared" -gt 10 ] || { echo "the headers' declarations were not found"; status=1; }
if ! diff "$work/declared" "$work/exported" >"$work/difference"; then
    sed -n 's/^< /declared but not exported: /p; s/^> /exported but not declared: /p' "$work/difference"
    status=1
fi
# Sanitizers and coverage add globals with two leading underscores.
if grep -vE '^(savepoint_|svp_|__)' "$work/global"; then
    echo "^ global symbols without the prefix savepoint_ or svp_"
    status=1
fi
exit $status
