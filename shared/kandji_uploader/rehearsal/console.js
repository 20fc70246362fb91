"use strict";
(() => {
  const EACH = 1000;  // milliseconds
  const live = document.getElementById("live");
  const shown = new Map();
  const latest = () => Number(document.querySelector("[data-number]")?.dataset.number ?? 0);
  // The sections come from the server as HTML in which every name is escaped; one that is as before is left alone.
  const show = sections => {
    const before = latest();
    for (const [name, html] of Object.entries(sections)) {
      if (shown.get(name) === html) continue;
      shown.set(name, html);
      const section = document.getElementById(name);
      const box = section.querySelector(".scroll");
      const top = box ? box.scrollTop : 0;
      section.innerHTML = html;
      if (top) section.querySelector(".scroll").scrollTop = top;
    }
    for (const row of document.querySelectorAll("[data-number]")) {
      row.classList.toggle("fresh", Number(row.dataset.number) > before);
    }
  };
  const ask = async () => {
    try {
      const answer = await fetch("now", { cache: "no-store" });
      show(await answer.json());
      live.value = "live";
    } catch {
      live.value = "the tenant has stopped";
    }
    setTimeout(ask, EACH);
  };
  ask();
})();
