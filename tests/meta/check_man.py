"""check_man.py - docs/man/savepoint.3 names exactly the functions that savepoint.h declares"""
import pathlib
import re
import sys

root = pathlib.Path(__file__).resolve().parents[2]
header = re.sub(r"/\*.*?\*/", "", (root / "lib/include/savepoint.h").read_text(), flags=re.S)
declared = set(re.findall(r"\b(savepoint_\w+)\([^;{]*\);", header))
declared -= set(re.findall(r"^typedef .*?\b(savepoint_\w+)\(", header, flags=re.M))
described = set(re.findall(r"^\.Fo (savepoint_\w+)", (root / "docs/man/savepoint.3").read_text(), flags=re.M))
for name in sorted(declared - described):
    print(f"docs/man/savepoint.3 lacks {name}")
for name in sorted(described - declared):
    print(f"docs/man/savepoint.3 describes {name}, which savepoint.h does not declare")
print(f"check_man: {len(declared)} functions, {len(declared ^ described)} problems")
sys.exit(1 if declared != described or len(declared) < 30 else 0)
