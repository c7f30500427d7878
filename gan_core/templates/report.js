// The contact sheet becomes a film; without this script it stays a contact sheet.
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
