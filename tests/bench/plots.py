"""plots.py - pictures of figures, as SVG by hand: panels of bars, panels of lines, logarithmic or linear axes

Each picture has a background of its own, so that it reads on light pages and dark ones alike.
"""
import dataclasses
import math
from xml.sax.saxutils import escape

INK, FAINT, GRID, PAPER = "#1f2328", "#59636e", "#d1d9e0", "#ffffff"
OWN, OTHER = "#0969da", "#9aa4af"
COLOURS = (OWN, "#bc4c00", "#1a7f37", "#8250df")
FONT = "font-family=\"Helvetica, Arial, 'DejaVu Sans', sans-serif\""


def number(value):
    """Three digits, and what they are thousands of."""
    for factor, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= factor:
            scaled = value / (1e3 if unit == "k" else factor)
            return f"{scaled:.3g}{unit}" if scaled < 999.5 else f"{scaled:.0f}{unit}"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


@dataclasses.dataclass
class Axis:
    label: str
    log: bool = True
    ticks: tuple = ()  # (value, text) of them; else they are chosen

    def fit(self, values):
        """The range that shows all of these, and where it has ticks."""
        values = [value for value in values if value > 0 or not self.log]
        if self.log:
            low, high = math.floor(math.log10(min(values)) + 1e-9), math.ceil(math.log10(max(values)) - 1e-9)
            high = max(high, low + 1)
            self.low, self.high = float(low), float(high)
            chosen = [(10.0**power, number(10.0**power)) for power in range(low, high + 1)]
        else:
            step = 10 ** math.floor(math.log10(max(values)))
            step = next(step * part for part in (0.2, 0.5, 1, 2) if max(values) / (step * part) <= 6)
            count = math.ceil(max(values) / step)
            self.low, self.high = 0.0, count * step
            chosen = [(step * i, number(step * i)) for i in range(count + 1)]
        if self.ticks:
            spread = [math.log10(value) if self.log else value for value, _ in self.ticks]
            margin = 0.04 * (max(spread) - min(spread)) or 1
            self.low, self.high = min(spread) - margin, max(spread) + margin
            chosen = list(self.ticks)
        return chosen

    def place(self, value):
        """0 at the low end, 1 at the high one."""
        value = max(math.log10(value), self.low) if self.log else value
        return (value - self.low) / (self.high - self.low)


class Picture:
    def __init__(self, width, height, title):
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}"'
            f' height="{height}" role="img" {FONT}>',
            f"<title>{escape(title)}</title>",
            f'<rect width="{width}" height="{height}" fill="{PAPER}"/>',
        ]

    def text(self, x, y, text, size=12, anchor="start", colour=INK, weight="normal", turn=0):
        turned = f' transform="rotate({turn} {x:.1f} {y:.1f})"' if turn else ""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}"'
            f' font-weight="{weight}"{turned}>{escape(text)}</text>'
        )

    def line(self, x1, y1, x2, y2, colour=GRID, width=1.0):
        self.parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"/>'
        )

    def path(self, points, colour, dashed):
        dash = ' stroke-dasharray="6 4"' if dashed else ""
        places = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')

    def rectangle(self, x, y, width, height, colour):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>')

    def dot(self, x, y, colour):
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>')

    def write(self, path):
        path.write_text("\n".join([*self.parts, "</svg>", ""]), encoding="utf-8")


# ---- bars

BAR, PANEL_WIDTH, NAMES, BESIDE = 18, 470, 112, 58


def bar_panel(picture, left, top, title, bars, axis):
    """bars: (name, median, p10, p90, own), the best first."""
    begin, width = left + NAMES, PANEL_WIDTH - NAMES - BESIDE
    bottom = top + 26 + BAR * len(bars)
    picture.text(left + NAMES, top + 14, title, size=13, weight="bold")
    for value, text in axis.fitted:
        x = begin + width * axis.place(value)
        picture.line(x, top + 22, x, bottom)
        picture.text(x, bottom + 15, text, size=11, anchor="middle", colour=FAINT)
    for i, (name, value, low, high, own) in enumerate(bars):
        y = top + 24 + BAR * i
        end, middle = begin + width * axis.place(value), y + (BAR - 4) / 2
        picture.text(begin - 6, y + 11, name, anchor="end", weight="bold" if own else "normal")
        picture.rectangle(begin, y, max(end - begin, 1), BAR - 4, OWN if own else OTHER)
        picture.line(begin + width * axis.place(low), middle, begin + width * axis.place(high), middle, INK, 1.5)
        beside = begin + width * max(axis.place(high), axis.place(value)) + 5
        picture.text(beside, y + 11, number(value), size=11, weight="bold" if own else "normal")


def bars(path, title, axis_label, unit, panels):
    """panels: (title, bars), two beside each other; one axis for all of them."""
    axis = Axis(axis_label)
    every = [value for _, rows in panels for row in rows for value in row[1:4]]
    axis.fitted = axis.fit(every)
    axis.fitted[-1] = (axis.fitted[-1][0], f"{axis.fitted[-1][1]} {unit}")
    tall = 26 + BAR * max(len(rows) for _, rows in panels) + 34
    height = 66 + tall * ((len(panels) + 1) // 2)
    picture = Picture(2 * PANEL_WIDTH + 30, height, title)
    picture.text(15, 26, title, size=16, weight="bold")
    picture.text(15, 46, f"{axis_label}, logarithmic; less is better; the thin line: 10th to 90th percentile", colour=FAINT)
    for i, (name, rows) in enumerate(panels):
        bar_panel(picture, 15 + PANEL_WIDTH * (i % 2), 58 + tall * (i // 2), name, rows, axis)
    picture.write(path)


# ---- lines


@dataclasses.dataclass
class Lines:
    title: str
    x: Axis
    y: Axis
    series: list  # (name, dashed, [(x, median, p10, p90), ...])


LINES_WIDTH, LINES_HEIGHT, BEFORE, BELOW = 470, 320, 62, 48


def frame(picture, left, top, panel):
    begin, width, bottom = left + BEFORE, LINES_WIDTH - BEFORE - 20, top + LINES_HEIGHT - BELOW
    points = [point for _, _, points in panel.series for point in points]
    for value, text in panel.x.fit([point[0] for point in points]):
        x = begin + width * panel.x.place(value)
        picture.line(x, top + 46, x, bottom)
        picture.text(x, bottom + 16, text, size=11, anchor="middle", colour=FAINT)
    for value, text in panel.y.fit([value for point in points for value in point[1:]]):
        y = bottom - (bottom - top - 46) * panel.y.place(value)
        picture.line(begin, y, begin + width, y)
        picture.text(begin - 6, y + 4, text, size=11, anchor="end", colour=FAINT)
    picture.text(left + BEFORE, top + 14, panel.title, size=13, weight="bold")
    picture.text(begin + width / 2, bottom + 36, panel.x.label, anchor="middle")
    picture.text(left + 14, (top + 46 + bottom) / 2, panel.y.label, anchor="middle", turn=-90)
    return begin, width, bottom


def line_panel(picture, left, top, panel):
    begin, width, bottom = frame(picture, left, top, panel)
    tall, legend = bottom - top - 46, begin
    for (name, dashed, points), colour in zip(panel.series, COLOURS):
        places = []
        for x, value, low, high in points:
            across = begin + width * panel.x.place(x)
            low, value, high = (bottom - tall * panel.y.place(each) for each in (low, value, high))
            picture.line(across, low, across, high, colour, 1.2)
            places.append((across, value))
        picture.path(places, colour, dashed)
        for place in places:
            picture.dot(*place, colour)
        picture.path([(legend, top + 31), (legend + 24, top + 31)], colour, dashed)
        picture.text(legend + 30, top + 35, name)
        legend += 46 + 7.2 * len(name)


def lines(path, title, panels):
    picture = Picture(LINES_WIDTH * len(panels) + 30, LINES_HEIGHT + 60, title)
    picture.text(15, 26, title, size=16, weight="bold")
    for i, panel in enumerate(panels):
        line_panel(picture, 15 + LINES_WIDTH * i, 48, panel)
    picture.write(path)
