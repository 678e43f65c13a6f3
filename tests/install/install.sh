#!/bin/bash
# install.sh - shared and static installations serve C and C++ users by find_package, pkg-config, add_subdirectory
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ran=0

quietly() {
    "$@" >"$work/log" 2>&1 || { cat "$work/log"; echo "install: failed: $*"; exit 1; }
}

run_consumer() {
    rm -f "$work/archive.svp"
    "$@" "$work/archive.svp"
    ran=$((ran + 1))
}

build_consumer() { # NAME FROM [CMAKE-ARGUMENT...]
    local build=$work/consumer-$1
    local from=$2
    shift 2
    quietly cmake -S "$here/consumer" -B "$build" "-DSAVEPOINT_FROM=$from" "$@"
    quietly cmake --build "$build" -j 2
    run_consumer "$build/consumer_c"
    run_consumer "$build/consumer_cpp"
}

# The library is found by its SONAME in the prefix: no run path in what pkg-config users build.
build_with_pkgconfig() { # PREFIX [--static]
    local prefix=$1
    local libdir flags
    libdir=$(dirname "$(find "$prefix" -name savepoint.pc)")
    flags=$(PKG_CONFIG_PATH=$libdir pkg-config --cflags --libs "${@:2}" savepoint)
    # shellcheck disable=SC2086
    quietly cc -std=c11 -Wall -Wextra -Werror "$here/consumer/consumer.c" -o "$work/pc_c" $flags
    # shellcheck disable=SC2086
    quietly c++ -std=c++11 -Wall -Wextra -Werror -x c++ "$here/consumer/consumer.c" -x none -o "$work/pc_cpp" $flags
    run_consumer env "LD_LIBRARY_PATH=${libdir%/pkgconfig}" "$work/pc_c"
    run_consumer env "LD_LIBRARY_PATH=${libdir%/pkgconfig}" "$work/pc_cpp"
}

for kind in shared static; do
    shared=$([ $kind = shared ] && echo ON || echo OFF)
    prefix=$work/prefix-$kind
    echo "== $kind"
    quietly cmake -S "$root" -B "$work/$kind" -DCMAKE_BUILD_TYPE=Release "-DBUILD_SHARED_LIBS=$shared" \
        -DSAVEPOINT_BUILD_TESTS=OFF -DSAVEPOINT_BUILD_EXAMPLES=OFF "-DCMAKE_INSTALL_PREFIX=$prefix"
    quietly cmake --build "$work/$kind" -j 2
    quietly cmake --install "$work/$kind"
    rm -rf "${work:?}/$kind"

    echo "-- the tool"
    "$prefix/bin/savepoint" --version
    echo "-- find_package"
    build_consumer "$kind-package" find_package "-DCMAKE_PREFIX_PATH=$prefix"
    echo "-- pkg-config"
    if [ $kind = static ]; then
        build_with_pkgconfig "$prefix" --static
    else
        build_with_pkgconfig "$prefix"
        soname=$(find "$prefix" -name 'libsavepoint.so.[0-9]*' -type l -printf '%f')
        [ "$soname" = libsavepoint.so.1 ] || { echo "install: SONAME link is '$soname'"; exit 1; }
    fi
    echo "-- add_subdirectory"
    build_consumer "$kind-subdirectory" "$root" "-DBUILD_SHARED_LIBS=$shared"
    find "$prefix" -name 'savepoint.h' | grep -q . || { echo "install: no header"; exit 1; }
    for header in archive watch; do
        find "$prefix" -path "*/savepoint/$header.h" | grep -q . || { echo "install: no savepoint/$header.h"; exit 1; }
    done
done
echo "install: $ran programs ran"
[ "$ran" -eq 12 ]
