#!/bin/bash
# deep.sh - sanitizers, installation, formatting, linters, a bare machine; the last line is
# "N passed, N failed, N skipped"
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
logs=$root/build/logs/deep
cd "$root" || exit 1
. tests/support/steps.sh

require "install packages" bash cmake/install-packages.sh deep

require "configure dev" cmake --preset dev
require "build dev" cmake --build --preset dev -j "$jobs"
suite "deep tests" build/dev -L '^deep$'

# Not what looks at the source, waits more than it works, or kills processes; races have their own sanitizer; and each test
# with one runner: this one has no use for more.
require "configure asan" cmake --preset asan
require "build asan" cmake --build --preset asan -j "$jobs"
suite "asan tests" build/asan -L '^quick$' -LE '^(meta|mutants|criterion|race)$' \
    -E '^(crash\.kill_|cli\.(doctor|progress|self_test|top)$)'

require "configure tsan" cmake --preset tsan
require "build tsan" cmake --build --preset tsan -j "$jobs"
suite "race tests under tsan" build/tsan -L '^race$'

check "formatting" bash tests/meta/check_formatting.sh
check "linters" bash tests/meta/check_linters.sh
if [ -f tests/cross.sh ]; then
    check "cross builds" bash tests/cross.sh
fi
check "valgrind" bash tests/contract/valgrind.sh
check "bare machine" bash tests/meta/bare_chroot.sh
finish
