// The page of a feature: how pictures are shown, the whole image on a click, what loads later, the keyboard.
"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));
  const root = document.documentElement;
  const KEPT = "autointerp-look";

  // How pictures are shown: one control for the page, remembered by the browser.
  const look = byId("look");
  const kept = (() => {
    try { return JSON.parse(localStorage.getItem(KEPT)) || {}; } catch { return {}; }
  })();
  const show = { part: kept.part === "whole" ? "whole" : "crop", heat: kept.heat !== false, strength: Number(kept.strength) || 70 };

  const place = (frame) => {
    const { feature, image, width, height } = frame.dataset;
    const pixels = frame.querySelector(".pixels"), heat = frame.querySelector(".heat");
    if (!frame.crop) frame.crop = { src: pixels.src, heat: heat && heat.src, width: pixels.width, height: pixels.height };
    const stamp = new URL(frame.crop.src).searchParams.get("v");
    const whole = show.part === "whole";
    pixels.width = whole ? width : frame.crop.width;
    pixels.height = whole ? height : frame.crop.height;
    pixels.src = whole ? `/picture/whole/${image}.jpg?side=448&v=${stamp}` : frame.crop.src;
    if (heat) heat.src = whole ? `/picture/heat/${feature}/${image}.png?v=${stamp}` : frame.crop.heat;
  };
  const apply = (moved) => {
    root.classList.toggle("whole", show.part === "whole");
    root.classList.toggle("no-heat", !show.heat || !look.elements.heat);
    root.style.setProperty("--heat", String(show.strength / 100));
    if (moved) all(".shot .frame").forEach(place);
    try { localStorage.setItem(KEPT, JSON.stringify(show)); } catch { /* Nothing is remembered then. */ }
  };
  const fill = () => {
    const fields = look.elements;
    fields.part.value = show.part;
    if (fields.heat) {
      fields.heat.checked = show.heat;
      fields.strength.value = show.strength;
    }
  };
  if (look) {
    fill();
    apply(show.part === "whole");
    look.addEventListener("submit", (event) => event.preventDefault());
    look.addEventListener("input", (event) => {
      const fields = look.elements;
      show.part = fields.part.value;
      if (fields.heat) {
        show.heat = fields.heat.checked;
        show.strength = Number(fields.strength.value);
      }
      apply(event.target.name === "part");
    });
  }
  const flip = (name) => {
    if (name === "heat") show.heat = !show.heat;
    else show.part = show.part === "whole" ? "crop" : "whole";
    fill();
    apply(name === "part");
  };

  // The whole image: Escape closes it and the focus goes back, as of every dialog.
  const dialog = byId("whole");
  let opened = null;
  const open = (frame) => {
    if (!frame) return;
    opened = frame;
    const { feature, image, width, height } = frame.dataset;
    const pixels = dialog.querySelector(".pixels"), heat = dialog.querySelector(".heat");
    const own = frame.querySelector(".pixels"), stamp = new URL(own.src).searchParams.get("v");
    pixels.removeAttribute("src");
    pixels.width = width;
    pixels.height = height;
    pixels.src = `/picture/whole/${image}.jpg?v=${stamp}`;
    pixels.alt = own.alt;
    dialog.style.setProperty("--ratio", width / height);
    const hot = frame.querySelector(".heat") !== null;
    heat.hidden = !hot;
    if (hot) heat.src = `/picture/heat/${feature}/${image}.png?v=${stamp}`;
    const drawn = frame.querySelector(".outline"), outline = dialog.querySelector(".outline");
    outline.setAttribute("viewBox", drawn ? drawn.getAttribute("viewBox") : "0 0 1 1");
    const line = drawn ? drawn.firstElementChild.getAttribute("d") : "";
    for (const path of outline.children) path.setAttribute("d", line);
    dialog.querySelector(".caption").textContent = own.alt;
    byId("whole-image").href = frame.getAttribute("href");
    byId("whole-heat").hidden = !hot;
    if (!dialog.open) dialog.showModal();
  };
  const walk = (step) => {
    const row = all(".frame", opened.closest(".strip"));
    const next = row[row.indexOf(opened) + step];
    if (next) open(next);
  };
  document.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
    const frame = event.target.closest(".shot .frame");
    if (!frame || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    frame.focus();
    open(frame);
  });
  byId("whole-before").addEventListener("click", () => walk(-1));
  byId("whole-after").addEventListener("click", () => walk(1));
  byId("whole-heat").addEventListener("click", () => flip("heat"));
  byId("whole-close").addEventListener("click", () => dialog.close());

  // What takes longer is another page of which a part is taken over.
  const load = async (into, address) => {
    let answer;
    try { answer = await fetch(address); } catch { answer = null; }
    if (!answer || !answer.ok) {
      into.textContent = "This part could not be loaded. Load the page again.";
      return;
    }
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const part = page.getElementById("loaded");
    const again = part.hasAttribute("data-again");
    into.replaceChildren(...part.childNodes);
    if (again) setTimeout(() => load(into, address), 1500);
  };
  for (const later of all("[data-now]")) load(later, later.dataset.now);
  for (const link of all("[data-load]")) {
    link.addEventListener("click", async (event) => {
      event.preventDefault();
      const into = document.querySelector(link.dataset.load);
      await load(into, link.getAttribute("href"));
      const fold = into.querySelector("details");
      if (fold) {
        fold.open = true;
        fold.querySelector("summary").focus();
      }
    });
  }

  const copy = byId("copy");
  copy.addEventListener("click", async () => {
    const link = location.origin + copy.dataset.link;
    try {
      await navigator.clipboard.writeText(link);
      byId("copied").textContent = "copied";
    } catch {
      byId("copied").textContent = link;
    }
    setTimeout(() => { byId("copied").textContent = ""; }, 4000);
  });

  const go = (rel) => {
    const link = document.querySelector(`.steps a[rel=${rel}]`);
    if (link) link.click();
  };
  const keys = { n: () => go("next"), ArrowRight: () => go("next"), p: () => go("prev"), ArrowLeft: () => go("prev"), h: () => flip("heat"), w: () => flip("part") };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (dialog.open) {
      if (event.key === "ArrowLeft") walk(-1);
      else if (event.key === "ArrowRight") walk(1);
      else if (event.key === "h") flip("heat");
      return;
    }
    if (event.target.closest("input, textarea, select, [contenteditable], pre")) return;
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
})();
