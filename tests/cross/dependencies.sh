#!/bin/bash
# dependencies.sh - zstd and xxHash for another system, built as static libraries from their Debian sources
#
# usage: CC=... AR=... RANLIB=... dependencies.sh PREFIX
# Fills PREFIX/include, PREFIX/lib (libzstd.a, libxxhash.a) and PREFIX/lib/pkgconfig; does nothing when that is complete
# and was made by the same compiler. CFLAGS are honoured; their default is -O2.
set -euo pipefail
[ $# -eq 1 ] || { sed -n '4,6s/^# //p' "$0" >&2; exit 2; }
: "${CC:?the compiler for that system}" "${AR:?its ar}" "${RANLIB:?its ranlib}"
CFLAGS=${CFLAGS:--O2}
mkdir -p "$1"
prefix=$(cd "$1" && pwd)
made_by="$CC $CFLAGS: $($CC --version | head -n 1)"
if [ "$(cat "$prefix/made-by" 2>/dev/null)" = "$made_by" ]; then
    echo "dependencies: $prefix is complete"
    exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The machine's own package sources with their source packages, in lists of our own: those of the machine stay as they
# are, and no root is needed.
get_sources() {
    local list
    mkdir -p "$work/parts" "$work/lists/partial"
    for list in /etc/apt/sources.list.d/*.sources; do
        [ ! -e "$list" ] || sed 's/^Types:.*/Types: deb-src/' "$list" >"$work/parts/${list##*/}"
    done
    for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ ! -e "$list" ] || sed -n 's/^deb /deb-src /p' "$list" >"$work/parts/${list##*/}.list"
    done
    local options=(-o "Dir::Etc::SourceList=/dev/null" -o "Dir::Etc::SourceParts=$work/parts" -o "Dir::State::Lists=$work/lists"
        -o "Dir::Cache::srcpkgcache=" -o "Dir::Cache::pkgcache=" -o "APT::Sandbox::User=root")
    cd "$work"
    for _ in 1 2 3; do
        apt-get "${options[@]}" update && apt-get "${options[@]}" source --download-only libzstd xxhash && break
        sleep 5
    done
    dpkg-source --no-check -x libzstd_*.dsc zstd
    dpkg-source --no-check -x xxhash_*.dsc xxhash
}

# archive LIBRARY SOURCE...: compiles with the caller's compiler; the libraries' own makefiles guess the system. One by
# one: not every compiler takes several sources at once.
archive() {
    local library=$prefix/lib/$1
    local objects="$work/${1%.a}"
    local source
    shift
    mkdir -p "$objects"
    for source in "$@"; do
        (cd "$objects" && $CC $CFLAGS -fPIC -DZSTD_DISABLE_ASM -c "$source")
    done
    rm -f "$library"
    $AR rc "$library" "$objects"/*.o
    $RANLIB "$library"
}

# describe NAME VERSION: the .pc file
describe() {
    cat >"$prefix/lib/pkgconfig/lib$1.pc" <<END_OF_FILE
prefix=$prefix
Name: $1
Description: static library for cross builds
Version: $2
Cflags: -I\${prefix}/include
Libs: -L\${prefix}/lib -l$1
END_OF_FILE
}

# version FILE PREFIX: "1.5.4", from the three #defines PREFIX_MAJOR, _MINOR, _RELEASE
version() {
    local part
    for part in MAJOR MINOR RELEASE; do
        sed -n "s/^ *# *define *$2_$part *\([0-9]*\).*/\1/p" "$1"
    done | paste -sd.
}

get_sources >"$work/sources.log" 2>&1 || { cat "$work/sources.log"; exit 1; }
rm -f "$prefix/made-by"
mkdir -p "$prefix/include" "$prefix/lib/pkgconfig"
archive libzstd.a "$work"/zstd/lib/{common,compress,decompress}/*.c
archive libxxhash.a "$work/xxhash/xxhash.c"
cp "$work"/zstd/lib/{zstd.h,zstd_errors.h} "$work"/xxhash/{xxhash.h,xxh3.h} "$prefix/include"
describe zstd "$(version "$work/zstd/lib/zstd.h" ZSTD_VERSION)"
describe xxhash "$(version "$work/xxhash/xxhash.h" XXH_VERSION)"
echo "$made_by" >"$prefix/made-by"
echo "dependencies: zstd $(version "$work/zstd/lib/zstd.h" ZSTD_VERSION) and" \
    "xxHash $(version "$work/xxhash/xxhash.h" XXH_VERSION) built into $prefix"
