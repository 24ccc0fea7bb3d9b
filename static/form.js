// The form of a change: fields of an emergency appear with P0, the fields that the priority needs are marked, errors get the focus.
const form = document.getElementById("change-form");
const needed = JSON.parse(form.dataset.needed);
const mark = () => {
  const priority = form.querySelector('[name="priority"]:checked');
  document.getElementById("emergency").hidden = !priority || priority.value !== "P0";
  const names = new Set(priority ? needed[priority.value] : []);
  for (const label of form.querySelectorAll("label.form-label, fieldset[id^=id_]")) {
    const name = (label.htmlFor || label.id).replace("id_", "");
    label.classList.toggle("is-needed", names.has(name));
  }
};
form.addEventListener("change", (event) => {
  mark();
  const strategy = form.elements.strategy;
  if (event.target === strategy) strategy.dataset.chosen = "1";
  // A high risk goes by canary unless somebody chose another way (A18).
  if (event.target === form.elements.risk && event.target.value === "high" && !strategy.dataset.chosen && strategy.value === "rolling") strategy.value = "canary";
});
mark();
form.addEventListener("click", (event) => {
  const start = event.target.closest("[data-use-start]");
  if (!start) return;
  const field = document.getElementById("id_requested_window");
  field.value = start.dataset.useStart;
  field.dispatchEvent(new Event("change", { bubbles: true }));
  field.focus();
});
const errors = document.getElementById("errors");
if (errors) errors.focus();
