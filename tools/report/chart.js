"use strict";
/* chart.js - numbers as text, elements, the common time axis, bars and points over it */

/* Characters that hide text or turn it round are shown instead, as the tool does on a terminal. */
function showUnsafe(text) {
  return text.replace(/[\0-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

const data = JSON.parse(document.getElementById("data").textContent,
  (key, value) => typeof value === "string" ? showUnsafe(value) : value);
const PAGE_BYTES = 4096;

function byId(id) {
  return document.getElementById(id);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    node.setAttribute(name, value);
  }
  node.append(...children); /* strings become text, never markup */
  return node;
}

function html(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function svg(tag, attributes, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

/* ---- numbers */

function formatCount(number) {
  return Math.round(number).toLocaleString("en");
}

function plural(count, word) {
  return `${formatCount(count)} ${word}${count === 1 ? "" : "s"}`;
}

function formatSize(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
  let unit = 0;
  while (bytes >= 999.5 && unit + 1 < units.length) {
    bytes /= 1024;
    unit++;
  }
  return `${unit === 0 || bytes >= 99.95 ? Math.round(bytes) : bytes.toFixed(1)} ${units[unit]}`;
}

function formatDuration(ns) {
  const seconds = ns / 1e9;
  const two = (value) => String(Math.floor(value)).padStart(2, "0");
  for (const [unit, size] of [["ns", 1e3], ["µs", 1e6], ["ms", 1e9], ["s", 60e9]]) {
    if (ns < size) {
      return `${Number((unit === "s" ? seconds : ns / size * 1e3).toPrecision(3))} ${unit}`;
    }
  }
  const days = Math.floor(seconds / 86400);
  if (seconds < 3600) {
    return `${Math.floor(seconds / 60)}:${two(seconds % 60)} min`;
  }
  const clock = `${Math.floor(seconds / 3600) % 24}:${two(seconds / 60 % 60)}:${two(seconds % 60)} h`;
  return days > 0 ? `${plural(days, "day")} ${clock}` : clock;
}

function formatShare(part) {
  const percent = part * 100;
  if (percent === 0 || percent >= 99.95) {
    return `${Math.round(percent)} %`;
  }
  return percent >= 0.01 ? `${Number(percent.toPrecision(2))} %` : `${Number((part * 1e6).toPrecision(2))} ppm`;
}

function formatRatio(ratio) {
  return `${ratio >= 100 ? formatCount(ratio) : ratio.toFixed(1)} : 1`;
}

function parseTime(text) {
  return new Date(text.replace(/(\.\d{3})\d*Z$/, "$1Z")); /* not every browser reads nanoseconds */
}

function formatTime(text) {
  const time = parseTime(text);
  const two = (value) => String(value).padStart(2, "0");
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())} ` +
    `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
}

function formatAddress(base, pages) {
  return `0x${(BigInt(base) + BigInt(pages) * BigInt(PAGE_BYTES)).toString(16)}`;
}

/* ---- the snapshots of a column */

function describeColumn(column) {
  const { first, last } = column;
  const label = (point) => point.label === "" ? "" : ` “${point.label}”`;
  const damaged = column.damaged_count > 0 ? ["damaged: not all pages could be read"] : [];
  if (column.snapshot_count === 1) {
    return [`snapshot ${first.sequence}, ${formatTime(first.time)}${label(first)}`, ...damaged];
  }
  return [`snapshots ${first.sequence}${label(first)} to ${last.sequence}${label(last)}`,
    `${formatTime(first.time)} to ${formatTime(last.time)}`, ...damaged];
}

/* ---- the time axis: the same for all figures, so that they can be read above each other */

const axis = { left: 64, right: 14, width: 0, step: 0 };

function layAxis(width) {
  const most = 120; /* few snapshots need not fill the page */
  axis.left = width < 560 ? 48 : 64;
  axis.width = Math.max(60, Math.min(width - axis.left - axis.right, data.columns.length * most));
  axis.step = axis.width / Math.max(1, data.columns.length);
}

function columnX(column) {
  return axis.left + column * axis.step;
}

function snapshotX(snapshot) {
  return axis.left + (snapshot + 0.5) / data.snapshot_count * axis.width;
}

function columnAt(x) {
  const column = Math.floor((x - axis.left) / axis.step);
  return column >= 0 && column < data.columns.length ? column : -1;
}

/* Below a plot: sequence numbers, and the times of both ends where there is room for them. */
function timeTicks(y, withTimes) {
  const group = svg("g");
  const count = data.columns.length;
  const every = Math.max(1, Math.ceil(70 / axis.step));
  for (let column = 0; column < count; column += every) {
    const x = columnX(column) + axis.step / 2;
    group.append(svg("line", { class: "grid", x1: x, x2: x, y1: y, y2: y + 4 }),
      svg("text", { x, y: y + 17, "text-anchor": "middle" }, `#${data.columns[column].first.sequence}`));
  }
  if (withTimes && count > 1 && axis.width > 330) {
    group.append(svg("text", { x: axis.left, y: y + 34 }, formatTime(data.columns[0].first.time)),
      svg("text", { x: axis.left + axis.width, y: y + 34, "text-anchor": "end" },
        formatTime(data.columns[count - 1].last.time)));
  }
  return group;
}

/* ---- pointing at things: one text beside the pointer, one shade over the same column of all figures */

function showTip(x, y, title, lines) {
  const tip = byId("tip");
  tip.replaceChildren(html("b", {}, title), ...lines.map((line) => html("div", {}, line)));
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  const right = x + 16 + box.width > innerWidth - 8;
  const below = y + 16 + box.height > innerHeight - 8;
  tip.style.left = `${Math.max(8, right ? x - 16 - box.width : x + 16)}px`;
  tip.style.top = `${Math.max(8, below ? y - 16 - box.height : y + 16)}px`;
}

function shadeColumn(column) {
  for (const shade of document.querySelectorAll(".cursor")) {
    shade.setAttribute("x", column < 0 ? 0 : columnX(column));
    shade.setAttribute("width", column < 0 ? 0 : axis.step);
  }
}

function hideTip() {
  byId("tip").hidden = true;
  shadeColumn(-1);
}

function shade(top, height) {
  return svg("rect", { class: "cursor", x: 0, y: top, width: 0, height });
}

/* Calls tell(x, y) with the place inside the figure; it returns [column, title, lines], or null for nothing there. */
function followPointer(figure, tell) {
  const point = (event) => {
    const box = figure.getBoundingClientRect();
    const told = tell(event.clientX - box.left, event.clientY - box.top);
    if (told === null) {
      hideTip();
    } else {
      shadeColumn(told[0]);
      showTip(event.clientX, event.clientY, told[1], told[2]);
    }
  };
  figure.addEventListener("pointermove", point);
  figure.addEventListener("pointerdown", point);
  figure.addEventListener("pointerleave", hideTip);
}

/* ---- values over time */

/* A scale from 0 (or, logarithmic, from the smallest value) to the largest, with round ticks. */
function valueScale(values, isWhole, isBinary) {
  const above = values.filter((value) => value > 0).sort((a, b) => a - b);
  const top = above.length > 0 ? above[above.length - 1] : 1;
  const middle = above.length > 0 ? above[Math.floor(above.length / 2)] : 1;
  if (top > 20 * middle) {
    const base = isBinary ? 1024 : 10;
    const low = Math.floor(Math.log(above[0]) / Math.log(base) + 1e-9);
    const high = Math.max(low + 1, Math.ceil(Math.log(top) / Math.log(base) - 1e-9));
    const every = Math.ceil((high - low) / 4);
    const ticks = [];
    for (let power = low; power <= high; power += every) {
      ticks.push(base ** power);
    }
    const bottom = Math.log(base ** low);
    const span = Math.max(Math.log(top * 1.2), Math.log(ticks[ticks.length - 1])) - bottom;
    const part = (value) => value <= 0 ? 0 : Math.max(0, (Math.log(value) - bottom) / span);
    return { part, ticks, isLog: true };
  }
  const raw = top / 3;
  const base = isBinary ? 2 : 10;
  const unit = base ** Math.floor(Math.log(raw) / Math.log(base));
  const steps = isBinary ? [unit] : [unit, 2 * unit, 5 * unit, 10 * unit];
  const step = Math.max(isWhole ? 1 : 0, steps.find((one) => isBinary || one >= raw * 0.999));
  const ticks = [];
  for (let tick = 0; tick <= top * 1.0001; tick += step) {
    ticks.push(tick);
  }
  return { part: (value) => value / (top * 1.05), ticks, isLog: false };
}

function valueTicks(scale, top, height, format) {
  const group = svg("g");
  for (const tick of scale.ticks) {
    const y = top + height * (1 - scale.part(tick));
    group.append(svg("line", { class: "grid", x1: axis.left, x2: axis.left + axis.width, y1: y, y2: y }),
      svg("text", { x: axis.left - 6, y: y + 4, "text-anchor": "end" }, format(tick)));
  }
  return group;
}

/* chart: { title, about, isLast, values: [[shown, most] of each column], rules: [[value, class]], format, isWhole,
 * isBinary, asPoints, describe(column) } */
function drawChart(chart) {
  const top = 8;
  const height = 110;
  const bottom = chart.isLast ? 40 : 22;
  const scale = valueScale(chart.values.flat().concat(chart.rules.map((rule) => rule[0])), chart.isWhole,
    chart.isBinary);
  const y = (value) => top + height * (1 - scale.part(value));
  const figure = svg("svg", { height: top + height + bottom, role: "img", "aria-label": `${chart.title}. ${chart.about}` });
  figure.append(svg("rect", { class: "plot", x: axis.left, y: top, width: axis.width, height }),
    valueTicks(scale, top, height, chart.format));
  const wide = Math.min(28, Math.max(1, axis.step * 0.8));
  let bars = "";
  let reaches = "";
  chart.values.forEach(([shown, most], column) => {
    const middle = columnX(column) + axis.step / 2;
    if (chart.asPoints && shown > 0) {
      figure.append(svg("circle", { class: "dot", cx: middle, cy: y(shown), r: Math.min(4, Math.max(1.5, wide / 2)) }));
    } else if (shown > 0) {
      bars += `M${middle - wide / 2} ${top + height}V${Math.min(y(shown), top + height - 1)}h${wide}V${top + height}z`;
    }
    if (most > shown) {
      reaches += `M${middle} ${y(most)}V${y(shown)}`;
    }
  });
  figure.append(svg("path", { class: "reach", d: reaches }), svg("path", { class: "bar", d: bars }));
  for (const [value, kind] of chart.rules) {
    const x2 = axis.left + axis.width;
    figure.append(svg("line", { class: `rule ${kind}`, x1: axis.left, x2, y1: y(value), y2: y(value) }));
  }
  figure.append(timeTicks(top + height, chart.isLast), shade(top, height));
  followPointer(figure, (x) => {
    const column = columnAt(x);
    return column < 0 ? null : [column, describeColumn(data.columns[column])[0],
      describeColumn(data.columns[column]).slice(1).concat(chart.describe(data.columns[column]))];
  });
  const about = scale.isLog ? `${chart.about} The scale is logarithmic.` : chart.about;
  return html("div", { class: "chart" }, html("h3", {}, chart.title), html("p", {}, about), figure);
}
