"""check_man.py - each page of the manual names exactly the functions, or verbs, that there are, and is no garbled merge"""
import pathlib
import re
import shutil
import subprocess
import sys

root = pathlib.Path(__file__).resolve().parents[2]
PAGES = {"savepoint.3": (("savepoint.h", "savepoint/archive.h"), 30), "savepoint_watch.3": (("savepoint/watch.h",), 10)}
BLOCKS = {"Bl": "El", "Bd": "Ed", "Fo": "Fc"}


def structure(lines):
    """What is wrong with the nesting of lists and displays; the kinds of merges that once went unseen."""
    found, stack, before = [], [], ""
    for number, line in enumerate(lines, 1):
        macro = line[1:3] if line.startswith(".") else ""
        if macro in BLOCKS:
            stack.append(BLOCKS[macro])
        elif macro in BLOCKS.values() and (not stack or stack.pop() != macro):
            found.append((number, f".{macro} ends nothing"))
        elif macro in ("Sh", "Ss") and stack:
            found.append((number, f"a heading, and .{stack.pop()} is missing before it"))
        elif macro == "Pq" and (before.startswith(".Pq") or before.endswith(".")) and "Ed" not in stack:
            found.append((number, "a second description of the same item"))
        elif re.match("[a-z]", line) and before.endswith(".") and not before.startswith(".") and "Ed" not in stack:
            found.append((number, "a sentence begins with a small letter: two texts run together"))
        elif re.match("[A-Z]", line) and before.endswith(":") and "Ed" not in stack:
            found.append((number, "a colon, and no list or example behind it: two texts run together"))
        before = line
    return found + [(len(lines), f".{end} is missing") for end in stack]


def verbs(manual):
    """The verbs that the tool has and its page lacks, or names without .Nm in front."""
    table = re.findall(r"^    row\((\w+)\)", (root / "tools/verbs.h").read_text(), flags=re.M)
    synopsis, description = re.split(r"^\.Sh DESCRIPTION$", manual, flags=re.M)
    described = re.findall(r"^\.It Cm (\w+)$", re.split(r"^\.Ss ", description, flags=re.M)[1], flags=re.M)
    for verb in [*table, "help"]:
        alone = len(re.findall(rf"^\.Cm {verb}$", synopsis, flags=re.M))
        if alone == 0 or alone != len(re.findall(rf"^\.Nm\n\.Cm {verb}$", synopsis, flags=re.M)):
            yield f"SYNOPSIS: .Nm .Cm {verb} is missing"
        if described.count(verb) != 1:
            yield f"the verb {verb} is described {described.count(verb)} times"


def render(path):
    """What groff warns of, where there is one."""
    if shutil.which("groff") is None:
        return []
    command = ["groff", "-mandoc", "-ww", "-z", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr.splitlines()


count = problems = 0
for path in sorted((root / "docs/man").iterdir()):
    text = path.read_text()
    complaints = [f"{number}: {what}" for number, what in structure(text.splitlines())] + render(path)
    complaints += verbs(text) if path.name == "savepoint.1" else []
    for complaint in complaints:
        print(f"docs/man/{path.name}: {complaint}")
    problems += len(complaints)
for page, (names, least) in PAGES.items():
    text, header_names = "".join((root / "lib/include" / name).read_text() for name in names), " or ".join(names)
    header = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    declared = set(re.findall(r"\b(savepoint_\w+)\([^;{]*\);", header))
    declared -= set(re.findall(r"^typedef .*?\b(savepoint_\w+)\(", header, flags=re.M))
    manual = (root / "docs/man" / page).read_text()
    described = set(re.findall(r"^\.Fo (savepoint_\w+)", manual, flags=re.M))
    named = set(re.findall(r"^\.Nm (savepoint_\w+)", manual, flags=re.M))
    for name in sorted(declared - (described & named)):
        print(f"docs/man/{page} lacks {name}, or its list of names does")
    for name in sorted((described | named) - declared):
        print(f"docs/man/{page} describes {name}, which {header_names} does not declare")
    count += len(declared)
    problems += len((declared ^ described) | (declared ^ named))
    if len(declared) < least:
        print(f"{header_names}: only {len(declared)} functions were found")
        problems += 1
print(f"check_man: {count} functions, {problems} problems")
sys.exit(1 if problems else 0)
