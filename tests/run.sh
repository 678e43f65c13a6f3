#!/bin/bash
# run.sh - fresh machine to all quick tests passed; the last line is "N passed, N failed, N skipped"
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
logs=$root/build/logs/run
cd "$root" || exit 1
. tests/support/steps.sh

require "install packages" bash cmake/install-packages.sh test
require "configure dev" cmake --preset dev
require "build dev" cmake --build --preset dev -j "$jobs"
require "configure release" cmake --preset release
require "build release tool" cmake --build --preset release -j "$jobs" --target savepoint-tool
suite "quick tests" build/dev -L '^quick$'
finish
