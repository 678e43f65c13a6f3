#!/bin/bash
# check_header.sh - each public header compiles alone as C11 and C++11, pedantically, and their _INIT macros work
set -euo pipefail
include=$(cd "$(dirname "$0")/../.." && pwd)/lib/include
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
headers="savepoint.h savepoint/archive.h savepoint/watch.h"
# shellcheck disable=SC2086
macros=$(cd "$include" && grep -hoE '^#define SAVEPOINT_[A-Z]+_OPTIONS_INIT|^#define SAVEPOINT_OPTIONS_INIT' $headers |
    awk '{ print $2 }')
[ -n "$macros" ] || { echo "check_header: no _INIT macro found"; exit 1; }

{
    # shellcheck disable=SC2086
    printf '#include "%s"\n' $headers
    echo 'int main(void) {'
    echo '    size_t wrong = 0;'
    for macro in $macros; do
        structure=$(tr '[:upper:]' '[:lower:]' <<<"${macro%_INIT}")
        echo "    { struct $structure options = $macro; wrong += options.size != sizeof options; }"
    done
    echo '    return (int)wrong;'
    echo '}'
} >"$work/use.c"
cp "$work/use.c" "$work/use.cpp"

warnings="-Wall -Wextra -Wshadow -pedantic -Wundef -Wconversion -Werror -I$include"
count=0
for compiler in "gcc -std=c11" "clang -std=c11" "g++ -std=c++11" "clang++ -std=c++11"; do
    command -v "${compiler%% *}" >/dev/null || continue
    case $compiler in *c++*) suffix=cpp ;; *) suffix=c ;; esac
    for header in $headers; do
        echo "#include \"$header\"" >"$work/alone.$suffix"
        # shellcheck disable=SC2086
        $compiler $warnings -c "$work/alone.$suffix" -o "$work/alone.o"
    done
    # shellcheck disable=SC2086
    $compiler $warnings "$work/use.$suffix" -o "$work/use"
    "$work/use" || { echo "check_header: a size field is wrong with $compiler"; exit 1; }
    count=$((count + 1))
done
echo "check_header: $(wc -w <<<"$macros") _INIT macros, $count compilers"
[ "$count" -ge 2 ]
