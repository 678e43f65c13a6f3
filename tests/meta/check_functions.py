#!/usr/bin/env python3
"""check_functions.py - function and file lengths, first lines, and words that may not appear in the source

usage: check_functions.py [SOURCE-TREE]
"""
import pathlib
import re
import statistics
import sys

FUNCTION_LINES = 70
FILE_LINES = 400
FILE_LINES_HARD = 800
FOLDERS = ("format", "lib", "tools", "examples", "tests")
# Files that may exceed the soft limit, each with its reason.
LONG_FILES = {
    "lib/include/savepoint.h": "the whole interface of sessions in one place",
}


def functions(lines):
    """(first line number, line count, name) of every function: `{` alone in column 0, to `}` in column 0."""
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line.startswith("}") and start is not None:
            if line == "}":
                yield start, number - start + 1, lines[start - 2].strip()
            start = None


def check_file(name, text):
    lines = text.splitlines()
    stem = pathlib.PurePosixPath(name).name
    problems = []
    if not lines or not lines[0].startswith(f"/* {stem} - "):
        problems.append(f"{name}:1: the first line must be '/* {stem} - the one thing it does'")
    if len(lines) > FILE_LINES_HARD:
        problems.append(f"{name}: {len(lines)} lines, never more than {FILE_LINES_HARD}")
    elif len(lines) > FILE_LINES and name not in LONG_FILES:
        problems.append(f"{name}: {len(lines)} lines, more than {FILE_LINES}")
    if name in LONG_FILES and len(lines) <= FILE_LINES:
        problems.append(f"{name}: no longer long, take it off the list")
    lengths = []
    for start, length, header in functions(lines):
        lengths.append(length)
        if length > FUNCTION_LINES:
            problems.append(f"{name}:{start}: {length} lines in one function, at most {FUNCTION_LINES}: {header}")
    for number, line in enumerate(lines, 1):
        if "\t" in line or line.rstrip() != line:
            problems.append(f"{name}:{number}: tab or trailing space")
        if re.search(r"\b(TODO|FIXME|XXX)\b", line):
            problems.append(f"{name}:{number}: unfinished business belongs in an issue")
    return lengths, problems


def main():
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[2]
    lengths, problems, count = [], [], 0
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.[ch]")):
            count += 1
            name = path.relative_to(root).as_posix()
            file_lengths, file_problems = check_file(name, path.read_text(encoding="utf-8"))
            lengths += file_lengths
            problems += file_problems
    for problem in problems:
        print(problem)
    median = statistics.median(lengths) if lengths else 0
    print(f"check_functions: {count} files, {len(lengths)} functions, median {median} lines, {len(problems)} problems")
    return 1 if problems or not lengths else 0


sys.exit(main())
