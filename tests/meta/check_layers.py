#!/usr/bin/env python3
"""check_layers.py - arrows point downwards: every #include, OS header and OS conditional against layers.txt

usage: check_layers.py [SOURCE-TREE]    (--print-os lists the `os` lines that the tree would need)
"""
import pathlib
import re
import sys

C_HEADERS = set(
    "assert ctype errno float inttypes limits locale math setjmp stdalign stdarg stdatomic stdbool stddef stdint"
    " stdio stdlib stdnoreturn string time wchar".split()
)
LIBRARIES = {"zstd.h", "zstd_errors.h", "xxhash.h", "xxh_x86dispatch.h"}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^">]+)[">]', re.M)
CONDITION = re.compile(
    r"^[ \t]*#[ \t]*(?:if|ifdef|ifndef|elif)\b.*\b"
    r"(__linux__|__linux|linux|__APPLE__|__MACH__|_WIN32|_WIN64|__unix__|__CYGWIN__|__FreeBSD__|__ANDROID__)\b",
    re.M,
)
PUBLIC = ("savepoint.h", "savepoint/archive.h", "savepoint/watch.h")
SEARCH = ("lib", "lib/include", "format", ".", "tools", "examples")


class Rules:
    def __init__(self, text):
        self.floors, self.banned, self.words, self.os = {}, {}, {}, {}
        self.once, self.conditional = set(), set()
        for line in text.splitlines():
            line = line.split("#")[0].strip()
            if not line:
                continue
            kind, rest = line.split(None, 1)
            name, _, values = rest.partition(":")
            if kind == "once":
                self.once.add(rest)
            elif kind == "conditional":
                self.conditional.add(rest)
            elif kind == "word":
                self.words[name] = set(values.split())
            else:
                table = {"floor": self.floors, "banned": self.banned, "os": self.os}[kind]
                table[name] = set(values.split())


def read_tree(root, rules):
    files = {}
    for floor in rules.floors:
        for path in sorted((root / floor).glob("*.[ch]")):
            files[path.relative_to(root).as_posix()] = path.read_text(encoding="utf-8")
    for name in PUBLIC:
        files[f"lib/include/{name}"] = (root / "lib/include" / name).read_text(encoding="utf-8")
    return files


def without_comments(text):
    return re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.S)


def resolve(root, name, including):
    """The folder, relative to root, of the header that `#include "name"` finds."""
    if name in PUBLIC:
        return "lib/include"
    for folder in (str(pathlib.PurePosixPath(including).parent),) + SEARCH:
        if (root / folder / name).is_file():
            return (pathlib.PurePosixPath(folder) / name).parent.as_posix()
    return None


def is_os_header(name):
    return name not in LIBRARIES and name.removesuffix(".h") not in C_HEADERS


def check_file(root, rules, name, text, found_os, users, problems):
    folder = "lib/include" if name.startswith("lib/include/") else pathlib.PurePosixPath(name).parent.as_posix()
    for bracket, header in INCLUDE.findall(text):
        users.setdefault(header, []).append(name)
        if bracket == "<" and header not in PUBLIC:
            if header in rules.banned.get(folder, ()):
                problems.append(f"{name}: <{header}> is banned on floor {folder}")
            elif is_os_header(header):
                found_os.setdefault(name, set()).add(header)
            continue
        target = resolve(root, header, name)
        if target is None:
            problems.append(f"{name}: cannot find \"{header}\"")
        elif target != folder and target not in rules.floors.get(folder, ()):
            problems.append(f"{name}: includes \"{header}\" of {target}, which is not below {folder}")
    for condition in CONDITION.findall(text):
        if name not in rules.conditional:
            problems.append(f"{name}: asks for {condition}: only the switchboard may")
    for word, home in rules.words.items():
        if re.search(rf"\b{word}\b", text) and not home & {folder, name}:
            problems.append(f"{name}: {word} belongs to {' '.join(sorted(home))}")


def check_tree(root, rules):
    problems, found_os, users = [], {}, {}
    files = read_tree(root, rules)
    for name, text in files.items():
        check_file(root, rules, name, without_comments(text), found_os, users, problems)
    for header in rules.once:
        including = users.get(header, [])
        if len(including) != 1:
            problems.append(f"{header}: included by {including or 'no file'}, must be exactly one")
    for name in sorted(set(found_os) | set(rules.os)):
        found, listed = found_os.get(name, set()), rules.os.get(name, set())
        if found - listed:
            problems.append(f"{name}: OS headers not in layers.txt: {' '.join(sorted(found - listed))}")
        if listed - found:
            problems.append(f"{name}: layers.txt lists headers it does not include: {' '.join(sorted(listed - found))}")
    return files, found_os, problems


def main():
    arguments = [a for a in sys.argv[1:] if not a.startswith("--")]
    here = pathlib.Path(__file__).resolve()
    root = pathlib.Path(arguments[0]) if arguments else here.parents[2]
    rules = Rules((root / "tests/meta/layers.txt").read_text(encoding="utf-8"))
    files, found_os, problems = check_tree(root, rules)
    if "--print-os" in sys.argv:
        for name in sorted(found_os):
            print(f"os {name}: {' '.join(sorted(found_os[name]))}")
        return 0
    for problem in problems:
        print(problem)
    print(f"check_layers: {len(files)} files, {len(problems)} problems")
    return 1 if problems or not files else 0


sys.exit(main())
