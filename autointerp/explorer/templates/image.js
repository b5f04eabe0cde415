// The pages of images: a feature that is pointed at is shown on the image; an image that is dropped is encoded.
"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));

  const wire = (place) => {
    const canvas = place.querySelector("#canvas"), boxes = place.querySelector(".boxes");
    if (!canvas || !boxes) return;
    const heat = canvas.querySelector(".heat"), told = byId("told");
    const lines = all(".fired li", place);
    canvas.style.setProperty("--ratio", boxes.viewBox.baseVal.width / boxes.viewBox.baseVal.height);
    const chosen = place.querySelector(".fired .chosen");
    heat.addEventListener("error", () => { heat.hidden = true; });
    const point = (line) => {
      for (const each of lines) each.classList.toggle("on", each === line);
      for (const rect of boxes.children) rect.classList.toggle("on", line !== null && rect.dataset.feature === line.dataset.feature);
      boxes.classList.toggle("pointing", line !== null);
      heat.hidden = line === null || !line.dataset.heat;
      if (!heat.hidden) heat.src = line.dataset.heat;
      if (line) told.textContent = line.querySelector(".words").textContent.trim();
    };
    for (const line of lines) {
      line.addEventListener("pointerenter", () => point(line));
      line.addEventListener("focusin", () => point(line));
    }
    place.querySelector(".fired").addEventListener("pointerleave", () => point(chosen));
    // A box that is pointed at on the image chooses the smallest feature there.
    canvas.addEventListener("click", (event) => {
      const frame = boxes.getBoundingClientRect(), view = boxes.viewBox.baseVal;
      const x = (event.clientX - frame.left) / frame.width * view.width, y = (event.clientY - frame.top) / frame.height * view.height;
      const size = (rect) => rect.width.baseVal.value * rect.height.baseVal.value;
      const inside = Array.from(boxes.children).filter((rect) => {
        const left = rect.x.baseVal.value, top = rect.y.baseVal.value;
        return left <= x && x < left + rect.width.baseVal.value && top <= y && y < top + rect.height.baseVal.value;
      }).sort((a, b) => size(a) - size(b));
      const line = inside.length ? lines.find((each) => each.dataset.feature === inside[0].dataset.feature) : null;
      point(line || null);
      if (line) line.scrollIntoView({ block: "nearest" });
    });
    point(chosen);
  };
  wire(document);

  const rels = { n: "next", p: "prev" };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
    const link = rels[event.key] && document.querySelector(`.steps a[rel=${rels[event.key]}]`);
    if (link) link.click();
  });

  const drop = byId("drop");
  if (!drop || !("ready" in drop.dataset)) return;
  const status = byId("drop-status"), file = byId("file"), result = byId("dropped");
  const changes = document.querySelector("meta[name=changes]").content;
  const say = (text, wrong) => {
    status.textContent = text;
    status.classList.toggle("wrong", wrong);
  };
  let asked = 0;
  const encode = async (image) => {
    if (!image) return;
    if (image.size > drop.dataset.most * 1048576) return say(`This file is larger than ${drop.dataset.most} MB.`, true);
    const own = ++asked;
    say("The image is being encoded…", false);
    let answer, text;
    try {
      answer = await fetch("/encode", { method: "POST", body: image, headers: { "x-autointerp": changes, "content-type": "application/octet-stream" } });
      text = await answer.text();
    } catch {
      return say("The explorer does not answer. Is it still running?", true);
    }
    if (own !== asked) return;
    if (!answer.ok) return say(text.startsWith("<") ? "The image could not be encoded." : text, true);
    say("", false);
    result.replaceChildren(...new DOMParser().parseFromString(text, "text/html").body.childNodes);
    wire(result);
    byId("fired-title").focus();
    result.scrollIntoView({ block: "start" });
  };
  byId("choose").addEventListener("click", () => file.click());
  file.addEventListener("change", () => {
    encode(file.files[0]);
    file.value = "";
  });
  document.addEventListener("dragover", (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    drop.classList.add("over");
  });
  document.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) drop.classList.remove("over");
  });
  document.addEventListener("drop", (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    drop.classList.remove("over");
    encode(event.dataTransfer.files[0]);
  });
  document.addEventListener("paste", (event) => {
    const image = Array.from(event.clipboardData.files).find((each) => each.type.startsWith("image/"));
    if (image) encode(image);
  });
})();
