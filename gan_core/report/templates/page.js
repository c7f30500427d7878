// The contact sheet becomes a film, and tables can be sorted; without this script both stay as they are.
(() => {
  const root = document.getElementById("frames");
  if (!root) return;
  const figures = [...root.querySelectorAll("figure")];
  const scrub = document.getElementById("scrub");
  const play = document.getElementById("play");
  const moment = document.getElementById("moment");
  let timer = 0;
  const show = () => {
    figures.forEach((figure, index) => figure.classList.toggle("now", index === Number(scrub.value)));
    moment.value = figures[Number(scrub.value)].textContent.trim();
    scrub.setAttribute("aria-valuetext", moment.value);
  };
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    play.textContent = "Play";
  };
  const step = () => {
    if (scrub.value === scrub.max) return stop();
    scrub.value = Number(scrub.value) + 1;
    show();
  };
  play.addEventListener("click", () => {
    if (timer) return stop();
    if (scrub.value === scrub.max) scrub.value = 0;
    show();
    play.textContent = "Pause";
    timer = setInterval(step, 400);
  });
  scrub.addEventListener("input", () => { stop(); show(); });
  root.classList.add("film");
  root.querySelector(".controls").hidden = figures.length < 2;
  show();
})();

(() => {
  const valueOf = (row, column) => {
    const cell = row.cells[column];
    const text = cell.dataset.value ?? cell.textContent.trim();
    const number = Number(text);
    return { isEmpty: text === "", key: text !== "" && !Number.isNaN(number) ? number : text.toLowerCase() };
  };
  const compare = (a, b, sign) => {
    if (a.isEmpty || b.isEmpty) return a.isEmpty - b.isEmpty;  // what has no value comes last, either way
    if (typeof a.key === "number" && typeof b.key === "number") return sign * (a.key - b.key);
    return sign * String(a.key).localeCompare(String(b.key), "en");
  };
  const sort = (head, column) => {
    const body = head.closest("table").tBodies[0];
    const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    const rows = [...body.rows].map((row) => ({ row, value: valueOf(row, column) }));
    rows.sort((a, b) => compare(a.value, b.value, sign));
    head.parentElement.querySelectorAll("[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", sign === 1 ? "ascending" : "descending");
    body.append(...rows.map(({ row }) => row));
  };
  for (const head of document.querySelectorAll("table.sortable thead th")) {
    if (head.querySelector(".hide")) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => sort(head, head.cellIndex));
  }
})();
