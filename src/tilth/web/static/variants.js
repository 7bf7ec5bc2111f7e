// Hourly fluxes of the variants of each table, with their standard errors.
import "./page.js";
import { chart, number, utcText } from "./chart.js";

const root = document.getElementById("variants");
const span = [Number(root.dataset.start), Number(root.dataset.end)];
const dashes = [[], [], [6, 3], [2, 3], [8, 3, 2, 3], [12, 4], [4, 2, 1, 2]];

async function load() {
  const answer = await fetch(`/api/variants?start=${span[0]}&end=${span[1]}&light=${root.dataset.light}`);
  if (!answer.ok) return;
  const { variants } = await answer.json();
  for (const figure of root.querySelectorAll("figure")) draw(figure, variants);
}

function draw(figure, all) {
  const names = figure.dataset.variants.split(",");
  const mine = names.map((name) => all.find((one) => one.variant === name)).filter(Boolean);
  if (!mine.some((one) => one.t.length)) return;
  // Every hour in between, so that no line is drawn across a day that is left out.
  const hours = mine.flatMap((one) => one.t);
  const first = Math.min(...hours);
  const times = [];
  for (let t = first; t <= Math.max(...hours); t += 3600000) times.push(t);
  const data = [times];
  const series = [];
  const bands = [];
  mine.forEach((one, i) => {
    const at = new Map(one.t.map((t, k) => [t, k]));
    const pick = (f) => times.map((t) => (at.has(t) ? f(at.get(t)) : null));
    const withError = (k, sign) => (one.flux[k] === null ? null : one.flux[k] + sign * (one.flux_se[k] ?? 0));
    data.push(pick((k) => withError(k, -1)), pick((k) => withError(k, 1)), pick((k) => one.flux[k]));
    const colour = `k${i % 7}`;
    series.push({ width: 0 }, { width: 0 }, { colour, width: i ? 1.6 : 2.2, dash: dashes[i % 7] });
    bands.push([3 * i + 2, 3 * i + 1, colour]);
  });
  const note = figure.querySelector(".readout");
  chart(figure.querySelector(".plot-place"), {
    data,
    series,
    bands,
    sync: "variants",
    range: () => span,
    readout: (u, i) => {
      note.textContent = i === null || i === undefined ? ""
        : `${utcText(u.data[0][i], false)}  ${mine.map((one, k) => `${one.variant} ${number(u.data[3 * k + 3][i], 2)}`).join("  ")}`;
    },
  });
}

load();
