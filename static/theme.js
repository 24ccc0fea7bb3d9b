// Runs before the first paint: the theme that the person chose, else the system's.
(() => {
  const wanted = () => localStorage.getItem("theme") || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  const apply = () => document.documentElement.setAttribute("data-bs-theme", wanted());
  apply();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", apply);
  window.cmToggleTheme = () => {
    localStorage.setItem("theme", wanted() === "dark" ? "light" : "dark");
    apply();
  };
})();
