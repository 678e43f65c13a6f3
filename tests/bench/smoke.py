#!/usr/bin/env python3
"""smoke.py - each benchmark runs with tiny sizes and prints what docs/benchmarks.md says; the figures mean nothing

usage: smoke.py BENCHMARK...
"""
import json
import pathlib
import subprocess
import sys

TINY = ["--bytes", "8M", "--pairs", "2"]
MEMBERS = {"case", "subject", "metric", "unit", "value", "p10", "p90", "floor", "ratio", "wanted", "ok"}
FIGURES = ("value", "p10", "p90", "floor", "ratio", "wanted")


def run(program, *arguments):
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def check_row(row):
    assert MEMBERS <= set(row), f"members are missing: {row}"
    for name in FIGURES:
        assert row[name] is None or isinstance(row[name], (int, float)), f"{name} is no number: {row}"
    assert row["ok"] in (None, True, False), row
    if "skipped" in row:
        assert row["skipped"] and row["value"] is None, row
        return
    assert row["unit"] and row["p10"] <= row["value"] <= row["p90"], row
    assert (row["floor"] is None) == (row["ratio"] is None), row
    if row["wanted"] is not None:
        measured = row["value"] if row["ratio"] is None else row["ratio"]
        assert row["ok"] == (measured <= row["wanted"]), row


def check(program):
    name = pathlib.Path(program).name.removeprefix("bench_")
    status, out, err = run(program, "--json", *TINY)
    assert status == 0, f"exit status {status}: {err}"
    result = json.loads(out)
    assert set(result) == {"bench", "rows"} and result["bench"] == name, out[:80]
    for row in result["rows"]:
        check_row(row)
    rows = [row for row in result["rows"] if "skipped" not in row]
    assert any(row["ratio"] is not None for row in rows), "no row has a ratio"
    keys = [(row["case"], row["subject"], row["metric"]) for row in result["rows"]]
    assert len(keys) == len(set(keys)), "two rows tell of the same"

    case = rows[0]["case"]
    status, out, err = run(program, *TINY, "--case", case)
    lines = out.splitlines()
    assert status == 0 and lines[0].startswith("CASE "), f"exit status {status}: {out}{err}"
    assert len(lines) > 1 and all(line.startswith(case) for line in lines[1:]), out
    assert run(program, "--help")[:1] == (0,)
    assert run(program, "--pairs", "0")[0] == 2 and run(program, "--bytes", "64X")[0] == 2
    assert run(program, "--case", "no such case")[0] == 1
    print(f"{name}: {len(result['rows'])} rows, {len(rows)} with figures")


def main():
    for program in sys.argv[1:]:
        check(program)
    return 0 if len(sys.argv) > 1 else 2


sys.exit(main())
