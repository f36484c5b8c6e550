// Panels: prices typed in become money, points of a chart are loaded, lines are copied.
(function () {
  "use strict";
  const STORE = "glyph-prices";

  function prices() {
    try { return JSON.parse(localStorage.getItem(STORE)) || {}; } catch { return {}; }
  }

  function money(tokens, price) {
    const amount = tokens * price / 1e6;
    return "$" + amount.toFixed(amount && amount < 0.01 ? 5 : amount < 1 ? 4 : 2);
  }

  function fill(row) {
    const price = Number(row.querySelector(".gl-price").value);
    const text = Number(row.dataset.text), pages = Number(row.dataset.pages);
    const amounts = { text, pages, saved: text - pages };
    for (const cell of row.querySelectorAll(".gl-money")) {
      const amount = amounts[cell.dataset.of];
      cell.textContent = !price ? "" : amount < 0 ? "-" + money(-amount, price) : money(amount, price);
    }
  }

  function fillAll() {
    const known = prices();
    for (const row of document.querySelectorAll("tr[data-model]:not([data-filled])")) {
      row.dataset.filled = "";
      const price = known[row.dataset.model];
      if (price) { row.querySelector(".gl-price").value = price; }
      fill(row);
    }
  }

  document.addEventListener("input", (event) => {
    if (!event.target.matches || !event.target.matches(".gl-price")) { return; }
    const row = event.target.closest("tr");
    localStorage.setItem(STORE, JSON.stringify({ ...prices(), [row.dataset.model]: event.target.value }));
    fill(row);
  });
  new MutationObserver(fillAll).observe(document, { childList: true, subtree: true });

  function choose(point) {
    document.querySelectorAll(".gl-chosen").forEach((old) => old.classList.remove("gl-chosen"));
    point.classList.add("gl-chosen");
    window.glyphPoint = Number(point.dataset.point);
    document.querySelector("#load-point").click();
  }

  document.addEventListener("click", (event) => {
    const point = event.target.closest && event.target.closest("[data-point]");
    if (point) { choose(point); }
    const copy = event.target.closest && event.target.closest("[data-copy]");
    if (copy) {
      navigator.clipboard.writeText(copy.dataset.copy).then(() => { copy.textContent = "Copied"; });
    }
  });
  document.addEventListener("keydown", (event) => {
    const point = event.target.closest && event.target.closest("[data-point]");
    if (point && (event.key === "Enter" || event.key === " ")) { event.preventDefault(); choose(point); }
  });
})();
