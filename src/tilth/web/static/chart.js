// Charts in the look of the pages, over uPlot: times in UTC, gaps open, errors drawn.

const probe = document.createElement("span");
probe.hidden = true;
document.body.append(probe);

/** A colour of the style sheet as it is now, in light or dark. */
export function colour(name) {
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
}

const two = (n) => String(n).padStart(2, "0");
const DAY = 86400000;

/** A time as it is printed, in UTC. */
export function utcText(t, seconds = true) {
  const d = new Date(t);
  const day = `${d.getUTCFullYear()}-${two(d.getUTCMonth() + 1)}-${two(d.getUTCDate())}`;
  return `${day} ${two(d.getUTCHours())}:${two(d.getUTCMinutes())}${seconds ? `:${two(d.getUTCSeconds())}` : ""}`;
}

function timeLabels(u, splits, axis, space, step) {
  let day = null;
  return splits.map((t) => {
    const d = new Date(t);
    const date = `${two(d.getUTCMonth() + 1)}-${two(d.getUTCDate())}`;
    if (step >= DAY) return date;
    const clock = `${two(d.getUTCHours())}:${two(d.getUTCMinutes())}${step < 60000 ? `:${two(d.getUTCSeconds())}` : ""}`;
    const label = date === day ? clock : `${clock}\n${date}`;
    day = date;
    return label;
  });
}

export function number(value, decimals) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  return value.toFixed(decimals).replace("-", "−");
}

const charts = new Set();
const seen = new ResizeObserver((entries) => {
  for (const entry of entries) {
    for (const chart of charts) {
      if (chart.place === entry.target) {
        const width = Math.floor(entry.contentRect.width);
        if (width && width !== chart.plot.width) chart.plot.setSize({ width, height: chart.plot.height });
      }
    }
  }
});
document.addEventListener("theme", () => charts.forEach((chart) => chart.plot.redraw(false)));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.forEach((chart) => chart.plot.redraw(false)));

function plainLabels(u, splits, axis, space, step) {
  const decimals = Math.max(0, Math.ceil(-Math.log10(step) - 1e-9));
  return splits.map((value) => number(value, decimals).replace(/\B(?=(\d{3})+(?!\d)(?<!\.\d*))/g, "\u2009"));
}

function axis(side, label, values) {
  return {
    scale: side === "x" ? "x" : "y",
    stroke: () => colour("muted"),
    grid: { stroke: () => colour("line"), width: 1 },
    ticks: { stroke: () => colour("line"), width: 1, size: 4 },
    font: "11px system-ui, sans-serif",
    labelFont: "11px system-ui, sans-serif",
    size: side === "x" ? 38 : 52,
    gap: 4,
    ...(side === "x" ? { space: 70 } : { space: 32 }),
    ...(label ? { label, labelSize: 16, labelGap: 0 } : {}),
    ...(values ? { values } : {}),
  };
}

/** Shade spans of the x axis, such as the times a lid was closed. */
function shade(u, spans) {
  const { ctx, bbox } = u;
  const { min, max } = u.scales.x;
  ctx.save();
  ctx.fillStyle = colour("shade");
  for (const [from, to] of spans) {
    if (to <= min || from >= max) continue;
    const left = Math.max(u.valToPos(from, "x", true), bbox.left);
    const right = Math.min(u.valToPos(to, "x", true), bbox.left + bbox.width);
    ctx.fillRect(left, bbox.top, Math.max(right - left, 1), bbox.height);
  }
  ctx.restore();
}

/** Draw points with standard errors. */
export function errorBars(u, index, errors, name, ring) {
  const { ctx, bbox } = u;
  const [x, y] = [u.data[0], u.data[index]];
  const px = devicePixelRatio;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.strokeStyle = ctx.fillStyle = colour(name);
  ctx.lineWidth = px;
  for (let i = 0; i < x.length; i++) {
    if (y[i] === null || y[i] === undefined) continue;
    const at = u.valToPos(x[i], "x", true);
    const e = errors[i];
    if (e > 0) {
      ctx.globalAlpha = 0.55;
      ctx.beginPath();
      ctx.moveTo(at, u.valToPos(y[i] - e, "y", true));
      ctx.lineTo(at, u.valToPos(y[i] + e, "y", true));
      ctx.stroke();
      ctx.globalAlpha = 1;
    }
    ctx.beginPath();
    ctx.arc(at, u.valToPos(y[i], "y", true), 2.4 * px, 0, 7);
    if (ring && ring(i)) ctx.stroke();
    else ctx.fill();
  }
  ctx.restore();
}

/**
 * Make a chart in a place whose height the style sheet has set already.
 * @param {HTMLElement} place an empty element
 * @param {object} what data, series, decimals, units, x range and so on
 */
export function chart(place, what) {
  const isTime = what.time !== false;
  const readout = what.readout;
  const range = what.range;
  const options = {
    width: Math.floor(place.clientWidth) || 300,
    height: Math.floor(place.clientHeight) || 200,
    ms: 1,
    tzDate: (t) => uPlot.tzDate(new Date(t), "Etc/UTC"),
    legend: { show: false },
    padding: [8, 16, 0, 0],
    cursor: {
      points: { size: 6 },
      drag: { x: true, y: false, setScale: !what.onZoom, dist: 8 },
      ...(what.sync ? { sync: { key: what.sync, setSeries: false } } : {}),
    },
    scales: {
      x: { time: isTime, ...(range ? { range: () => range() } : {}) },
      y: { range: what.yRange ?? ((u, low, high) => (low === null ? [0, 1] : uPlot.rangeNum(low, high, 0.08, true))) },
    },
    axes: [
      axis("x", what.xLabel, isTime ? timeLabels : plainLabels),
      axis("y", what.yLabel, plainLabels),
    ],
    series: [{}, ...what.series.map((one) => ({
      width: one.width ?? 1.25,
      stroke: one.colour ? () => colour(one.colour) : undefined,
      points: { show: false },
      spanGaps: false,
      ...(one.paths ? { paths: one.paths } : {}),
      ...(one.dash ? { dash: one.dash } : {}),
    }))],
    bands: (what.bands ?? []).map(([upper, lower, name]) => ({
      series: [upper, lower],
      fill: () => colour(name).replace(/^rgb\((.*)\)$/, "rgb($1 / 0.22)").replace(/, /g, " "),
    })),
    hooks: {
      drawClear: [(u) => what.shaded && shade(u, what.shaded())],
      draw: [(u) => what.draw && what.draw(u)],
      setSelect: [(u) => {
        if (!what.onZoom || u.select.width < 8) return;
        const from = u.posToVal(u.select.left, "x");
        const to = u.posToVal(u.select.left + u.select.width, "x");
        u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        what.onZoom(Math.floor(from), Math.ceil(to));
      }],
      setCursor: [(u) => readout && readout(u, u.cursor.idx)],
    },
  };
  const plot = new uPlot(options, what.data, place);
  if (what.onReset) plot.over.addEventListener("dblclick", what.onReset);
  const made = { place, plot };
  charts.add(made);
  seen.observe(place);
  return plot;
}
