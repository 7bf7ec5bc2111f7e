// The page of a device: traces to the width of the screen, zoomed where one drags.
import { live, now, setText, spanText } from "./page.js";
import { chart, colour, errorBars, number, utcText } from "./chart.js";

const root = document.getElementById("traces");
const device = root.dataset.device;
const whole = [Number(root.dataset.start), Number(root.dataset.end)];
const following = root.dataset.following === "yes";
let shown = [...whole];
let shaded = [];
const plots = new Map();
const figures = [...root.querySelectorAll("figure[data-channel]")];
const busy = document.getElementById("busy");

function lastOf(values) {
  for (let i = values.length - 1; i >= 0; i--) if (values[i] !== null) return values[i];
  return null;
}

function summary(figure, trace, decimals) {
  const low = trace.low.filter((v) => v !== null);
  const high = trace.high.filter((v) => v !== null);
  if (!low.length) return "no readings in this span";
  const least = Math.min(...low), most = Math.max(...high);
  return `${number(least, decimals)} to ${number(most, decimals)}, last ${number(lastOf(trace.high), decimals)}`;
}

function draw(figure, trace) {
  const place = figure.querySelector(".plot-place");
  const decimals = Number(figure.dataset.decimals);
  const note = figure.querySelector(".readout");
  const text = summary(figure, trace, decimals);
  setText(note, text);
  note.dataset.rest = text;
  place.setAttribute("aria-label", `${figure.dataset.title}: ${text} ${trace.units}`);
  const data = [trace.t, trace.low, trace.high];
  if (plots.has(place)) {
    plots.get(place).setData(data);
    return;
  }
  plots.set(place, chart(place, {
    data,
    series: [{ colour: "accent" }, { colour: "accent" }],
    bands: [[2, 1, "accent"]],
    sync: "device",
    range: () => shown,
    shaded: () => shaded,
    onZoom: zoom,
    onReset: () => zoom(...whole),
    readout: (u, i) => {
      if (i === null || i === undefined || u.data[1][i] === null || u.data[1][i] === undefined) {
        setText(note, note.dataset.rest);
        return;
      }
      const [low, high] = [u.data[1][i], u.data[2][i]];
      const value = low === high ? number(low, decimals) : `${number(low, decimals)} … ${number(high, decimals)}`;
      setText(note, `${utcText(u.data[0][i])}  ${value}`);
    },
  }));
}

let asked = 0;
async function load() {
  const turn = ++asked;
  const wide = Math.max(...figures.map((figure) => figure.querySelector(".plot-place").clientWidth));
  const columns = Math.min(Math.max(Math.round(wide * Math.min(devicePixelRatio, 2)), 100), 2400);
  const query = new URLSearchParams({
    channels: figures.map((figure) => figure.dataset.channel).join(","),
    start: shown[0], end: shown[1], columns,
  });
  busy.hidden = false;
  try {
    const [readings, cycles] = await Promise.all([
      fetch(`/api/devices/${device}/trace?${query}`),
      fetch(`/api/fluxes?${new URLSearchParams({ device, start: shown[0], end: shown[1] })}`),
    ]);
    if (turn !== asked) return;
    if (!readings.ok) throw new Error((await readings.json()).error);
    const data = await readings.json();
    shaded = shown[1] - shown[0] <= 2 * 86400000 ? data.closures : [];
    for (const figure of figures) draw(figure, data.traces[figure.dataset.channel]);
    if (cycles.ok) drawFluxes((await cycles.json()).fluxes.reverse());
    setText(busy, "");
  } catch (error) {
    setText(busy, error.message || "The readings could not be fetched.");
  } finally {
    if (turn === asked) busy.hidden = busy.textContent === "";
  }
}

// Fluxes: points with standard errors; hollow where a flag is raised.
let fluxes = [];
let fluxPlot = null;
function drawFluxes(rows) {
  fluxes = rows;
  const figure = document.getElementById("fluxes");
  const place = figure.querySelector(".plot-place");
  const note = figure.querySelector(".readout");
  const rest = rows.length ? `${rows.length} closures` : "no closures in this span";
  setText(note, rest);
  place.setAttribute("aria-label", `Fluxes: ${rest}`);
  const data = [rows.map((row) => row.t), rows.map((row) => row.flux)];
  if (fluxPlot) {
    fluxPlot.setData(data);
    return;
  }
  fluxPlot = chart(place, {
    data,
    series: [{ width: 0 }],
    sync: "device",
    range: () => shown,
    onZoom: zoom,
    onReset: () => zoom(...whole),
    draw: (u) => errorBars(u, 1, fluxes.map((row) => row.flux_se), "accent", (i) => fluxes[i].flags.length),
    readout: (u, i) => {
      const row = i === null || i === undefined ? null : fluxes[i];
      setText(note, row && row.flux !== null
        ? `${utcText(row.t, false)}  ${number(row.flux, 3)}${row.flux_se ? ` ± ${number(row.flux_se, 3)}` : ""}${row.flags.length ? ` (${row.flags.join(", ")})` : ""}`
        : rest);
    },
  });
}

const back = document.getElementById("whole");
function zoom(from, to) {
  shown = [Math.max(from, 0), Math.max(to, from + 30000)];
  back.hidden = shown[0] === whole[0] && shown[1] === whole[1];
  load();
}
back.addEventListener("click", () => zoom(...whole));

load();

// The facts above follow the device; the traces are read anew now and then.
const fact = (name) => document.querySelector(`[data-fact="${name}"]`);
let stale = false;
live(["device", "flux", "alarm", "command"], (kind, data) => {
  if (kind === "device" && data.device === device) {
    if ("co2" in data) setText(fact("co2"), data.co2 === null ? "–" : `${number(data.co2, 0)} ppm`);
    if ("state" in data || "online" in data) setText(fact("state"), data.online === false ? "offline" : data.state ?? fact("state").textContent);
    if (data.seen) {
      const time = fact("seen").querySelector("time");
      time.dataset.t = data.seen;
      setText(time, spanText(now() - data.seen));
    }
    stale = true;
  }
}, load, device);

setInterval(() => {
  const unzoomed = shown[0] === whole[0] && shown[1] === whole[1];
  if (!following || !stale || !unzoomed || document.hidden) return;
  stale = false;
  const step = now() - whole[1];
  whole[0] += step;
  whole[1] += step;
  shown = [...whole];
  load();
}, 30000);
