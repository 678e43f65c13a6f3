#!/usr/bin/env bash
# check_readme.sh - the program in README.md is examples/readme.c, line for line
set -u
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# The first C block of the README.
printed=$(awk '$0 == "```c" { inside = 1; next } inside && $0 == "```" { exit } inside' "$root/README.md")
if [ -z "$printed" ]; then
    echo "README.md holds no C program"
    exit 1
fi
if ! diff <(printf '%s\n' "$printed") "$root/examples/readme.c"; then
    echo "README.md (<) and examples/readme.c (>) differ: copy the program over"
    exit 1
fi
echo "README.md prints examples/readme.c"
