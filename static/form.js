// The form of a change: fields of an emergency appear with P0; errors get the focus.
const form = document.getElementById("change-form");
form.addEventListener("change", () => {
  const priority = form.querySelector('[name="priority"]:checked');
  document.getElementById("emergency").hidden = !priority || priority.value !== "P0";
});
const errors = document.getElementById("errors");
if (errors) errors.focus();
