#!/bin/bash
# macos.sh - library and tool compiled and linked for macOS on both processors; there is no Mac to run them on
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
zig=$root/build/zig
failures=0

fail() {
    echo "FAIL: $*"
    failures=$((failures + 1))
}

# is_file PATH PATTERN: what `file` calls it
is_file() {
    file -b "$1" | grep -Eq "$2" || fail "$1 is '$(file -b "$1")', not '$2'"
}

# defines FILE SYMBOL...: FILE, a static library or a program, defines each of them
defines() {
    local symbols symbol
    symbols=$(llvm-nm --defined-only --format=just-symbols "$1")
    for symbol in "${@:2}"; do
        grep -qx "_$symbol" <<<"$symbols" || fail "$1 does not define $symbol"
    done
}

# needs FILE SYMBOL...: FILE wants each of them from the system
needs() {
    local symbols symbol
    symbols=$(llvm-nm --undefined-only --format=just-symbols "$1")
    for symbol in "${@:2}"; do
        grep -qx "_$symbol" <<<"$symbols" || fail "$1 does not use $symbol"
    done
}

# build ARCHITECTURE OPTION...: configures and builds in build/cross/macos-ARCHITECTURE
build() {
    local libraries=$root/build/cross/macos-$1-libraries
    local tree=$root/build/cross/macos-$1
    CC=$zig/macos-$1-cc AR=$zig/macos-$1-ar RANLIB=$zig/macos-$1-ranlib \
        bash "$root/tests/cross/dependencies.sh" "$libraries"
    PKG_CONFIG_LIBDIR=$libraries/lib/pkgconfig cmake -S "$root" -B "$tree" \
        --toolchain "$root/cmake/toolchains/macos-$1.cmake" -D CMAKE_BUILD_TYPE=RelWithDebInfo \
        -D CMAKE_COMPILE_WARNING_AS_ERROR=ON -D CMAKE_EXPORT_COMPILE_COMMANDS=ON -D SAVEPOINT_BUILD_EXAMPLES=ON \
        -D SAVEPOINT_BUILD_TESTS=OFF -D SAVEPOINT_BUILD_BENCHMARKS=OFF
    cmake --build "$tree" -j "$(nproc)"
}

# The files that only this system has; the others are looked at by tests/meta/check_linters.sh.
lint() {
    local files
    mapfile -t files < <(cd "$root" && ls lib/os/*_macos.c lib/watch/mach*.c lib/watch/*_macos.c tools/*_macos.c)
    (cd "$root" && clang-tidy --quiet -p "build/cross/macos-arm64" --warnings-as-errors='*' \
        --extra-arg=--target=arm64-apple-macos11 --extra-arg="-isystem$zig/zig/lib/libc/include/any-macos-any" \
        "${files[@]}") || fail "clang-tidy has something to say"
}

bash "$root/cmake/get-zig.sh" "$zig"
built=0
for architecture in arm64 x86_64; do
    build "$architecture"
    tree=$root/build/cross/macos-$architecture
    for program in "$tree"/tools/savepoint "$tree"/examples/{crash_resume,first_snapshot,gray_scott,readme,undo,word_index,write_watch}; do
        is_file "$program" "^Mach-O 64-bit $architecture executable"
        built=$((built + 1))
    done
    defines "$tree/lib/libsavepoint.a" svp_mach_backend svp_mach_epochs svp_mach_pages svp_signal_backend \
        svp_compare_backend savepoint_take savepoint_restore svp_host_build_id
    needs "$tree/tools/savepoint" mach_vm_remap mach_vm_page_range_query mach_vm_page_info mach_vm_region_recurse \
        mach_make_memory_entry_64 task_threads thread_suspend sigaction fcntl
done
lint
[ "$failures" -eq 0 ] || exit 1
echo "$built programs for macOS 11 and later, arm64 and x86-64, linked (never run: no Mac here)"
