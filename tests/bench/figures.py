"""figures.py - the tables and pictures of bench_peers and bench_scaling"""
import re

from plots import Axis, Lines, bars, lines

PEER_METRICS = {
    "pause": "Pause",
    "cpu": "CPU time of a snapshot",
    "durable_wall": "Time until a snapshot is on the disk",
    "bytes": "Bytes that a snapshot writes",
    "restore": "Time to bring the state back",
}
UNITS = {"ms": "milliseconds", "B": "bytes"}


def number(value):
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def spread(row):
    """The median, with the percentiles where they differ."""
    beside = f" [{number(row['p10'])}-{number(row['p90'])}]" if row["p10"] != row["p90"] else ""
    return f"{number(row['value'])}{beside}"


def measured(rows, metric):
    return [row for row in rows if row["metric"] == metric and "skipped" not in row]


def unique(values):
    return list(dict.fromkeys(values))


# ---- peers


def peers_picture(folder, rows, metric):
    found = measured(rows, metric)
    panels = []
    for case in unique(row["case"] for row in found):
        own = [row for row in found if row["case"] == case]
        own.sort(key=lambda row: row["value"])
        panels.append(
            (case, [(row["subject"], row["value"], row["p10"], row["p90"], row["subject"] == "savepoint") for row in own])
        )
    name = f"peers-{metric.replace('_', '-')}.svg"
    unit = found[0]["unit"]
    bars(folder / name, PEER_METRICS[metric], UNITS[unit], unit, panels)
    return f"![{PEER_METRICS[metric]}: savepoint and its peers](images/{name})"


def peers_table(rows, metric):
    """One line for each subject, one column for each case, and what is how many times the strongest peer."""
    cases, subjects = unique(row["case"] for row in rows), unique(row["subject"] for row in rows)
    found = {(row["case"], row["subject"]): row for row in measured(rows, metric)}
    subjects = [subject for subject in subjects if any((case, subject) in found for case in cases)]
    unit = next(iter(found.values()))["unit"]
    lines = [f"| `{metric}`, {unit} | {' | '.join(cases)} |", "|---" * (1 + len(cases)) + "|"]
    for subject in subjects:
        cells = [found.get((case, subject)) for case in cases]
        texts = [spread(cell) if cell else "-" for cell in cells]
        lines.append(f"| {subject} | {' | '.join(texts)} |")
    ratios = [found.get((case, "savepoint"), {}).get("ratio") for case in cases]
    texts = ["-" if ratio is None else f"{ratio:.3g}" for ratio in ratios]
    return [*lines, f"| savepoint / strongest peer | {' | '.join(texts)} |"]


def peers_missing(rows):
    reasons = {}
    for row in rows:
        if "skipped" in row:
            reasons.setdefault((row["subject"], row["skipped"]), []).append(f"`{row['metric']}`")
    lines = [
        f"- {subject}, {' '.join(unique(metrics))}: {why}" for (subject, why), metrics in reasons.items()
    ]
    return ["", "Not measured:", "", *lines] if lines else []


def peers(rows, folder):
    text = []
    for metric in PEER_METRICS:
        if measured(rows, metric):
            text += ["", *peers_table(rows, metric), "", peers_picture(folder, rows, metric)]
    return text[1:] + peers_missing(rows)


# ---- scaling

SIZES = {"MiB": 1, "GiB": 1024}


def curve(rows, metric, pattern, x):
    """Points (x, median, p10, p90), by what `pattern` finds in the names of cases."""
    found = [(re.fullmatch(pattern, row["case"]), row) for row in measured(rows, metric)]
    return [(x(match), row["value"], row["p10"], row["p90"]) for match, row in found if match]


def floor_curve(rows, metric, pattern, x):
    with_floor = [row for row in rows if row["floor"] is not None]
    found = [(re.fullmatch(pattern, row["case"]), row) for row in measured(with_floor, metric)]
    return [(x(match), row["floor"], row["floor"], row["floor"]) for match, row in found if match]


def both(rows, metric, pattern, x):
    series = [
        ("savepoint", False, curve(rows, metric, pattern, x)),
        ("floor", True, floor_curve(rows, metric, pattern, x)),
    ]
    return [each for each in series if each[2]]


def group(match):
    return float(match.group(1))


def size_panels(rows):
    pattern = r"(\d+)(MiB|GiB) \d+ pages changed"

    def mebibytes(match):
        return group(match) * SIZES[match.group(2)]

    ticks = [(mebibytes(match), f"{match.group(1)} {match.group(2)}") for match in matches(rows, pattern)]
    axis = {"label": "size of the state, as many pages changed", "ticks": tuple(unique(ticks))}
    return [
        Lines("Pause", Axis(**axis), Axis("milliseconds"), both(rows, "pause", pattern, mebibytes)),
        Lines("CPU time", Axis(**axis), Axis("milliseconds"), both(rows, "cpu", pattern, mebibytes)),
    ]


def share_panels(rows):
    pattern = r"\w+ ([\d.]+)% changed"
    ticks = tuple((group(match), f"{match.group(1)}%") for match in matches(rows, pattern))
    return [
        Lines(title, Axis("pages changed", ticks=ticks), Axis("milliseconds"), both(rows, metric, pattern, group))
        for title, metric in (("Pause", "pause"), ("CPU time", "cpu"))
    ]


def history_panels(rows):
    pattern = r"\w+ after (\d+) snapshots"
    ticks = tuple((group(match), f"{group(match):,.0f}") for match in matches(rows, pattern))

    def panel(title, *series):
        curves = [(name, False, curve(rows, metric, pattern, group)) for name, metric in series]
        return Lines(title, Axis("snapshots in the history", ticks=ticks), Axis("milliseconds"), curves)

    return [
        panel("Taking one more", ("CPU time", "cpu"), ("pause", "pause")),
        panel("Coming back", ("restore", "restore"), ("open and read the newest entry", "open")),
    ]


def thread_panels(rows):
    writers, workers = r"\w+ 10% changed by (\d+)", r"\w+ restored by (\d+)"

    def axis(label, pattern):
        ticks = tuple((group(match), match.group(1)) for match in matches(rows, pattern))
        return Axis(label, ticks=unique(ticks))

    return [
        Lines(
            "First write to a page",
            axis("threads that write", writers),
            Axis("nanoseconds of CPU time", log=False),
            both(rows, "first_write", writers, group),
        ),
        Lines(
            "Restore",
            axis("threads that decode", workers),
            Axis("milliseconds", log=False),
            both(rows, "restore", workers, group),
        ),
    ]


def matches(rows, pattern):
    names = unique(row["case"] for row in rows if "skipped" not in row)
    return [match for match in (re.fullmatch(pattern, name) for name in names) if match]


PICTURES = {
    "size": ("A take by the size of the state", size_panels),
    "share": ("A take by the share of pages changed", share_panels),
    "history": ("By the length of the history", history_panels),
    "threads": ("By threads", thread_panels),
}


def scaling_pictures(rows, folder):
    text = []
    for name, (title, make) in PICTURES.items():
        panels = [panel for panel in make(rows) if any(points for _, _, points in panel.series)]
        if panels:
            lines(folder / f"scaling-{name}.svg", title, panels)
            text += ["", f"![{title}](images/scaling-{name}.svg)"]
    return text
