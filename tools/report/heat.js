/* heat.js - the map of memory over time */

const LEVELS = 8;

/* The bands of the map, from the top: regions in the order of their addresses, then those that share a row. */
function makeBands() {
  const bands = data.regions.filter((region) => region.row_count > 0).map((region) => ({
    region, rows: region.row_count, rowPages: region.row_pages, cells: region.cells
  }));
  const shared = data.regions.filter((region) => region.row_count === 0);
  if (data.shared_row.cells.length > 0) {
    const pages = shared.reduce((sum, region) => sum + region.region_pages, 0);
    bands.push({ region: null, shared, rows: 1, rowPages: Math.max(1, pages), cells: data.shared_row.cells });
  }
  for (const band of bands) {
    band.grid = new Map(band.cells.map((cell) => [cell[0] * data.columns.length + cell[1], cell]));
  }
  return bands;
}

function pagesOf(cell) {
  return cell[3] + cell[4] + cell[5];
}

/* Pages that a row stands for: the last one of a region may be short. */
function rowPagesOf(band, row) {
  return band.region === null ? band.rowPages : Math.min(band.rowPages, band.region.region_pages - row * band.rowPages);
}

/* What colour shows: the part of what could have been written that was. */
function heatOf(band, cell, metric) {
  const room = rowPagesOf(band, cell[0]) * data.columns[cell[1]].snapshot_count;
  return metric === "bytes" ? cell[2] / (room * PAGE_BYTES) : pagesOf(cell) / room;
}

/* Eight steps down from the largest value: by factors of about three, by ten where that is not enough. */
function heatScale(bands, metric) {
  const values = bands.flatMap((band) => band.cells.map((cell) => heatOf(band, cell, metric)))
    .filter((value) => value > 0);
  const most = values.reduce((a, b) => Math.max(a, b), 0);
  const least = values.reduce((a, b) => Math.min(a, b), 1);
  const top = most > 0 ? Math.ceil(Math.log10(most) * 2 - 1e-9) / 2 : 0;
  const step = Math.log10(least) < top - 4 ? 1 : 0.5;
  const level = (value) => value <= 0 ? 1
    : Math.max(1, Math.min(LEVELS, Math.ceil(LEVELS + (Math.log10(value) - top) / step - 1e-9)));
  return { level, limit: (number) => 10 ** (top - (LEVELS - number) * step) };
}

function drawLegend(scale, metric) {
  const round = (value) => Number(value.toPrecision(1));
  const unit = metric === "bytes" ? "share of the bytes that changed, up to" : "share of the pages that were written, up to";
  const steps = [];
  for (let number = 1; number <= LEVELS; number++) {
    const limit = round(scale.limit(number));
    steps.push(html("span", {}, html("i", { class: `h${number}` }), formatShare(round(scale.limit(number)))));
  }
  byId("legend").replaceChildren(html("div", { class: "caption" }, unit), html("div", { class: "steps" }, ...steps));
  byId("legend").setAttribute("aria-label",
    `Colours: ${unit} ${steps.map((step) => step.textContent).join(", ")}`);
}

/* Everything about one cell, also where nothing was written. */
function describeCell(band, row, column) {
  const cell = band.grid.get(row * data.columns.length + column);
  const lines = describeColumn(data.columns[column]);
  let title = `${plural(band.shared ? band.shared.length : 0, "small region")}`;
  if (band.region !== null) {
    const first = row * band.rowPages;
    const count = rowPagesOf(band, row);
    title = count === 1 ? `${band.region.name}, page ${formatCount(first)}`
      : `${band.region.name}, pages ${formatCount(first)} to ${formatCount(first + count - 1)}`;
    lines.unshift(`${formatAddress(band.region.address, first)} to ${formatAddress(band.region.address, first + count)}`);
  }
  if (cell === undefined) {
    return [title, lines.concat("nothing written")];
  }
  const pages = pagesOf(cell);
  const kinds = [[cell[3], "delta"], [cell[4], "whole"], [cell[5], "zero"]].filter(([count]) => count > 0)
    .map(([count, kind]) => `${formatCount(count)} ${kind}`).join(", ");
  return [title, lines.concat(
    `${plural(pages, "page")} written (${formatShare(heatOf(band, cell, "pages"))}): ${kinds}`,
    `${formatSize(cell[2])} changed, ${formatSize(cell[2] / pages)} a page`)];
}

/* Places the bands below each other. Returns the height of them all. */
function layBands(bands) {
  const rows = bands.reduce((sum, band) => sum + band.rows, 0);
  const rowHeight = Math.max(2, Math.min(16, Math.floor(520 / Math.max(1, rows))));
  let y = 0;
  for (const band of bands) {
    band.rowHeight = band.rows === 1 ? Math.max(8, rowHeight) : rowHeight;
    band.top = y + 26;
    band.height = band.rows * band.rowHeight;
    y = band.top + band.height + 10;
  }
  return y;
}

function drawBandTitle(band) {
  const { region } = band;
  const text = svg("text", { x: axis.left, y: band.top - 8 });
  if (region === null) {
    text.append(svg("tspan", { class: "name" }, plural(band.shared.length, "small region")));
    return text;
  }
  const room = (axis.width + axis.right) / 7; /* characters */
  const facts = [formatSize(region.region_pages * PAGE_BYTES),
    band.rowPages === 1 ? "a row is a page" : `a row is ${formatSize(band.rowPages * PAGE_BYTES)}`,
    `from ${region.address}`];
  const name = region.name.length > 28 ? `${region.name.slice(0, 27)}…` : region.name;
  let length = name.length;
  text.append(svg("tspan", { class: "name" }, name));
  for (const fact of facts) {
    length += fact.length + 3;
    if (length < room) {
      text.append(svg("tspan", {}, `  ·  ${fact}`));
    }
  }
  return text;
}

/* Numbers of pages beside the rows. */
function drawRowTicks(band) {
  const group = svg("g");
  const every = 2 ** Math.ceil(Math.log2(22 / band.rowHeight)); /* round numbers */
  for (let row = 0; row < band.rows && band.region !== null; row += every) {
    if (row === 0 || row + every / 2 < band.rows) {
      const page = row * band.rowPages;
      group.append(svg("text", { x: axis.left - 6, y: band.top + row * band.rowHeight + Math.max(9, band.rowHeight * 0.8),
        "text-anchor": "end" }, page < 1e6 ? formatCount(page) : `${Number((page / 1e6).toPrecision(3))} M`));
    }
  }
  return group;
}

/* The columns in which a region was not there. */
function drawAbsence(band) {
  const group = svg("g");
  if (band.region === null) {
    return group;
  }
  const columnOf = (snapshot) => Math.floor(snapshot / data.column_snapshots);
  const from = columnX(columnOf(band.region.first_snapshot));
  const to = columnX(columnOf(band.region.last_snapshot) + 1);
  for (const [start, end] of [[axis.left, from], [to, axis.left + axis.width]]) {
    if (end - start > 0.5) {
      group.append(svg("rect", { class: "absent", x: start, y: band.top, width: end - start, height: band.height }));
    }
  }
  return group;
}

function drawCells(band) {
  const gap = axis.step > 6 && band.rowHeight > 4 ? 1 : 0;
  const edge = (column) => gap > 0 ? columnX(column) : Math.round(columnX(column));
  band.rects = band.cells.map(([row, column]) => svg("rect", {
    "data-row": row, "data-column": column, x: edge(column), y: band.top + row * band.rowHeight,
    width: Math.max(1, edge(column + 1) - edge(column) - gap), height: band.rowHeight - gap
  }));
  const name = band.region === null ? "" : band.region.name;
  return svg("g", { class: "cells", "data-region": name, "shape-rendering": "crispEdges" }, ...band.rects);
}

function colourCells(bands, metric) {
  const scale = heatScale(bands, metric);
  for (const band of bands) {
    band.cells.forEach((cell, index) => {
      band.rects[index].setAttribute("class", `h${scale.level(heatOf(band, cell, metric))}`);
    });
  }
  drawLegend(scale, metric);
}

/* Columns whose snapshots could not be read whole: what they lack is not known. */
function drawDamage(y) {
  const group = svg("g");
  data.columns.forEach((column, index) => {
    if (column.damaged_count > 0) {
      group.append(svg("rect", { class: "damaged", x: columnX(index), y, width: axis.step, height: 5 }));
    }
  });
  return group;
}

/* The arrow keys move from cell to cell; rows run through all bands. */
function followKeys(figure, bands, focus) {
  const rows = bands.flatMap((band) => Array.from({ length: band.rows }, (_, row) => [band, row]));
  let place = 0;
  let column = 0;
  const show = () => {
    const [band, row] = rows[place];
    const y = band.top + row * band.rowHeight;
    fill(focus, { x: columnX(column), y, width: axis.step, height: band.rowHeight }, []);
    const box = figure.getBoundingClientRect();
    shadeColumn(column);
    showTip(box.left + columnX(column) + axis.step / 2, box.top + y, ...describeCell(band, row, column));
  };
  const moves = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0], PageUp: [-16, 0],
    PageDown: [16, 0], Home: [0, -1e6], End: [0, 1e6] };
  figure.addEventListener("keydown", (event) => {
    const move = moves[event.key];
    if (move !== undefined && rows.length > 0) {
      place = Math.max(0, Math.min(rows.length - 1, place + move[0]));
      column = Math.max(0, Math.min(data.columns.length - 1, column + move[1]));
      show();
      event.preventDefault();
    } else if (event.key === "Escape") {
      hideTip();
    }
  });
  figure.addEventListener("focus", () => figure.matches(":focus-visible") && rows.length > 0 && show());
  figure.addEventListener("blur", () => {
    fill(focus, { width: 0, height: 0 }, []);
    hideTip();
  });
}

function drawHeat(bands, metric) {
  const height = layBands(bands);
  const figure = svg("svg", { height: height + 40, tabindex: 0, role: "application",
    "aria-label": "Map of memory over time. The arrow keys move from cell to cell." });
  const focus = svg("rect", { class: "focus", width: 0, height: 0 });
  for (const band of bands) {
    figure.append(drawBandTitle(band), drawRowTicks(band),
      svg("rect", { class: "plot", x: axis.left, y: band.top, width: axis.width, height: band.height }),
      drawAbsence(band), drawCells(band), shade(band.top, band.height));
  }
  figure.append(drawDamage(height - 8), timeTicks(height, true), focus);
  followPointer(figure, (x, y) => {
    const column = columnAt(x);
    const band = bands.find((one) => y >= one.top && y < one.top + one.height);
    return column < 0 || band === undefined ? null
      : [column, ...describeCell(band, Math.floor((y - band.top) / band.rowHeight), column)];
  });
  followKeys(figure, bands, focus);
  byId("heat").replaceChildren(figure);
  colourCells(bands, metric);
}
