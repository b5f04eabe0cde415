// What every page of the explorer does; all of it works without, by links and a form.
"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");

  // A picture that cannot be had leaves its room empty.
  const gone = (img) => img.classList.add("gone");
  document.addEventListener("error", (event) => {
    if (event.target instanceof HTMLImageElement) gone(event.target);
  }, true);
  for (const img of document.querySelectorAll(".face img")) if (img.complete && !img.naturalWidth && img.loading !== "lazy") gone(img);

  // A level of the tree is fetched when it is unfolded, once.
  document.addEventListener("toggle", async (event) => {
    const branch = event.target;
    if (!(branch instanceof HTMLDetailsElement) || !branch.open || !branch.dataset.under || branch.dataset.loaded) return;
    branch.dataset.loaded = "1";
    const room = branch.querySelector(".unfolding");
    try {
      const answer = await fetch(`/tree/${branch.dataset.under}`);
      if (!answer.ok) throw new Error(String(answer.status));
      const there = new DOMParser().parseFromString(await answer.text(), "text/html");
      const level = there.querySelector("#level > ul");
      level.classList.remove("tree");
      room.replaceWith(document.importNode(level, true));
    } catch {
      delete branch.dataset.loaded;
      room.textContent = "It could not be loaded; fold and unfold it to try again.";
    }
  }, true);

  // Bars and cells of a drawing are one stop of the Tab key together; the arrow keys go to the nearest one.
  const links = (drawing) => [...drawing.querySelectorAll("a")];
  const drawings = [...document.querySelectorAll(".columns-drawn, .cells")];
  for (const drawing of drawings) links(drawing).forEach((link, place) => link.setAttribute("tabindex", place ? "-1" : "0"));
  const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const middle = (link) => {
    const { left, top, width, height } = link.lastElementChild.getBoundingClientRect();
    return [left + width / 2, top + height / 2];
  };
  const along = (event) => {
    const drawing = drawings.find((one) => one.contains(event.target));
    if (!drawing || !(event.key in WAYS)) return;
    event.preventDefault();
    const here = event.target.closest("a");
    const [x, y] = middle(here);
    const flat = drawing.matches(".columns-drawn");
    const [right, down] = WAYS[event.key];
    const reach = (link) => {
      const [dx, dy] = [middle(link)[0] - x, flat ? 0 : middle(link)[1] - y];
      const ahead = dx * right + dy * down;
      return ahead > 1 ? ahead + 3 * Math.abs(dx * down + dy * right) : Infinity;
    };
    const next = links(drawing).reduce((best, link) => (reach(link) < reach(best) ? link : best), here);
    here.setAttribute("tabindex", "-1");
    next.setAttribute("tabindex", "0");
    next.focus();
  };
  for (const drawing of drawings) drawing.addEventListener("keydown", along);

  const typing = (target) => target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName));
  const find = document.getElementById("find");

  // An address holds only what was asked for.
  if (find) find.addEventListener("formdata", (event) => {
    for (const [name, value] of [...event.formData]) if (value === "") event.formData.delete(name);
  });

  const step = (by) => {
    const all = [...document.querySelectorAll("#list a.to")];
    if (!all.length) return false;
    const at = all.indexOf(document.activeElement);
    const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + by))];
    next.focus({ preventScroll: true });
    next.closest("tr, li").scrollIntoView({ block: "nearest" });
    return true;
  };
  const follow = (rel) => {
    const link = document.querySelector(`.pages a[rel="${rel}"]`);
    if (link) link.click();
    return Boolean(link);
  };
  const KEYS = {
    "/": () => { const q = document.getElementById("q"); if (q) { q.focus(); q.select(); } return Boolean(q); },
    j: () => step(1), ArrowDown: () => step(1), k: () => step(-1), ArrowUp: () => step(-1),
    ArrowRight: () => follow("next"), ArrowLeft: () => follow("prev"),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (typing(event.target)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (event.key in KEYS && KEYS[event.key]()) event.preventDefault();
  });
})();
