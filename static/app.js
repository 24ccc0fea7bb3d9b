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

// What is being mended is red no longer, and leaves the list of what is to put right; the server judges it anew (X13).
const mending = (event) => {
  const field = event.target;
  const group = field.closest?.("fieldset[id^=id_]");
  const name = group ? group.id : field.id || `id_${field.name}`;
  const wrong = group ? group.querySelectorAll(".is-invalid") : field.matches?.(".is-invalid") ? [field] : [];
  const place = group || field.closest?.(".f, .col-md-5, .col-md-7, div");
  for (const each of wrong) { each.classList.remove("is-invalid"); each.removeAttribute("aria-invalid"); }
  for (const said of place?.querySelectorAll(".invalid-feedback") ?? []) said.remove();
  const listed = document.querySelector(`.errors a[href="#${CSS.escape(name)}"]`)?.closest("li");
  if (!listed) return;
  const box = listed.closest(".errors");
  listed.remove();
  if (!box.querySelector("li")) box.remove();
};
document.addEventListener("input", mending);
document.addEventListener("change", mending);

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

// Time goes on while a page is open: clocks count by the server's time, and what has come due is fetched again.
const skew = Date.parse(document.body.dataset.now) - Date.now();
const count = () => {
  for (const clock of document.querySelectorAll("[data-count]")) {
    const left = (Date.parse(clock.dataset.at) - Date.now() - skew) / 1000;
    const seconds = Math.floor(Math.abs(left));
    const two = (number) => String(number).padStart(2, "0");
    const sign = clock.dataset.count === "down" && left < 0 && clock.closest(".is-overdue") ? "−" : "";
    clock.textContent = `${sign}${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  }
};
const again = async () => {
  const answer = await fetch(location.href, { headers: { "X-Requested-With": "live" } });
  if (!answer.ok || answer.redirected) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const old of document.querySelectorAll("[data-live]")) {
    const now = fresh.getElementById(old.id);
    if (now && !old.contains(document.activeElement) && now.innerHTML !== old.innerHTML) old.replaceWith(now);
  }
  later();
};
let waking = 0;
const later = () => {
  clearTimeout(waking);
  const due = [...document.querySelectorAll("[data-again-at]")].map((part) => Date.parse(part.dataset.againAt) - Date.now() - skew + 1000);
  const every = document.querySelector("[data-again-every]");
  if (every) due.push(Number(every.dataset.againEvery) * 1000);
  const soonest = Math.min(...due.map((wait) => Math.max(wait, 5000)));
  // A tab in the background asks again when somebody looks at it; beyond a day the browser's own timers are not to be trusted.
  if (soonest < 86400000) waking = setTimeout(() => (document.hidden ? document.addEventListener("visibilitychange", again, { once: true }) : again()), soonest);
};
if (document.querySelector("[data-count]")) setInterval(count, 1000);
if (location.pathname.startsWith("/changes/") && !document.getElementById("refusal")) later();

// What cannot be taken back is asked once more, and what was typed into another form of the page is not left behind unasked.
const touched = new Set();
for (const form of document.querySelectorAll("form[data-keep]")) form.addEventListener("input", () => touched.add(form));
addEventListener("submit", (event) => {
  const words = event.submitter && event.submitter.dataset.confirm;
  const left = [...touched].filter((form) => form !== event.target).length;
  const ask = words || (left && event.target.method === "post" && `${left} step${left === 1 ? " is" : "s are"} not saved yet. Go on without?`);
  if (ask && !confirm(ask)) event.preventDefault();
  else touched.clear();
});
addEventListener("beforeunload", (event) => { if (touched.size) event.preventDefault(); });

// A button says how many are ticked.
for (const button of document.querySelectorAll("[data-ticked]")) {
  const ticks = () => [...document.querySelectorAll(`[form="${button.form.id}"]:checked`)].length;
  const plain = button.textContent;
  const say = () => { button.textContent = ticks() ? button.dataset.ticked.replace("%n", ticks()) : plain; };
  document.addEventListener("change", say);
  say();
}

// A link to something folded unfolds it, and the first field gets the focus.
const unfold = () => {
  const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  const folded = target.closest("details");
  if (folded) folded.open = true;
  const field = target.matches("input, select, textarea") ? target : target.querySelector("textarea, input:not([type=hidden]), select");
  if (field) field.focus();
  target.scrollIntoView({ block: "center" });
};
addEventListener("hashchange", unfold);
document.addEventListener("click", (event) => { if (event.target.closest('a[href^="#"]')) setTimeout(unfold); });
unfold();

// After a refusal the eye goes to why.
const refusal = document.getElementById("refusal");
if (refusal) refusal.focus();

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
  if (event.key === "c" && document.body.dataset.new) location.href = document.body.dataset.new;
  const rows = [...document.querySelectorAll("[data-row]")];
  if (rows.length && ["j", "k", "Enter"].includes(event.key)) {
    const now = rows.findIndex((row) => row.classList.contains("is-focus"));
    if (event.key === "Enter") return; // the row's link has the focus
    const next = Math.min(rows.length - 1, Math.max(0, now + (event.key === "j" ? 1 : -1)));
    rows.forEach((row, index) => row.classList.toggle("is-focus", index === next));
    rows[next].querySelector("a.row-title").focus();
    rows[next].scrollIntoView({ block: "nearest" });
  }
});

// A booking dragged to a window opens the page that says what the calendar thinks of it; nothing moves before a button there.
for (const grid of document.querySelectorAll("[data-drag]")) {
  const target = (event) => event.target.closest("[data-start]");
  grid.addEventListener("dragstart", (event) => {
    const booking = event.target.closest("[data-change]");
    if (booking) event.dataTransfer.setData("text/plain", booking.dataset.change);
  });
  grid.addEventListener("dragover", (event) => { if (target(event)) { event.preventDefault(); target(event).classList.add("is-target"); } });
  grid.addEventListener("dragleave", (event) => { if (target(event)) target(event).classList.remove("is-target"); });
  grid.addEventListener("drop", (event) => {
    const to = target(event), change = event.dataTransfer.getData("text/plain");
    event.preventDefault();
    if (to && /^CR-[0-9-]+$/.test(change)) location.assign(`/calendar/move/?change=${change}&start=${encodeURIComponent(to.dataset.start)}`);
  });
}

// One's own zone is offered beside those in the list.
for (const form of document.querySelectorAll("[data-zones]")) {
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone, zones = form.elements.zone;
  if (own && ![...zones.options].some((option) => option.value === own)) zones.add(new Option(own, own), 1);
}

// Fields that belong to a choice show with it: data-for="name:value,value".
for (const part of document.querySelectorAll("[data-for]")) {
  const [name, values] = part.dataset.for.split(":"), form = part.closest("form");
  const show = () => { part.hidden = !values.split(",").includes(form.elements[name].value); };
  form.addEventListener("change", show);
  show();
}
