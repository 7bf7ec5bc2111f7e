// Pages of lists: when something in them changes, the list is fetched anew and exchanged,
// unless somebody is just using it.
import { live } from "./page.js";

const part = document.getElementById("follow");
let waiting = null;
let turn = 0;

async function renew() {
  waiting = null;
  const mine = ++turn;
  if (part.contains(document.activeElement) && document.activeElement !== document.body) {
    later(3000);
    return;
  }
  const answer = await fetch(location.href);
  if (!answer.ok || mine !== turn) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("follow");
  if (fresh) part.replaceChildren(...fresh.childNodes);
}

function later(milliseconds) {
  waiting ??= setTimeout(renew, milliseconds);
}

live(part.dataset.kinds.split(","), () => later(400), () => later(0));
