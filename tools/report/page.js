/* page.js - puts the page together */

function table(columns, rows) {
  const head = html("tr", {}, ...columns.map(([title, kind]) => html("th", { class: kind, scope: "col" }, title)));
  const body = rows.map((row) => html("tr", {}, ...row.map((cell, index) => html("td", { class: columns[index][1] }, cell))));
  return html("table", {}, html("thead", {}, head), html("tbody", {}, ...body));
}

function shareBar(part) {
  return html("span", {}, html("span", { class: "share" }, html("i", { style: `width:${(part * 100).toFixed(1)}%` })),
    formatShare(part));
}

/* ---- the top of the page */

function drawNotes() {
  const { archive } = data;
  const notes = [];
  if (data.finding_count > 0 || archive.damage_offset !== null) {
    const list = data.findings.map((finding) => html("li", {},
      `${finding.snapshot === null ? "" : `snapshot ${finding.snapshot.slice(0, 8)}, `}` +
      `${finding.file_offset === null ? "" : `offset ${formatCount(finding.file_offset)}: `}${finding.message}`));
    if (archive.damage_offset !== null) {
      list.unshift(html("li", {}, `offset ${formatCount(archive.damage_offset)}: what was written there has changed`));
    }
    if (data.finding_count > data.findings.length) {
      list.push(html("li", {}, `and ${formatCount(data.finding_count - data.findings.length)} more`));
    }
    notes.push(html("div", { class: "note bad", id: "damage" },
      html("b", {}, "This archive is damaged. "), "What could be read is shown; “savepoint verify” checks every byte.",
      html("ul", {}, ...list)));
  }
  if (archive.torn_bytes > 0) {
    notes.push(html("p", { class: "note warn", id: "torn" }, archive.writer_active
      ? "A program was writing to this archive; what it had not finished is not shown."
      : `The last ${formatSize(archive.torn_bytes)} are a torn tail: a write that was never finished. ` +
        "Every snapshot before it is whole."));
  }
  if (data.has_older) {
    notes.push(html("p", { class: "note warn" },
      `Only the newest ${formatCount(data.snapshot_count)} snapshots were asked for; there are older ones.`));
  }
  if (data.snapshot_count === 0) {
    notes.push(html("p", { class: "note warn" }, "There is no snapshot yet."));
  }
  byId("notes").replaceChildren(...notes);
}

function fact(title, value, more) {
  return html("div", {}, html("dt", {}, title), html("dd", {}, value), html("dd", {}, more));
}

function drawFacts() {
  const { archive, head, total } = data;
  const changed = total.changed_pages * PAGE_BYTES;
  const branches = data.branches.length + data.branches_omitted;
  const facts = [
    fact("Snapshots", formatCount(data.snapshot_count), (branches > 1 ? `on ${formatCount(branches)} branches` : "on one branch") +
      (total.dropped_count > 0 ? `, ${formatCount(total.dropped_count)} dropped` : "")),
    fact("File", formatSize(archive.file_bytes), archive.sealed_bytes >= archive.committed_bytes ? "all of it durable"
      : `${formatSize(archive.sealed_bytes)} durable`)
  ];
  if (data.columns.length > 0) {
    const times = data.columns.flatMap((column) => [parseTime(column.first.time), parseTime(column.last.time)]);
    const span = times.reduce((a, b) => a > b ? a : b) - times.reduce((a, b) => a < b ? a : b);
    facts.splice(1, 0, fact("Span of time", formatDuration(span * 1e6), data.snapshot_count > 1 && span > 0
      ? `one every ${formatDuration(span * 1e6 / (data.snapshot_count - 1))}` : ""));
  }
  if (head !== null) {
    facts.push(fact("Memory at HEAD", formatSize(head.region_pages * PAGE_BYTES), plural(head.region_count, "region")));
  }
  if (total.stored_bytes > 0) {
    facts.push(fact("Compression", formatRatio(changed / total.stored_bytes), `of ${formatSize(changed)} written`),
      fact("Median pause", formatDuration(total.pause_ns_median), `longest ${formatDuration(total.pause_ns_max)}`));
  }
  byId("facts").replaceChildren(...facts);
}

function drawMore() {
  const { archive, head } = data;
  const rows = [
    ["Written by", `${archive.creator || "unknown"} on ${archive.abi || "unknown"}, format ${archive.format_version}` +
      (archive.writer_active ? "; a program has it open" : "")],
    ["History", archive.history_uuid || "unknown", "code"]];
  if (head !== null) {
    rows.push(["HEAD", `snapshot ${head.sequence}, ${head.id.slice(0, 8)}${head.label === "" ? "" : `, “${head.label}”`}`],
      ["State digest of HEAD", head.digest, "code"]);
  }
  byId("more").replaceChildren(...rows.flatMap(([title, text, kind]) =>
    [html("dt", {}, title), html("dd", { class: kind || "" }, text)]));
}

function drawHeader() {
  const count = data.columns.length;
  document.title = `${data.title} - savepoint report`;
  byId("title").textContent = data.title;
  byId("subtitle").textContent = count === 0 ? data.archive.path
    : `${data.archive.path}, ${formatTime(data.columns[0].first.time)} to ${formatTime(data.columns[count - 1].last.time)}`;
  byId("column-meaning").textContent = data.column_snapshots > 1
    ? `is ${formatCount(data.column_snapshots)} snapshots` : "is a snapshot";
  drawNotes();
  drawFacts();
  drawMore();
}

/* ---- charts */

function drawCharts() {
  const several = data.column_snapshots > 1;
  const mean = several ? "A bar is the mean of the snapshots of its column, the thin line above it their largest." : "";
  const per = (column, member) => column[member] / column.snapshot_count;
  const both = (member) => data.columns.map((column) => [per(column, member), column[`${member}_max`]]);
  const ratio = (column) => column.stored_bytes > 0 ? column.changed_pages * PAGE_BYTES / column.stored_bytes : 0;
  const { total } = data;
  const meanOf = (column, member, format) => several
    ? `mean ${format(per(column, member))}, largest ${format(column[`${member}_max`])}` : format(column[member]);
  byId("charts").replaceChildren(
    drawChart({
      title: "Pages written", about: `${formatCount(total.changed_pages)} in all. ${mean}`, rules: [],
      values: both("changed_pages"), isWhole: true, format: (value) => formatCount(value),
      describe: (column) => [`pages: ${meanOf(column, "changed_pages", formatCount)}`]
    }),
    drawChart({
      title: "Bytes stored", about: `${formatSize(total.stored_bytes)} in all. ${mean}`, rules: [], isWhole: true, isBinary: true,
      values: both("stored_bytes"), format: formatSize,
      describe: (column) => [`stored: ${meanOf(column, "stored_bytes", formatSize)}`]
    }),
    drawChart({
      title: "Compression ratio", about: "Bytes of the pages written, for each byte stored: higher is better.", rules: [],
      values: data.columns.map((column) => [ratio(column), 0]), format: (value) => `${Number(value.toPrecision(2))}`,
      asPoints: true, describe: (column) => [`${formatRatio(ratio(column))}`]
    }),
    drawChart({
      title: "Pause", isLast: true, about: `How long the program was held. Lines: median ${formatDuration(total.pause_ns_median)}, ` +
        `p90 ${formatDuration(total.pause_ns_p90)} (dashed).${several ? " A point is the median of its column, the thin line above it the longest." : ""}`,
      values: data.columns.map((column) => [column.pause_ns_median, column.pause_ns_max]), format: formatDuration,
      asPoints: true,
      rules: [[total.pause_ns_median, "median"], [total.pause_ns_p90, "p90"]],
      describe: (column) => [several
        ? `pause: median ${formatDuration(column.pause_ns_median)}, longest ${formatDuration(column.pause_ns_max)}`
        : `pause: ${formatDuration(column.pause_ns_max)}`]
    }));
}

/* ---- tables */

function drawNamed() {
  const named = data.marks.filter((mark) => mark.head || mark.names.length > 0 || mark.pinned);
  const omitted = data.marks_omitted > 0 ? ` ${formatCount(data.marks_omitted)} marks are left out.` : "";
  const lost = data.branches_omitted > 0 ? ` ${formatCount(data.branches_omitted)} short branches are left out.` : "";
  byId("history-meaning").textContent = "The blue line leads to HEAD, where a program resumes. Filled: named; square: " +
    `pinned; dashed: dropped.${lost}${omitted}`;
  byId("named").replaceChildren(named.length === 0 ? "" : table(
    [["Names", "text"], ["Snapshot", "code"], ["Sequence", "number"], ["Time", ""], ["Label", "text"]],
    named.map((mark) => [namesOf(mark).join(", "), mark.point.id.slice(0, 8), formatCount(mark.point.sequence),
      formatTime(mark.point.time), mark.point.label])));
}

function drawPages() {
  const written = data.total.changed_pages;
  const runs = data.hottest.some((page) => page.counter_pages > 1);
  byId("pages-meaning").textContent = data.hottest.length === 0 ? "No page was written."
    : `Of ${plural(data.snapshot_count, "snapshot")}, so many wrote the page. A page stored whole counts as ${PAGE_BYTES} changed bytes.` +
      (runs ? " The regions are so large that neighbouring pages are counted together." : "");
  byId("pages").replaceChildren(data.hottest.length === 0 ? "" : table(
    [["Region", "text"], [runs ? "Pages" : "Page", "number"], ["Address", "code"], ["Times written", "number"],
      ["Bytes changed", "number"], ["Share of all writes", ""]],
    data.hottest.map((page) => [page.region,
      page.counter_pages === 1 ? formatCount(page.page)
        : `${formatCount(page.page)} to ${formatCount(page.page + page.counter_pages - 1)}`,
      page.address, formatCount(page.written_pages), formatSize(page.changed_bytes),
      shareBar(written > 0 ? page.written_pages / written : 0)])));
}

function drawRegions() {
  const written = data.regions.reduce((sum, region) => sum + region.written_pages, 0);
  const sorted = data.regions.slice().sort((a, b) => b.written_pages - a.written_pages);
  const rows = sorted.map((region) => [region.name, formatSize(region.region_pages * PAGE_BYTES), region.address,
    formatCount(region.written_pages),
    region.counter_pages === 1 ? formatShare(region.region_pages > 0 ? region.touched_count / region.region_pages : 0) : "",
    formatSize(region.changed_bytes), formatSize(region.stored_bytes),
    shareBar(written > 0 ? region.written_pages / written : 0)]);
  byId("regions").replaceChildren(table(
    [["Region", "text"], ["Size", "number"], ["Address", "code"], ["Pages written", "number"], ["Ever touched", "number"],
      ["Bytes changed", "number"], ["Bytes stored", "number"], ["Share of all writes", ""]], rows));
  if (data.regions_omitted > 0) {
    byId("regions").append(html("p", { class: "hint" }, `${plural(data.regions_omitted, "region")} more had few writes, or none.`));
  }
}

function drawNumbers() {
  const several = data.column_snapshots > 1;
  byId("numbers-meaning").textContent = several ? "The columns of the figures above" : "All snapshots";
  byId("numbers").replaceChildren(table(
    [[several ? "First snapshot" : "Snapshot", "code"], ["Sequence", "number"], ["Time", ""], ["Label", "text"],
      ["Pages", "number"], ["Stored", "number"], [several ? "Pause, median" : "Pause", "number"], ["", ""]],
    data.columns.map((column) => [column.first.id.slice(0, 8),
      several ? `${column.first.sequence} to ${column.last.sequence}` : String(column.first.sequence),
      formatTime(column.first.time), column.first.label, formatCount(column.changed_pages),
      formatSize(column.stored_bytes), formatDuration(column.pause_ns_median),
      [column.damaged_count > 0 ? "damaged" : "", column.dropped_count > 0 ? "dropped" : ""].filter(Boolean).join(", ")])));
}

function drawFooter() {
  byId("footer").textContent = `Made by savepoint ${data.version}. A page is ${PAGE_BYTES} bytes. Kinds: a delta is the ` +
    "difference to the version before; whole, the page itself; zero, a page of zeros. Times are those of this browser's " +
    "time zone.";
}

/* ---- what depends on the width of the window is drawn anew when that changes */

const bands = makeBands();

function drawFigures() {
  layAxis(byId("heat").clientWidth);
  drawHeat(bands, document.querySelector("#metric input:checked").value);
  drawCharts();
  drawHistory();
}

/* The map begins with the colouring that tells more: that in which the commonest colour is rarer. */
function chooseMetric() {
  const commonest = (metric) => {
    const scale = heatScale(bands, metric);
    const counts = new Array(LEVELS + 1).fill(0);
    bands.forEach((band) => band.cells.forEach((cell) => counts[scale.level(heatOf(band, cell, metric))]++));
    return Math.max(...counts);
  };
  const metric = commonest("bytes") < 0.7 * commonest("pages") ? "bytes" : "pages";
  document.querySelector(`#metric input[value=${metric}]`).checked = true;
}

function start() {
  if (data.snapshot_count === 0) {
    drawHeader();
    document.querySelectorAll("main section").forEach((section) => section.remove());
    return;
  }
  chooseMetric();
  drawHeader();
  drawNamed();
  drawPages();
  drawRegions();
  drawNumbers();
  drawFooter();
  drawFigures();
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth !== width) {
      width = innerWidth;
      hideTip();
      drawFigures();
    }
  });
  byId("metric").addEventListener("change", (event) => colourCells(bands, event.target.value));
  addEventListener("scroll", hideTip, { passive: true });
}

start();
