#!/usr/bin/env python3
"""check_platforms.py - every line of docs/PLATFORMS.md about memory under watch is backed by tests that run

usage: check_platforms.py [BUILD-FOLDER]

A table from "event" to "tests" has a column for each backend between them (one without `tests` is of a system that
cannot be tried here, and is not looked at). A test named in the last column backs every
cell of its line, one named in a cell that cell: as `suite/name` (a test in the source), as `group.name` (a CTest entry
without its variant) or as `tests/...` (a file). With a build folder CTest must run it for that backend. A cell that
begins with "untested" needs none. And the other way round: each test of a trap is named.
"""
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAMED = re.compile(r"`([\w./]+)`")
TEST = re.compile(r"^(?:CHECK|TRAP)_TEST\((\w+), (\w+)\)|^(SIGNAL|REFUSED)_TEST\((\w+)\)", re.M)
TRAPS = re.compile(r"^trap_(?!errors)\w+/")


def source_tests():
    """suite/name -> GROUP.NAME of the program it is in."""
    tests = {}
    for path in sorted((ROOT / "tests").glob("*/*.c")):
        text = path.read_text(encoding="utf-8")
        for suite, name, kind, short_name in TEST.findall(text):
            tests[f"{suite or 'watch_' + kind.lower()}/{name or short_name}"] = f"{path.parent.name}.{path.stem}"
    return tests


def ctest_entries(build):
    shown = subprocess.run(["ctest", "--show-only=json-v1"], cwd=build, capture_output=True, text=True, check=True)
    return [test["name"] for test in json.loads(shown.stdout)["tests"]]


def runs_for(entries, program, backend):
    """Whether CTest runs the program for this backend: as a variant of it, or for all at once."""
    mine = [entry.split(".")[2:] for entry in entries if entry.startswith(program + ".")]
    return any(backend in rest or len(rest) == 1 for rest in mine)


def tables(text):
    """(line number, backends, cells) of each line of each table of events."""
    backends = None
    for number, line in enumerate(text.splitlines(), 1):
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if not line.startswith("|"):
            backends = None
        elif cells[0] == "event" and cells[-1] == "tests":
            backends = [cell.strip("`") for cell in cells[1:-1]]
        elif backends is not None and not set(line) <= set("|-") and not re.fullmatch(r"\*\*[^*]+\*\*", cells[0]):
            yield number, backends, cells


class Checker:
    def __init__(self, entries):
        self.tests, self.entries = source_tests(), entries
        self.named, self.problems, self.cells = set(), [], 0

    def backs(self, name, backend, where):
        """Whether a named test is one that runs for this backend; None where the name is not that of a test."""
        if name.startswith("tests/"):
            program = None
            if not (ROOT / name).is_file():
                self.problems.append(f"{where}: there is no {name}")
        elif "/" in name:
            program = self.tests.get(name)
            self.named.add(name)
            if program is None:
                self.problems.append(f"{where}: no test is called {name}")
        elif "." in name:
            program = name
            if not list((ROOT / "tests").glob(f"*/{name.split('.')[1]}.*")):
                self.problems.append(f"{where}: no program is called {name}")
        else:
            return None
        return program is None or self.entries is None or runs_for(self.entries, program, backend)

    def check_cell(self, where, backend, cell, shared):
        self.cells += 1
        named = [name for name in NAMED.findall(cell) + shared if "/" in name or "." in name]
        verdicts = {name: self.backs(name, backend, where) for name in named}
        if not cell:
            self.problems.append(f"{where}: {backend}: nothing is stated")
        if not any(verdicts.values()) and not cell.startswith("untested"):
            self.problems.append(f"{where}: {backend}: no test backs this cell")
        for name, runs in verdicts.items():
            if runs is False and name not in shared:
                self.problems.append(f"{where}: {backend}: CTest does not run {name} for it")

    def check(self, text):
        for number, backends, cells in tables(text):
            where = f"docs/PLATFORMS.md:{number}"
            if len(cells) != len(backends) + 2:
                self.problems.append(f"{where}: {len(cells)} columns, not {len(backends) + 2}")
                continue
            shared = NAMED.findall(cells[-1])
            for name in shared:
                if not any([self.backs(name, backend, where) for backend in backends]):
                    self.problems.append(f"{where}: {name} does not run")
            for backend, cell in zip(backends, cells[1:-1]):
                self.check_cell(where, backend, cell, shared)
        for name in sorted(self.tests):
            if TRAPS.match(name) and name not in self.named:
                self.problems.append(f"docs/PLATFORMS.md does not name {name}")


def main():
    entries = ctest_entries(sys.argv[1]) if len(sys.argv) > 1 else None
    checker = Checker(entries)
    checker.check((ROOT / "docs/PLATFORMS.md").read_text(encoding="utf-8"))
    for problem in sorted(set(checker.problems)):
        print(problem)
    print(f"check_platforms: {checker.cells} cells, {len(checker.named)} tests named, {len(checker.problems)} problems")
    return 1 if checker.problems or checker.cells < 100 else 0


sys.exit(main())
