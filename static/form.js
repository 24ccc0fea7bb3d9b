// The form of a change: fields of an emergency appear with P0, the fields that the priority needs are marked, errors get the focus.
const form = document.getElementById("change-form");
const needed = JSON.parse(form.dataset.needed);
const note = document.getElementById("risk-note");
const isEmergency = () => form.querySelector('[name="priority"]:checked')?.value === "P0";
const mark = () => {
  const priority = form.querySelector('[name="priority"]:checked');
  document.getElementById("emergency").hidden = !isEmergency();
  const names = new Set(priority ? needed[priority.value] : []);
  for (const label of form.querySelectorAll("label.form-label, fieldset[id^=id_]")) {
    const name = (label.htmlFor || label.id).replace("id_", "");
    label.classList.toggle("is-needed", names.has(name));
  }
  const { risk, strategy, strategy_reason: why, no_way_back: way, no_way_back_reason: whyNot } = form.elements;
  const asked = risk.value === "high" && strategy.value !== "canary" && !isEmergency();
  why.closest(".f").hidden = !asked && !why.value && !why.classList.contains("is-invalid");
  document.getElementById("id_rollback_tested").hidden = Boolean(way.value); // what cannot be tried has no evidence
  whyNot.closest(".f").hidden = !way.value && !whyNot.value && !whyNot.classList.contains("is-invalid");
};
// A high risk goes by canary unless somebody chose another way (A18); an emergency goes as fast as it can.
const preferCanary = () => {
  const { risk, strategy } = form.elements;
  const turns = risk.value === "high" && !isEmergency() && !strategy.dataset.chosen && strategy.value === "rolling";
  if (turns) strategy.value = "canary";
  note.hidden = !(turns || (!note.hidden && strategy.value === "canary" && risk.value === "high"));
};
form.addEventListener("change", (event) => {
  if (event.target === form.elements.strategy) { event.target.dataset.chosen = "1"; note.hidden = true; }
  if (event.target === form.elements.risk) preferCanary();
  mark();
});
mark();
form.addEventListener("click", (event) => {
  const start = event.target.closest("[data-use-start]");
  const level = event.target.closest("[data-use-risk]");
  const field = start ? document.getElementById("id_requested_window") : level ? form.elements.risk : event.target.closest("[data-undo-canary]") && form.elements.strategy;
  if (!field) return;
  field.value = start ? start.dataset.useStart : level ? level.dataset.useRisk : "rolling";
  field.dispatchEvent(new Event("change", { bubbles: true }));
  field.focus();
});
const errors = document.getElementById("errors");
if (errors) errors.focus();
