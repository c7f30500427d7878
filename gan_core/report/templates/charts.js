// Still charts become live ones when they are about to be seen; where that fails, the still one stays.
(() => {
  const enliven = (plot) => {
    const still = plot.querySelector("svg.still");
    const figure = plot.closest("figure");
    const spec = JSON.parse(figure.querySelector("script.spec").textContent);
    const live = document.createElement("div");
    live.className = "live";
    live.setAttribute("role", "img");
    live.setAttribute("aria-label", plot.dataset.label);
    plot.append(live);
    spec.width = "container";
    spec.height = Math.round(Math.min(260, Math.max(170, plot.clientWidth * 0.46)));
    // The interpreter of expressions (`ast`) needs no eval, which this page forbids.
    const options = { mode: "vega-lite", ast: true, renderer: "svg", actions: false, tooltip: { theme: "page" } };
    return window.faceloomEmbed(live, spec, options).then(
      () => { still.classList.add("replaced"); plot.dataset.live = "yes"; },
      () => live.remove(),
    );
  };
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      watcher.unobserve(entry.target);
      enliven(entry.target);
    }
  }, { rootMargin: "300px" });
  document.querySelectorAll(".plot").forEach((plot) => watcher.observe(plot));
  document.querySelectorAll(".live-hint").forEach((hint) => { hint.hidden = false; });
})();
