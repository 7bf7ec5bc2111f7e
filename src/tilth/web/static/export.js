// The address of the file follows what is chosen.
import "./page.js";

const form = document.getElementById("export");
const fit = () => {
  const data = new FormData(form);
  form.action = `/export/${data.get("what")}.${data.get("kind")}`;
};
form.addEventListener("change", fit);
fit();
