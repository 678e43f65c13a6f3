#!/bin/bash
# check_formatting.sh - clang-format has nothing to change
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v clang-format >/dev/null || { echo "check_formatting: needs clang-format"; exit 1; }
mapfile -t files < <(find format lib tools examples tests -name '*.[ch]' | sort)
clang-format --dry-run -Werror --ferror-limit=3 "${files[@]}"
echo "check_formatting: ${#files[@]} files"
