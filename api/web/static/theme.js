// Before anything is drawn: light or dark, as chosen here before, else as the system says.
(() => {
  const chosen = localStorage.getItem("cumulus-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
