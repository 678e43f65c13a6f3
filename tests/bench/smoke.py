#!/usr/bin/env python3
"""smoke.py - each benchmark runs with tiny sizes and prints what docs/benchmarks.md says, and that page takes it

The figures mean nothing.

usage: smoke.py BENCHMARK...
"""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

HERE = pathlib.Path(__file__).resolve().parent
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


def check(program, folder):
    name = pathlib.Path(program).name.removeprefix("bench_")
    status, out, err = run(program, "--json", *TINY)
    assert status == 0, f"exit status {status}: {err}"
    result = json.loads(out)
    (folder / f"{name}.json").write_text(out, encoding="utf-8")
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


def check_page(folder):
    """The page is written from what the programs have printed; its pictures are there, whole, and no others."""
    stored = {path.stem: path for path in sorted(folder.glob("*.json"))}
    page = folder / "benchmarks.md"
    shutil.copy(HERE.parents[1] / "docs/benchmarks.md", page)
    command = [sys.executable, HERE / "update_docs.py", "--docs", folder]
    subprocess.run([*command, *(f"{name}={path}" for name, path in stored.items())], check=True)
    text, named = page.read_text(encoding="utf-8"), set()
    for name, path in stored.items():
        block = text.partition(f"<!-- {name}: begin -->")[2].partition(f"<!-- {name}: end -->")[0]
        case = json.loads(path.read_text(encoding="utf-8"))["rows"][0]["case"]
        assert case in block, f"the tables of {name} lack {case}"
        named |= set(re.findall(r"\]\(images/([\w-]+\.svg)\)", block))
    drawn = {path.name: path for path in (folder / "images").iterdir()}
    expected = 5 * ("peers" in stored) + 4 * ("scaling" in stored)
    assert named == set(drawn) and len(named) == expected, f"{sorted(named)}, drawn are {sorted(drawn)}"
    for path in drawn.values():
        picture = xml.etree.ElementTree.parse(path).getroot()
        parts = [part.tag.rpartition("}")[2] for part in picture.iter()]
        assert parts[:3] == ["svg", "title", "rect"] and parts.count("text") > 10, f"{path.name}: {parts[:9]}"
        assert not {"nan", "inf"} & set(re.findall(r"\w+", path.read_text(encoding="utf-8").lower())), path.name
    status = subprocess.run([*command, "nothing=/dev/null"], capture_output=True, check=False).returncode
    assert status == 2, "a name without marks is taken"
    print(f"page: {len(stored)} benchmarks, {len(drawn)} pictures")


def main():
    with tempfile.TemporaryDirectory() as folder:
        for program in sys.argv[1:]:
            check(program, pathlib.Path(folder))
        if sys.argv[1:]:
            check_page(pathlib.Path(folder))
    return 0 if len(sys.argv) > 1 else 2


sys.exit(main())
