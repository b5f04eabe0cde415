"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));
  const root = document.documentElement;
  root.classList.add("js");

  // Pictures: each stands once in the file and is put where it is needed when that place comes near the screen.
  const pictures = JSON.parse(byId("pictures").textContent);
  const drawing = byId("outline").content.firstElementChild;
  const show = (img) => {
    const bytes = pictures[img.dataset.p];
    if (!bytes || img.src) return;
    img.src = "data:image/jpeg;base64," + bytes;
    if (!img.dataset.outline) return;
    const svg = drawing.cloneNode(true);
    // As the picture itself: whole at the top of the page, else cut to fill its place.
    svg.setAttribute("preserveAspectRatio", "xMidYMid " + (img.closest(".first") ? "meet" : "slice"));
    svg.setAttribute("viewBox", [0, 0, img.getAttribute("width"), img.getAttribute("height")].join(" "));
    for (const path of svg.children) path.setAttribute("d", img.dataset.outline);
    img.after(svg);
  };
  const near = new IntersectionObserver((seen) => {
    for (const entry of seen) {
      if (!entry.isIntersecting) continue;
      show(entry.target);
      near.unobserve(entry.target);
    }
  }, { rootMargin: "600px" });
  for (const img of all("img[data-p]")) near.observe(img);
  addEventListener("beforeprint", () => {
    for (const img of all("img[data-p]")) if (!img.closest("details:not([open])")) show(img);
  });

  // A picture is enlarged by a click, or by Enter on the first of a row; the arrow keys walk along the row.
  const zoom = byId("zoom");
  let enlarged = null;
  const enlarge = (img) => {
    if (!img) return;
    enlarged = img;
    show(img);
    zoom.querySelector(".frame").replaceChildren(img.parentElement.cloneNode(true));
    const copy = zoom.querySelector("img");
    copy.removeAttribute("tabindex");
    zoom.style.setProperty("--ratio", copy.getAttribute("width") / copy.getAttribute("height"));
    zoom.querySelector(".caption").textContent = img.alt;
    if (!zoom.open) zoom.showModal();
  };
  const walk = (step) => {
    const row = all("img[data-p]", enlarged.closest(".thumbs, .face"));
    enlarge(row[row.indexOf(enlarged) + step]);
  };
  for (const row of all(".thumbs")) {
    const img = row.querySelector("img");
    if (img) img.tabIndex = 0;
  }
  document.addEventListener("click", (event) => {
    const img = event.target.closest("img[data-p]");
    if (event.target === zoom || (img && zoom.contains(img))) zoom.close();
    else if (img) enlarge(img);
  });
  document.addEventListener("keydown", (event) => {
    if (zoom.open && event.key === "ArrowLeft") walk(-1);
    else if (zoom.open && event.key === "ArrowRight") walk(1);
    else if (!zoom.open && event.key === "Enter" && event.target.matches("img[data-p]")) enlarge(event.target);
  });
  byId("zoom-before").addEventListener("click", () => walk(-1));
  byId("zoom-after").addEventListener("click", () => walk(1));
  byId("zoom-close").addEventListener("click", () => zoom.close());

  for (const button of all(".outlines")) {
    button.addEventListener("click", () => {
      const hidden = root.classList.toggle("no-outlines");
      for (const each of all(".outlines")) each.textContent = hidden ? "Show outlines" : "Hide outlines";
    });
  }

  const onPress = (id, chosen, open) => {
    const button = byId(id);
    if (button) button.addEventListener("click", () => all(chosen).forEach((d) => { d.open = open; }));
  };
  onPress("open-all", ".card details", true);
  onPress("close-all", ".card details", false);
  onPress("open-tree", ".tree details", true);
  onPress("close-tree", ".tree details", false);

  const form = byId("tools");
  if (!form) return;
  const body = byId("table").tBodies[0];
  const rows = Array.from(body.rows);
  const list = byId("card-list");
  const cardOf = new Map(rows.map((row) => [row, byId("f" + row.dataset.feature)]));
  const rowOf = new Map(rows.map((row) => [cardOf.get(row), row]));
  const heads = all("[data-sort]");
  const columns = new Set(heads.map((head) => head.dataset.sort));
  const order = { column: "feature", down: false };
  const field = (name) => form.elements.namedItem(name);
  const filters = ["q", "show", "width", "min"].filter((name) => field(name));

  const figure = (row, column) => {
    const text = row.dataset[column];
    return text === undefined || text === "" ? null : Number(text);
  };

  // Rows without a figure come last in either direction.
  const compare = (a, b) => {
    const x = figure(a, order.column), y = figure(b, order.column);
    if (x === null || y === null) return (x === null) - (y === null) || a.dataset.feature - b.dataset.feature;
    return (order.down ? y - x : x - y) || a.dataset.feature - b.dataset.feature;
  };

  const passes = (row) => {
    const words = field("q").value.toLowerCase().split(/\s+/).filter(Boolean);
    if (!words.every((word) => row.dataset.search.includes(word))) return false;
    const state = field("show").value;
    if (state === "failed" ? !("failing" in row.dataset) && row.dataset.state !== state : state && row.dataset.state !== state) return false;
    const width = field("width");
    if (width && width.value && row.dataset.width !== width.value) return false;
    const least = field("min");
    if (!least || least.value === "") return true;
    const value = figure(row, least.dataset.column);
    return value !== null && value >= Number(least.value);
  };

  const sort = () => {
    rows.sort(compare);
    body.append(...rows);
    list.append(...rows.map((row) => cardOf.get(row)));
    for (const head of heads) {
      const own = head.dataset.sort === order.column;
      head.parentElement.setAttribute("aria-sort", own ? (order.down ? "descending" : "ascending") : "none");
    }
    field("sort").value = order.column;
  };

  const filter = () => {
    let shown = 0;
    for (const row of rows) {
      const pass = passes(row);
      row.hidden = cardOf.get(row).hidden = !pass;
      cardOf.get(row).querySelector(".passed").hidden = true;
      shown += pass;
    }
    byId("shown").textContent = shown + " of " + rows.length;
    byId("no-cards").hidden = shown > 0;
  };

  // The address holds the view and the place that a link led to, so that either can be kept and sent as a link.
  const remember = (place) => {
    const view = new URLSearchParams();
    for (const name of filters) if (field(name).value) view.set(name, field(name).value);
    if (order.column !== "feature" || order.down) {
      view.set("sort", order.column);
      if (order.down) view.set("down", "1");
    }
    const plain = view.toString() === "";
    if (place && !plain) view.set("at", place);
    history.replaceState(null, "", "#" + (plain ? place : view));
  };

  const sortBy = (column, down) => {
    order.column = column;
    order.down = down;
    sort();
    remember("");
  };

  // Cards that were not near the screen yet have a guessed height: a link to one can only be exact once all are laid out.
  const goTo = (place) => {
    const target = byId(place);
    if (!target) return;
    root.classList.add("exact");
    const row = rowOf.get(target);
    if (row) {
      target.hidden = false;
      target.querySelector(".passed").hidden = passes(row);
      for (const details of all("details", target)) details.open = true;
    }
    target.scrollIntoView();
    target.tabIndex = -1;
    target.focus({ preventScroll: true });
  };

  // A link to a place leaves the view as it is; an address with a view sets it.
  const follow = () => {
    const hash = location.hash.slice(1);
    if (hash && !hash.includes("=")) {
      goTo(hash);
      remember(hash);
      return;
    }
    const view = new URLSearchParams(hash);
    for (const name of filters) field(name).value = view.get(name) || "";
    order.column = columns.has(view.get("sort")) ? view.get("sort") : "feature";
    order.down = view.get("down") === "1";
    sort();
    filter();
    if (view.get("at")) goTo(view.get("at"));
  };

  // Texts that a spreadsheet would take for a formula are made plain by an apostrophe.
  const cell = (value) => {
    if (value === null || typeof value === "number") return value === null ? "" : String(value);
    const text = /^[=+\-@\t\r]/.test(value) ? "'" + value : value;
    return /[",\r\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
  };
  byId("csv").addEventListener("click", () => {
    const scores = JSON.parse(byId("scores").textContent);
    const lineOf = new Map(scores.rows.map((line) => [String(line[0]), line]));
    const shown = rows.filter((row) => !row.hidden).map((row) => lineOf.get(row.dataset.feature));
    const text = [scores.columns, ...shown].map((line) => line.map(cell).join(",") + "\r\n").join("");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    link.download = "scores.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });

  for (const head of heads) {
    head.addEventListener("click", () => {
      const column = head.dataset.sort;
      sortBy(column, column === order.column ? !order.down : column.startsWith("s"));
    });
  }
  field("sort").addEventListener("change", (event) => sortBy(event.target.value, event.target.value.startsWith("s")));
  byId("flip").addEventListener("click", () => sortBy(order.column, !order.down));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", (event) => {
    if (event.target.name === "sort") return;
    filter();
    remember("");
  });
  form.addEventListener("reset", () => setTimeout(() => {
    filter();
    sortBy("feature", false);
  }));
  addEventListener("hashchange", follow);
  follow();
})();
