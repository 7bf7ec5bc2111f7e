// One closure: its readings, the curve fitted to them, and what is left over.
import "./page.js";
import { chart, colour, number } from "./chart.js";

const data = JSON.parse(document.getElementById("data").textContent);
document.getElementById("choose").addEventListener("change", (event) => location.assign(event.target.value));

const { elapsed, co2, used, residual, fit_elapsed: fitX, fit_co2: fitY } = data;
const ends = elapsed.length ? [elapsed[0], elapsed[elapsed.length - 1]] : [0, 180];
const span = [ends[0] - 2, ends[1] + 2];
const first = used.indexOf(1);

function points(u, values) {
  const { ctx, bbox } = u;
  const px = devicePixelRatio;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.strokeStyle = ctx.fillStyle = colour("accent");
  ctx.lineWidth = 1.2 * px;
  for (let i = 0; i < elapsed.length; i++) {
    if (values[i] === null) continue;
    ctx.beginPath();
    ctx.arc(u.valToPos(elapsed[i], "x", true), u.valToPos(values[i], "y", true), 2.6 * px, 0, 7);
    if (used[i]) ctx.fill();
    else ctx.stroke();
  }
  ctx.restore();
}

function curve(u) {
  if (!fitX.length) return;
  const { ctx } = u;
  ctx.save();
  ctx.strokeStyle = colour("second");
  ctx.lineWidth = 2 * devicePixelRatio;
  ctx.beginPath();
  fitX.forEach((x, i) => {
    const at = [u.valToPos(x, "x", true), u.valToPos(fitY[i], "y", true)];
    if (i) ctx.lineTo(...at);
    else ctx.moveTo(...at);
  });
  ctx.stroke();
  ctx.restore();
}

function readout(name, rest, units) {
  const note = document.getElementById(name);
  note.textContent = rest;
  return (u, i) => {
    note.textContent = i === null || i === undefined || u.data[1][i] === null
      ? rest : `${number(u.data[0][i], 0)} s  ${number(u.data[1][i], 1)} ${units}`;
  };
}

const shared = {
  time: false,
  sync: "closure",
  range: () => span,
  // The dead band: from closing to the first reading that is fitted.
  shaded: () => (first > 0 ? [[Math.min(0, elapsed[0]), elapsed[first]]] : []),
};
const withFit = [...co2, ...fitY].filter((v) => v !== null);
chart(document.getElementById("co2"), {
  ...shared,
  data: [elapsed, co2],
  series: [{ width: 0 }],
  yRange: () => uPlot.rangeNum(Math.min(...withFit), Math.max(...withFit), 0.08, true),
  draw: (u) => { curve(u); points(u, co2); },
  readout: readout("co2-readout", `${elapsed.length} readings, ${used.filter(Boolean).length} fitted`, "ppm"),
});
const left = residual.filter((v, i) => v !== null && used[i]);
const spread = left.length ? Math.sqrt(left.reduce((sum, v) => sum + v * v, 0) / left.length) : null;
chart(document.getElementById("residual"), {
  ...shared,
  xLabel: "s since closing",
  data: [elapsed, residual],
  series: [{ width: 0 }],
  draw: (u) => {
    const y = u.valToPos(0, "y", true);
    u.ctx.save();
    u.ctx.strokeStyle = colour("second");
    u.ctx.beginPath();
    u.ctx.moveTo(u.bbox.left, y);
    u.ctx.lineTo(u.bbox.left + u.bbox.width, y);
    u.ctx.stroke();
    u.ctx.restore();
    points(u, residual);
  },
  readout: readout("residual-readout", spread === null ? "" : `root mean square ${number(spread, 1)} ppm`, "ppm"),
});
