// Only the fields that a command takes are shown; many devices are asked about first.
const form = document.querySelector(".command-form");

function fit() {
  const cmd = form.querySelector('[name="cmd"]:checked')?.value;
  for (const field of form.querySelectorAll("[data-for]")) {
    field.hidden = !field.dataset.for.split(" ").includes(cmd);
  }
  const to = form.querySelector('[name="to"]');
  const several = to.value === "all" || to.value.startsWith("table:");
  if (several) form.dataset.ask = `Send “${cmd}” to ${to.selectedOptions[0].textContent}?`;
  else delete form.dataset.ask;
}

if (form) {
  form.addEventListener("change", fit);
  fit();
}
