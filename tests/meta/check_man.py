"""check_man.py - each page of the manual names exactly the functions that its public headers declare"""
import pathlib
import re
import sys

root = pathlib.Path(__file__).resolve().parents[2]
PAGES = {"savepoint.3": (("savepoint.h", "savepoint/archive.h"), 30), "savepoint_watch.3": (("savepoint/watch.h",), 10)}
count = problems = 0
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
