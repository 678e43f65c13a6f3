/* history.js - the tree of the snapshots */

const LANE_HEIGHT = 34;

function laneY(lane) {
  return 22 + lane * LANE_HEIGHT;
}

function drawBranch(branch) {
  const y = laneY(branch.lane);
  const from = snapshotX(branch.first_snapshot);
  let path = `M${from} ${y}`;
  if (branch.parent_snapshot !== null && branch.parent_lane !== null) {
    const x = snapshotX(branch.parent_snapshot);
    const bend = Math.min(from - x, 22);
    const up = laneY(branch.parent_lane);
    path = `M${x} ${up}C${x + bend / 2} ${up} ${x} ${y} ${x + bend} ${y}H${from}`;
  }
  return svg("path", { class: branch.lane === 0 ? "branch main" : "branch", d: `${path}H${snapshotX(branch.last_snapshot)}` });
}

function namesOf(mark) {
  return (mark.head ? ["HEAD"] : []).concat(mark.names, mark.pinned ? ["pinned"] : [], mark.dropped ? ["dropped"] : []);
}

function drawNode(x, lane, kind, radius) {
  const shape = kind.includes("pinned")
    ? { width: radius * 2, height: radius * 2, x: x - radius, y: laneY(lane) - radius }
    : { cx: x, cy: laneY(lane), r: radius };
  return svg(kind.includes("pinned") ? "rect" : "circle", { class: `node ${lane === 0 ? "main " : ""}${kind}`, ...shape });
}

function kindOf(mark) {
  return mark.head ? "head" : mark.dropped ? "dropped" : mark.pinned ? "pinned" : "named";
}

/* Names above their snapshots, then labels. What would run into another is left to the table below. */
function drawNames() {
  const group = svg("g");
  const taken = new Map();
  const place = (snapshot, lane, words, kind) => {
    const text = words.length > 26 ? `${words.slice(0, 25)}…` : words;
    const half = text.length * 3.7 + 4;
    const x = Math.max(axis.left + half - 8, Math.min(axis.left + axis.width + axis.right - half, snapshotX(snapshot)));
    const others = taken.get(lane) || [];
    if (text !== "" && lane !== null && others.every(([from, to]) => x + half < from || x - half > to)) {
      taken.set(lane, others.concat([[x - half, x + half]]));
      group.append(svg("text", { x, y: laneY(lane) - 9, "text-anchor": "middle", class: kind }, text));
    }
  };
  const named = data.marks.filter((mark) => !mark.dropped).sort((a, b) => Number(b.head) - Number(a.head));
  named.forEach((mark) => place(mark.snapshot, mark.lane, namesOf(mark).filter((name) => name !== "pinned").join(", "), "name"));
  data.columns.forEach((column) => place(column.first_snapshot, column.lane, column.first.label, ""));
  return group;
}

function describeMark(mark) {
  const lines = [formatTime(mark.point.time)];
  if (mark.point.label !== "") {
    lines.push(`“${mark.point.label}”`);
  }
  if (namesOf(mark).length > 0) {
    lines.push(namesOf(mark).join(", "));
  }
  return [`snapshot ${mark.point.sequence}, ${mark.point.id.slice(0, 8)}`, lines];
}

function nearestMark(x, y) {
  let best = null;
  let least = 14;
  for (const mark of data.marks.filter((one) => one.lane !== null)) {
    const distance = Math.hypot(snapshotX(mark.snapshot) - x, laneY(mark.lane) - y);
    if (distance < least) {
      least = distance;
      best = mark;
    }
  }
  return best;
}

function drawHistory() {
  const lanes = data.branches.reduce((most, branch) => Math.max(most, branch.lane + 1), 1);
  const height = laneY(lanes - 1) + 14;
  const figure = svg("svg", { height: height + 40, role: "img",
    "aria-label": `Tree of ${plural(data.snapshot_count, "snapshot")} on ${plural(data.branches.length, "branch").replace("branchs", "branches")}` });
  figure.append(shade(0, height), ...data.branches.slice().reverse().map(drawBranch));
  const room = axis.step > 9;
  data.columns.forEach((column, index) => {
    if (column.lane !== null && room) {
      figure.append(drawNode(snapshotX(index), column.lane, "", 4));
    }
  });
  for (const mark of data.marks.filter((one) => one.lane !== null).sort((a, b) => Number(a.head) - Number(b.head))) {
    figure.append(drawNode(snapshotX(mark.snapshot), mark.lane, kindOf(mark), mark.head ? 6 : 5));
  }
  figure.append(drawNames(), timeTicks(height, true));
  followPointer(figure, (x, y) => {
    const column = columnAt(x);
    const mark = nearestMark(x, y);
    if (mark !== null) {
      return [column, ...describeMark(mark)];
    }
    return column < 0 ? null : [column, describeColumn(data.columns[column])[0], describeColumn(data.columns[column]).slice(1)];
  });
  byId("history").replaceChildren(figure);
}
