#!/usr/bin/env python3
"""update_docs.py - runs the benchmarks and writes their figures between the marks of docs/benchmarks.md

usage: update_docs.py [--docs FOLDER] [NAME | NAME=FILE]...

NAME is a benchmark (take, restore, ...); without any, all that the page has marks for. Each is run from
build/release/tests/bench; NAME=FILE takes what an earlier run with --json has printed. Pictures are written to
FOLDER/images, FOLDER being docs unless it is told.
"""
import json
import os
import pathlib
import platform
import re
import subprocess
import sys

import figures
from figures import number

root = pathlib.Path(__file__).resolve().parents[2]
programs = root / "build/release/tests/bench"


def figure(row):
    """The median, with its spread where there is one."""
    if "skipped" in row:
        return row["skipped"]
    spread = f" [{number(row['p10'])}-{number(row['p90'])}]" if row["p10"] != row["p90"] else ""
    return f"{number(row['value'])} {row['unit']}{spread}"


def verdict(row):
    if row["wanted"] is None:
        return ""
    return f"{number(row['wanted'])}{'' if row['ok'] else ' **over**'}"


def subject_table(rows):
    lines = ["| case | metric | savepoint | floor | ratio | wanted |", "|---|---|---|---|---|---|"]
    for row in rows:
        if row["subject"] == "savepoint":
            floor = "" if row["floor"] is None else f"{number(row['floor'])} {row['unit']}"
            ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
            lines.append(f"| {row['case']} | `{row['metric']}` | {figure(row)} | {floor} | {ratio} | {verdict(row)} |")
    return lines


def peer_table(rows, own="savepoint", hidden=("raw",)):
    """One line for each case and metric that a peer has, one column for each subject; nothing without peers."""
    peers = list(dict.fromkeys(row["subject"] for row in rows if row["subject"] not in (own, *hidden)))
    found = {(row["case"], row["metric"], row["subject"]): row for row in rows}
    keys = dict.fromkeys((row["case"], row["metric"]) for row in rows if row["subject"] in peers)
    if not peers:
        return []
    lines = ["", f"| case | metric | {own} | {' | '.join(peers)} |", "|---" * (3 + len(peers)) + "|"]
    for case, metric in keys:
        cells = [found.get((case, metric, subject)) for subject in [own, *peers]]
        texts = [f"{number(cell['value'])} {cell['unit']}" if cell and "skipped" not in cell else "-" for cell in cells]
        lines.append(f"| {case} | `{metric}` | {' | '.join(texts)} |")
    return lines


def wanted_table(rows):
    """What is wanted of subjects that have names of their own."""
    lines = ["| case | metric | subject | value | beside | ratio | wanted |", "|---" * 7 + "|"]
    for row in rows:
        if row["wanted"] is not None and row["metric"] != "lost_stores":
            floor = "" if row["floor"] is None else f"{number(row['floor'])} {row['unit']}"
            ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
            cells = (row["case"], f"`{row['metric']}`", row["subject"], figure(row), floor, ratio, verdict(row))
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def pair_table(rows, first, second):
    """One line for each case and one column for each subject that has both metrics: their medians."""
    found = {(row["case"], row["subject"], row["metric"]): row for row in rows if "skipped" not in row}
    keys = [(row["case"], row["subject"]) for row in rows if row["metric"] == first]
    keys = [key for key in keys if (*key, first) in found and (*key, second) in found]
    subjects = list(dict.fromkeys(subject for _, subject in keys))
    lines = ["", f"| case | {' | '.join(subjects)} |", "|---" * (1 + len(subjects)) + "|"]
    for case in dict.fromkeys(case for case, _ in keys):
        cells = [
            f"{number(found[case, subject, first]['value'])} / {number(found[case, subject, second]['value'])}"
            if (case, subject) in keys
            else "-"
            for subject in subjects
        ]
        lines.append(f"| {case} | {' | '.join(cells)} |")
    return lines


def watch_tables(rows):
    pair = ("write_to_page_ns", "query_us")
    raced = {row["case"] for row in rows if row["metric"] == pair[0]}
    rest = [row for row in rows if ", to " not in row["case"] and not (row["case"] in raced and row["metric"] in pair)]
    both = pair_table([row for row in rows if row["case"] in raced], *pair)
    return wanted_table(rows) + both + peer_table(rest, own="raw", hidden=())


def measure(name, stored, images):
    if stored:
        text = pathlib.Path(stored).read_text(encoding="utf-8")
    else:
        print(f"running bench_{name}", flush=True)
        text = subprocess.run([programs / f"bench_{name}", "--json"], check=True, capture_output=True, text=True).stdout
    rows = json.loads(text)["rows"]
    if name == "watch":
        return watch_tables(rows)
    if name == "collector":
        return peer_table(rows, own="stop_the_world")[1:]
    if name == "peers":
        return figures.peers(rows, images)
    if name == "scaling":
        return subject_table(rows) + figures.scaling_pictures(rows, images)
    return subject_table(rows) + peer_table(rows)


def machine():
    processor = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    virtual = subprocess.run(["systemd-detect-virt"], check=False, capture_output=True, text=True).stdout.strip()
    compiler = subprocess.run(["cc", "--version"], check=True, capture_output=True, text=True).stdout.splitlines()[0]
    date = subprocess.run(["date", "-u", "+%Y-%m-%d"], check=True, capture_output=True, text=True).stdout.strip()
    return [
        f"{processor.group(1) if processor else platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB,"
        f" {'a virtual machine (' + virtual + ')' if virtual not in ('', 'none') else 'no virtual machine'}; Linux"
        f" {platform.release()}; {compiler}. {date}; load average over the 15 minutes before:"
        f" {os.getloadavg()[2]:.1f}.",
    ]


def main():
    arguments = sys.argv[1:]
    docs = root / "docs"
    if arguments[:1] == ["--docs"] and len(arguments) > 1:
        docs, arguments = pathlib.Path(arguments[1]), arguments[2:]
    page = docs / "benchmarks.md"
    text = page.read_text(encoding="utf-8")
    marked = [name for name in re.findall(r"<!-- (\w+): begin -->", text) if name != "machine"]
    wanted = dict(argument.partition("=")[::2] for argument in arguments) or dict.fromkeys(marked, "")
    unknown = [name for name in wanted if name not in marked]
    if unknown:
        print(f"update_docs: {page} has no marks for {' '.join(unknown)}\n\n{__doc__}", file=sys.stderr)
        return 2
    images = docs / "images"
    images.mkdir(exist_ok=True)
    blocks = {name: measure(name, stored, images) for name, stored in wanted.items()}
    blocks["machine"] = machine()
    for name, lines in blocks.items():
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        head, _, rest = text.partition(begin)
        _, _, tail = rest.partition(end)
        text = head + "\n".join([begin, *lines, end]) + tail
    page.write_text(text, encoding="utf-8")
    return 0


sys.exit(main())
