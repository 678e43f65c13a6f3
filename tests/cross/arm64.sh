#!/bin/bash
# arm64.sh - savepoint for Linux on 64-bit ARM: built, tested under qemu, and each system reads what the other one wrote
#
# usage: arm64.sh [all]    all: the longest property tests, too
# qemu's user mode runs programs of another processor on this kernel. It has no userfaultfd, so the tests run over
# `signal` and `compare`; what the kernel does to memory under watch is not its business (contract.test_trap_*).
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
tree=$root/build/cross/linux-arm64
native=$root/build/cross/linux-native
libraries=$tree-libraries
emulator=(qemu-aarch64 -L /usr/aarch64-linux-gnu)

# Tests that need more than qemu's user mode has, and their programs, whose other tests are run one by one.
declare -A lacking=(
    [watch_kernel/writes_are_counted_or_prepared_for]="process_vm_writev"
    [watch_ranges/executable_memory_stays_executable]="executable memory in /proc/self/maps"
    [watch_ranges/partly_executable_memory]="executable memory in /proc/self/maps"
    [watch_cases/c17_to_c19_files]="reads at the end of a file into memory that is write-protected"
    [watch_choose/the_primary_comes_first]="userfaultfd"
    [watch_choose/where_the_primary_is_missing]="seccomp filters"
    [watch_choose/a_lie_is_found_out]="seccomp filters"
    [cases/page_of_a_failed_take_is_stored_by_the_next]="a write-watch that tells the pages of a small region apart"
)
by_test=(contract/test_watch_kernel contract/test_watch_ranges contract/test_watch_cases contract/test_watch_choose
    property/test_cases)
long='|^property\.test_(diff|exhaustive|history)\.'
[ "${1:-}" != all ] || long=""
passed=0
lacked=0

build_both() {
    CC=aarch64-linux-gnu-gcc AR=aarch64-linux-gnu-ar RANLIB=aarch64-linux-gnu-ranlib \
        bash "$root/tests/cross/dependencies.sh" "$libraries"
    PKG_CONFIG_LIBDIR=$libraries/lib/pkgconfig cmake -S "$root" -B "$tree" \
        --toolchain "$root/cmake/toolchains/linux-arm64.cmake" -D CMAKE_BUILD_TYPE=RelWithDebInfo \
        -D CMAKE_COMPILE_WARNING_AS_ERROR=ON -D SAVEPOINT_BUILD_BENCHMARKS=OFF -D SAVEPOINT_TEST_RUNNERS=plain
    cmake --build "$tree" -j "$(nproc)"
    cmake -S "$root" -B "$native" -D CMAKE_BUILD_TYPE=RelWithDebInfo -D SAVEPOINT_TEST_RUNNERS=plain \
        -D SAVEPOINT_BUILD_BENCHMARKS=OFF
    cmake --build "$native" -j "$(nproc)" --target savepoint-tool make_archive readme
}

# program PATH: a script under the same name that runs it in the emulator; prints the script's path
program() {
    mkdir -p "$tree/emulated"
    printf '#!/bin/sh\nexec %s "%s" "$@"\n' "${emulator[*]}" "$tree/$1" >"$tree/emulated/${1##*/}"
    chmod +x "$tree/emulated/${1##*/}"
    echo "$tree/emulated/${1##*/}"
}

# run_singly NAME: every test of a program by itself, over both write-watches
run_singly() {
    local path test watch
    path=$(find "$tree/tests" -name "${1/\//.}.plain" -type f)
    for watch in signal compare; do
        while read -r test; do
            if [ -n "${lacking[$test]:-}" ]; then
                lacked=$((lacked + 1))
                echo "$test, $watch: not run, qemu lacks ${lacking[$test]}"
                continue
            fi
            SAVEPOINT_TEST_BACKEND=$watch bash "$root/tests/support/run_test.sh" plain "${emulator[@]}" "$path" \
                --filter "$test" </dev/null
            passed=$((passed + 1))
        done < <("${emulator[@]}" "$path" --list)
    done
}

run_tests() {
    local but log=$tree/ctest.log
    but="^($(IFS='|' && echo "${by_test[*]}" | tr / .))\\.|\\.uffd\\.|^contract\\.test_trap_$long"
    ctest --test-dir "$tree" --no-tests=error --output-on-failure -j "$(nproc)" -L '^plain$' \
        -R '^(unit|support|format|contract|property|session)\.' -E "$but" | tee "$log"
    if grep -F '***Skipped' "$log"; then
        echo "FAIL: a test was skipped that is not in the list of what qemu lacks"
        return 1
    fi
    passed=$((passed + $(grep -c ' Passed ' "$log")))
    for name in "${by_test[@]}"; do
        run_singly "$name"
    done
}

# The tool there on archives written here, and the other way round; and one archive continued on both.
cross_read() {
    local tool verb here=$native/tests/make_archive
    tool=$(program tools/savepoint)
    for verb in log show diff stats verify restore label pin export cat hexdump; do
        bash "$root/tests/cli/$verb.sh" "$tool" "$here"
        bash "$root/tests/cli/$verb.sh" "$native/tools/savepoint" "$(program tests/make_archive)"
        passed=$((passed + 2))
    done
    bash "$root/tests/format/corpus.sh" "$tool" "$root/docs/independent/svp_reader.py" "$root/format/corpus"
    (
        rm -rf "$tree/both" && mkdir "$tree/both" && cd "$tree/both"
        "$native/examples/readme"
        "$(program examples/readme)"
        "$native/examples/readme"
        [ "$("$(program examples/readme)")" = "run number 4" ]
    )
    passed=$((passed + 2))
}

build_both
file -b "$tree/tools/savepoint" | grep -q '^ELF 64-bit LSB pie executable, ARM aarch64'
run_tests
cross_read
echo "$passed tests and scripts passed under qemu, $lacked not run for what it lacks; never run on a 64-bit ARM machine"
