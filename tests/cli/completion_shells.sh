#!/bin/bash
# completion_shells.sh - the completion scripts in the shells themselves, on a terminal
. "$(dirname "$0")/cli.bash"
for shell in bash fish zsh; do
    command -v "$shell" >/dev/null || {
        echo "SKIPPED: $shell is not installed"
        exit 77
    }
done
make linear
mv linear.svp game.svp
"$tool" label -q game.svp 'before boss' two
"$tool" label -q game.svp "it's" one
mkdir 'a dir'
cp game.svp 'my game.svp'
touch other.txt
for shell in bash fish zsh; do
    run 0 completion "$shell"
    cp out "$shell.script"
    "$shell" -n "$shell.script" || fail "the script for $shell is none"
    /usr/bin/python3 "$source_tree/tests/cli/shells.py" "$shell" "./$shell.script" "$tool" || fail "$shell"
done
finish
