// What every page does: ages that grow, light or dark, the live stream, forms.

const body = document.body;
const offset = Number(body.dataset.now) - Date.now();

/** The server's time now, in UTC milliseconds. */
export const now = () => Date.now() + offset;

/** Set a text only where it differs: no needless work for a screen reader. */
export function setText(element, text) {
  if (element && element.textContent !== text) element.textContent = text;
}

/** A span of time in its largest fitting unit, as the server writes it. */
export function spanText(milliseconds) {
  const seconds = Math.max(milliseconds, 0) / 1000;
  if (seconds >= 172800) return `${Math.round(seconds / 86400)} d`;
  if (seconds >= 3600) return `${Math.round(seconds / 3600)} h`;
  if (seconds >= 90) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds)} s`;
}

function growAges() {
  for (const element of document.querySelectorAll("time[data-t]")) {
    if (element.dataset.t) setText(element, spanText(now() - Number(element.dataset.t)));
  }
}
setInterval(growAges, 5000);

// Light or dark: the system's choice until this button is used.
document.getElementById("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  document.cookie = `theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=lax`;
  document.dispatchEvent(new CustomEvent("theme"));
});

// The live stream. Closed while the page is hidden: browsers open only a few
// connections to one server, and six forgotten tabs would block the seventh.
const sign = document.getElementById("live");
let stream = null;
let lastId = "";
let wanted = null;

function show(state, word) {
  if (sign.dataset.state === state) return;
  sign.dataset.state = state;
  setText(sign.querySelector(".word"), word);
}

function open() {
  if (stream || !wanted || document.hidden) return;
  const query = new URLSearchParams({ kinds: wanted.kinds.join(",") });
  if (wanted.device) query.set("device", wanted.device);
  if (lastId) query.set("last", lastId);
  stream = new EventSource(`/api/live?${query}`);
  stream.onopen = () => show("live", "live");
  stream.onerror = () => {
    show("lost", "reconnecting");
    if (stream && stream.readyState === EventSource.CLOSED) {
      close();
      setTimeout(open, 5000);
    }
  };
  for (const kind of wanted.kinds) {
    stream.addEventListener(kind, (event) => {
      lastId = event.lastEventId || lastId;
      wanted.hear(kind, JSON.parse(event.data));
    });
  }
  for (const kind of ["reload", "missed"]) {
    stream.addEventListener(kind, () => {
      lastId = "";
      wanted.resync();
    });
  }
}

function close() {
  if (stream) stream.close();
  stream = null;
}

document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
addEventListener("pagehide", close);
addEventListener("pageshow", open);

/**
 * Hear live updates.
 * @param {string[]} kinds which ones
 * @param {(kind: string, data: object) => void} hear called with each
 * @param {() => void} resync called when some were missed: read everything anew
 * @param {string} device only what concerns this one
 */
export function live(kinds, hear, resync, device = "") {
  close();
  wanted = { kinds, hear, resync, device };
  open();
}

// Pages that show nothing live still say whether the service answers.
addEventListener("DOMContentLoaded", () => {
  if (!wanted) live(["service"], () => {}, () => {});
});

// Forms: sent without leaving the page, so that a refusal keeps what was typed.
function formNote(form, text, bad) {
  let note = form.querySelector(".form-note");
  if (!note) {
    note = document.createElement("p");
    note.className = "form-note";
    note.setAttribute("role", "status");
    form.append(note);
  }
  note.classList.toggle("problem", bad);
  note.textContent = text;
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (form.method !== "post" || !form.matches("[data-send]")) return;
  event.preventDefault();
  const question = (event.submitter && event.submitter.dataset.ask) || form.dataset.ask;
  if (question && !confirm(question)) return;
  const data = new FormData(form);
  if (event.submitter && event.submitter.name) data.set(event.submitter.name, event.submitter.value);
  const buttons = form.querySelectorAll("button");
  for (const button of buttons) button.disabled = true;
  try {
    const answer = await fetch(form.action, {
      method: "POST",
      headers: { accept: "application/json" },
      body: form.enctype === "multipart/form-data" ? data : new URLSearchParams(data),
    });
    const text = await answer.text();
    let said = {};
    try { said = JSON.parse(text); } catch { said = { error: text }; }
    if (answer.ok) location.assign(said.location || location.href);
    else if (answer.status === 401) location.assign(`/login?next=${encodeURIComponent(location.pathname)}`);
    else formNote(form, said.error || `Refused (${answer.status}).`, true);
  } catch {
    formNote(form, "The service did not answer. Nothing was changed, or its answer was lost: look before trying again.", true);
  } finally {
    for (const button of buttons) button.disabled = false;
  }
});
