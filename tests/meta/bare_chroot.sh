#!/bin/bash
# bare_chroot.sh - the stable paths on a machine that has nothing: a minimal Debian in a temporary folder
#
# usage: bare_chroot.sh [COMMAND...]   default: bash examples/demo.sh, then bash tests/run.sh
# Uses the committed tree (HEAD). Needs root and debootstrap.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
[ "$(id -u)" -eq 0 ] || { echo "bare_chroot: needs root"; exit 1; }

# The machine's own package source: the first Debian mirror that apt knows.
mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 2>/dev/null | grep -m1 -i debian || true)
mirror=${mirror:-http://deb.debian.org/debian}
release=$(. /etc/os-release && echo "$VERSION_CODENAME")

work=$(mktemp -d)
chroot=$work/debian
mounted=()

# Nothing is deleted below a mount that could not be undone.
clean_up() {
    local place
    for place in "${mounted[@]}"; do
        umount -R "$place" || umount -R -l "$place"
    done
    if grep -qF " $work/" /proc/self/mountinfo; then
        echo "bare_chroot: still mounted below $work; left as it is"
    else
        rm -rf --one-file-system "$work"
    fi
}
trap clean_up EXIT
trap 'exit 1' INT TERM HUP

bind() {
    mkdir -p "$chroot/$1"
    mount --rbind "/$1" "$chroot/$1" && mount --make-rslave "$chroot/$1"
    mounted=("$chroot/$1" "${mounted[@]}")
}

echo "bare_chroot: $release from $mirror"
debootstrap --variant=minbase "$release" "$chroot" "$mirror" >"$work/debootstrap.log" 2>&1 || {
    tail -n 20 "$work/debootstrap.log"
    exit 1
}
cp -L /etc/resolv.conf "$chroot/etc/resolv.conf" 2>/dev/null || true
for setting in $(grep -lsi proxy /etc/apt/apt.conf.d/* || true); do
    cp "$setting" "$chroot/etc/apt/apt.conf.d/"
done
mkdir -p "$chroot/savepoint"
git -c safe.directory='*' -C "$root" archive HEAD | tar -x -C "$chroot/savepoint"
bind proc
bind dev

inside() {
    echo "bare_chroot: $*"
    chroot "$chroot" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
        http_proxy="${http_proxy:-}" https_proxy="${https_proxy:-}" \
        bash -c 'cd /savepoint && "$@"' bash "$@"
}
if [ "$#" -gt 0 ]; then
    inside "$@"
else
    inside bash examples/demo.sh
    inside bash tests/run.sh
fi
