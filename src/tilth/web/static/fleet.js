// The fleet page: tiles follow the chambers; find and filter.
import { live, now, setText, spanText } from "./page.js";

const tiles = new Map();
for (const tile of document.querySelectorAll(".tile")) tiles.set(tile.dataset.device, tile);

const field = (tile, name) => tile.querySelector(`[data-f="${name}"]`);

function fluxText(flux, se) {
  if (flux === null || flux === undefined) return "–";
  const sign = (text) => text.replace("-", "−");
  if (!(se > 0)) return sign(flux.toPrecision(3));
  const decimals = Math.max(0, 1 - Math.floor(Math.log10(se)));
  return `${sign(flux.toFixed(decimals))} ± ${se.toFixed(decimals)}`;
}

function apply(data) {
  const tile = tiles.get(data.device);
  if (!tile) {
    // A chamber that this page does not show yet.
    location.reload();
    return;
  }
  if ("loc" in data && data.loc !== tile.dataset.loc) {
    location.reload();
    return;
  }
  if ("co2" in data) {
    const text = data.co2 === null ? "–" : data.co2.toFixed(0);
    const place = field(tile, "co2");
    if (place.textContent !== text) {
      setText(place, text);
      place.classList.remove("fresh");
      void place.offsetWidth;
      place.classList.add("fresh");
    }
  }
  if ("flux" in data) setText(field(tile, "flux"), fluxText(data.flux, data.flux_se));
  if ("online" in data) tile.classList.toggle("is-offline", !data.online);
  if ("state" in data || "online" in data) {
    if (data.state) tile.dataset.state = data.state;
    const offline = tile.classList.contains("is-offline");
    if (offline || tile.dataset.state) setText(field(tile, "state"), offline ? "offline" : tile.dataset.state);
  }
  if (data.seen) {
    const time = field(tile, "seen").querySelector("time");
    time.dataset.t = data.seen;
    setText(time, spanText(now() - data.seen));
  }
  if ("severity" in data && data.severity !== tile.dataset.severity) {
    tile.classList.remove(`is-${tile.dataset.severity}`);
    tile.classList.add(`is-${data.severity}`);
    tile.dataset.severity = data.severity;
    const sample = document.querySelector(`.legend .mark.${data.severity}`);
    if (sample) tile.querySelector(".mark-place").replaceChildren(sample.cloneNode(true));
    filter();
  }
}

function facts(data) {
  if ("online" in data) setText(document.getElementById("online"), String(data.online));
  if ("alarms" in data) setText(document.getElementById("alarm-count"), String(data.alarms));
  if ("queue_depth" in data) setText(document.getElementById("queue"), String(data.queue_depth));
}

async function resync() {
  const answer = await fetch("/api/fleet");
  if (!answer.ok) return;
  const fleet = await answer.json();
  for (const tile of fleet.devices) apply(tile);
  facts({
    online: fleet.devices.filter((tile) => tile.online).length,
    alarms: fleet.devices.reduce((sum, tile) => sum + tile.alarms, 0),
    queue_depth: fleet.health.queue_depth,
  });
}

live(
  ["device", "flux", "alarm", "service"],
  (kind, data) => {
    if (kind === "service") facts(data);
    else if (kind === "alarm") resyncSoon();
    else apply(data);
  },
  resync,
);

// An alarm may change tiles and counts: read them once, however many alarms come.
let waiting = null;
function resyncSoon() {
  waiting ??= setTimeout(() => { waiting = null; resync(); }, 500);
}

// Find and filter.
const find = document.getElementById("find");
const onlyAlarms = document.getElementById("only-alarms");

function filter() {
  if (!find) return;
  const text = find.value.trim().toLowerCase();
  let shown = 0;
  for (const tile of tiles.values()) {
    const fits = (!text || tile.dataset.loc.toLowerCase().startsWith(text) || tile.dataset.device.includes(text))
      && (!onlyAlarms.checked || tile.dataset.severity !== "none");
    tile.hidden = !fits;
    shown += fits;
  }
  for (const part of document.querySelectorAll(".variant, .table-block")) {
    part.hidden = !part.querySelector(".tile:not([hidden])");
  }
  document.getElementById("none-found").hidden = shown > 0 || tiles.size === 0;
}

if (find) {
  find.addEventListener("input", filter);
  onlyAlarms.addEventListener("change", filter);
  document.getElementById("filter").addEventListener("submit", (event) => event.preventDefault());
}
