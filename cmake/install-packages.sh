#!/bin/bash
# install-packages.sh - install the Debian packages that building, testing or deep testing needs and that are missing
#
# usage: install-packages.sh build|test|deep
set -euo pipefail

build_packages="build-essential cmake pkg-config libzstd-dev libxxhash-dev"
test_packages="$build_packages bsdextrautils file libcriterion-dev python3 python3-xxhash python3-zstandard"
deep_packages="$test_packages chromium clang clang-format clang-tidy cppcheck debootstrap fish gcc-aarch64-linux-gnu gcc-mingw-w64-x86-64 git libc6-dev-arm64-cross liblmdb-dev llvm qemu-user strace valgrind wine wine64 xdelta3 xfsprogs zsh zstd"
command -v npm >/dev/null || deep_packages="$deep_packages npm" # may be there from elsewhere, which conflicts
case "${1:-}" in
build) wanted=$build_packages ;;
test) wanted=$test_packages ;;
deep) wanted=$deep_packages ;;
*)
    echo "usage: install-packages.sh build|test|deep" >&2
    exit 2
    ;;
esac

if ! command -v dpkg-query >/dev/null; then
    echo "packages: this is no Debian; needed are (by their Debian names): $wanted"
    exit 0
fi

missing=""
for package in $wanted; do
    state=$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null || true)
    [ "${state:0:2}" = ii ] || missing="$missing $package"
done
if [ -z "$missing" ]; then
    echo "packages: nothing missing"
    exit 0
fi

as_root=""
if [ "$(id -u)" -ne 0 ]; then
    if ! sudo -n true 2>/dev/null; then
        echo "packages: missing$missing" >&2
        echo "packages: not root; please run: sudo apt-get update && sudo apt-get install -y$missing" >&2
        exit 1
    fi
    as_root="sudo -n"
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Another apt may hold the lock, or a mirror may stumble: try a few times.
for attempt in 1 2 3; do
    if $as_root apt-get -o DPkg::Lock::Timeout=120 update >"$log" 2>&1 &&
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 \
            install -y --no-install-recommends $missing >>"$log" 2>&1; then
        echo "packages: installed$missing"
        exit 0
    fi
    sleep $((attempt * 5))
done
cat "$log" >&2
echo "packages: could not install$missing" >&2
exit 1
