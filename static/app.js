// Conveniences. Everything essential works without this file.
document.addEventListener("click", (event) => {
  const copy = event.target.closest("[data-copy]");
  if (copy) {
    navigator.clipboard.writeText(copy.dataset.copy).then(() => {
      const label = copy.querySelector("span");
      if (label) { const was = label.textContent; label.textContent = "Copied"; setTimeout(() => { label.textContent = was; }, 1500); }
    });
  }
  if (event.target.closest("[data-theme-toggle]")) window.cmToggleTheme();
  const slug = event.target.closest("[data-add-component]");
  if (slug) {
    const input = document.getElementById("id_components");
    const has = input.value.split(",").map((item) => item.trim()).filter(Boolean);
    if (!has.includes(slug.dataset.addComponent)) has.push(slug.dataset.addComponent);
    input.value = has.join(", ");
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }
});

// The approve button stays clickable (the server has the last word), but says how many items are left.
const checks = document.querySelector("form[data-checks]");
if (checks) {
  const boxes = [...checks.elements].filter((element) => element.dataset.check);
  const left = () => {
    const open = boxes.filter((box) => {
      const note = checks.elements[`na_${box.dataset.check}`];
      return !box.checked && !(note && note.value.trim());
    }).length;
    const button = checks.querySelector('[value="approve"]');
    const why = document.getElementById("why-not");
    button.setAttribute("aria-disabled", open ? "true" : "false");
    if (why) {
      why.hidden = !open;
      why.querySelector("span").textContent = `To approve, tick ${open} more ${open === 1 ? "item" : "items"} below.`;
    }
  };
  boxes.forEach((box) => box.closest("section").addEventListener("input", left));
  checks.addEventListener("submit", (event) => {
    if (event.submitter && event.submitter.getAttribute("aria-disabled") === "true") {
      event.preventDefault();
      const first = boxes.find((box) => !box.checked);
      if (first) first.focus();
    }
  });
  left();
}

// Keyboard: / search, g then h c a w r, c new, j k Enter in lists, Ctrl+Enter submit. Never a decision on one bare key.
let awaitingPlace = 0;
const places = { h: "/", c: "/changes/", a: "/approvals/", w: "/calendar/", r: "/reports/" };
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.form) {
    if (!event.target.form.hasAttribute("data-checks")) event.target.form.requestSubmit();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, [contenteditable]")) return;
  if (Date.now() - awaitingPlace < 1200 && places[event.key]) { location.href = places[event.key]; return; }
  awaitingPlace = event.key === "g" ? Date.now() : 0;
  if (event.key === "/") { const search = document.querySelector("[data-search]"); if (search) { event.preventDefault(); search.focus(); } }
  if (event.key === "c") location.href = "/changes/new";
  const rows = [...document.querySelectorAll("[data-row]")];
  if (rows.length && ["j", "k", "Enter"].includes(event.key)) {
    const now = rows.findIndex((row) => row.classList.contains("is-focus"));
    if (event.key === "Enter") { if (now >= 0 && document.activeElement === document.body) rows[now].querySelector("a").click(); return; }
    const next = Math.min(rows.length - 1, Math.max(0, now + (event.key === "j" ? 1 : -1)));
    rows.forEach((row, index) => row.classList.toggle("is-focus", index === next));
    rows[next].scrollIntoView({ block: "nearest" });
  }
});
