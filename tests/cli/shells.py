"""shells.py - types command lines with tabs into real shells, and compares the words that the command was given

usage: shells.py SHELL SCRIPT TOOL, in a folder with game.svp; SCRIPT is what 'savepoint completion SHELL' prints
"""
import os
import pty
import re
import select
import sys
import time

# What is typed, and the words that savepoint is run with. Ids of snapshots, drawn anew each time, may begin with "bef".
CASES = [
    ("savepoint veri\t --q\t game\t", ["verify", "--quiet", "game.svp"]),
    ("savepoint show game.svp befo\t", ["show", "game.svp", "before boss"]),
    ("savepoint show game.svp 'befo\t", ["show", "game.svp", "before boss"]),
    ("savepoint show game.svp before\\ b\t", ["show", "game.svp", "before boss"]),
    ("savepoint show game.svp it\t", ["show", "game.svp", "it's"]),
    ("savepoint show game.svp thr\t", ["show", "game.svp", "three"]),
    ("savepoint show game.svp label:thr\t", ["show", "game.svp", "label:three"]),
    ("savepoint log --color=al\t game.svp", ["log", "--color=always", "game.svp"]),
    ("savepoint log --color al\t game.svp", ["log", "--color", "always", "game.svp"]),
    ("savepoint export game.svp HEAD he\t -o a\\ \t", ["export", "game.svp", "HEAD", "heap", "-o", "a dir"]),
    ("savepoint export game.svp HEAD heap --output oth\t", ["export", "game.svp", "HEAD", "heap", "--output", "other.txt"]),
    ("savepoint export game.svp HEAD heap --output=oth\t", ["export", "game.svp", "HEAD", "heap", "--output=other.txt"]),
    ("savepoint show my\\ \t HE\t", ["show", "my game.svp", "HEAD"]),
    ("savepoint show 'my game.svp' HE\t", ["show", "my game.svp", "HEAD"]),
    ("savepoint show ~/ga\t HE\t", ["show", os.getcwd() + "/game.svp", "HEAD"]),
    ("savepoint completion z\t", ["completion_", "zsh"]),
    ("savepoint help exp\t", ["help", "export"]),
]

POSIX = """
savepoint() {
    if [ "$1" = completion ] && [ "$2" = --candidates ]; then
        "$TOOL" "$@"
    else
        printf 'G''OT'; printf '<%s>' "$@"; printf 'E''ND\\n'
    fi
}
"""
FISH = """
function savepoint
    if test "$argv[1]" = completion -a "$argv[2]" = --candidates
        $TOOL $argv
    else
        printf 'G''OT'; printf '<%s>' $argv; printf 'E''ND\\n'
    end
end
function fish_prompt; end
function fish_right_prompt; end
set -g fish_greeting
set -g fish_autosuggestion_enabled 0
"""
COMMANDS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], POSIX),
    "zsh": (["zsh", "-f", "-i"], "unsetopt zle_bracketed_paste; autoload -Uz compinit; compinit -D -u\n" + POSIX),
    "fish": (["fish", "--no-config", "-i"], FISH),
}


class Shell:
    def __init__(self, arguments):
        self.text = ""
        self.child, self.terminal = pty.fork()
        if self.child == 0:
            os.execvp(arguments[0], arguments)

    def read_until(self, pattern, seconds):
        """The match, or None when it does not come."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = re.search(pattern, self.text, re.S)
            if found:
                self.text = self.text[found.end():]
                return found
            if select.select([self.terminal], [], [], 0.1)[0]:
                try:
                    self.text += os.read(self.terminal, 65536).decode("utf-8", "replace")
                except OSError:
                    return None
        return None

    def type(self, text):
        os.write(self.terminal, text.encode())


def run_case(shell, typed, wanted):
    for piece in re.split(r"(?<=\t)", typed):
        shell.type(piece)
        time.sleep(0.6)  # a shell may drop what is typed while it completes
    shell.type("\r")
    found = shell.read_until(r"GOT(.*?)END", 20)
    words = None if found is None else [word.rstrip("/") for word in re.findall(r"<(.*?)>", found.group(1))]
    if words != wanted:
        print(f"FAILED: {typed!r} became {words}, not {wanted}")
        if found is None:
            print(repr(shell.text[-600:]))
    return words == wanted


def main():
    name, script, tool = sys.argv[1:]
    os.environ.update(TOOL=tool, TERM="xterm", HOME=os.getcwd(), HISTFILE="/dev/null", PS1="$ ", LC_ALL="C.UTF-8")
    arguments, preparation = COMMANDS[name]
    with open("preparation", "w", encoding="utf-8") as file:
        file.write(preparation + f". {script}\n")
    shell = Shell(arguments)
    time.sleep(1)
    shell.type(". ./preparation; echo REA''DY\r")
    if shell.read_until("READY", 30) is None:
        sys.exit(f"{name} does not start: {shell.text!r}")
    time.sleep(0.5)
    bad = [typed for typed, wanted in CASES if not run_case(shell, typed, [word.rstrip("_") for word in wanted])]
    shell.type("exit\r")
    print(f"{name}: {len(CASES)} command lines, {len(bad)} failed")
    sys.exit(1 if bad else 0)


main()
