"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const main = byId("main");
  const { total, index, cards, folder, columns } = Object.fromEntries(Object.entries(main.dataset).map(([k, v]) => [k, +v]));
  const PAGE = 50;
  const [FEATURE, STATE, TEXT, MORE, WIDTH, DENSITY, VALUE, LOW, HIGH, PICTURES] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
  const rows = [];
  const words = [];
  let found = [];
  let complaint = "";
  document.documentElement.classList.add("js");

  const tools = byId("tools");
  const field = (name) => tools.elements.namedItem(name);
  const named = ["q", "state", "width", "min", "sort"].filter((name) => field(name));

  const shard = (kind, n) =>
    fetch(`${kind}/${String(n).padStart(5, "0")}.json`).then((reply) => {
      if (!reply.ok) throw new Error(`${kind}/${n}: ${reply.status}`);
      return reply.json();
    });

  const view = () => new URLSearchParams(location.hash.slice(1));
  const show = (params, replace) => {
    const hash = "#" + params.toString();
    if (hash === location.hash || (hash === "#" && !location.hash)) return draw();
    if (replace) {
      history.replaceState(null, "", hash);
      draw();
    } else location.hash = hash;
  };

  const element = (name, className, text) => {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const figure = (value) => (value === 0 || (Math.abs(value) >= 0.01 && Math.abs(value) < 100) ? value.toFixed(2) : value.toPrecision(3));

  // What the explainer did not say is told in our own words, in italics.
  const OWN = { none: "The explainer saw no common property.", unexplained: "Not explained yet." };
  const said = (row) => {
    const own = OWN[row[STATE]] || (["failed", "unexplainable"].includes(row[STATE]) ? `No explanation: ${row[TEXT]}` : "");
    return element("bdi", "words" + (own ? " odd" : ""), own || row[TEXT]);
  };

  const item = (at) => {
    const row = rows[at];
    const params = view();
    params.set("f", row[FEATURE]);
    const link = element("a");
    link.href = "#" + params.toString();
    const strip = element("span", "strip-of");
    if (row[PICTURES]) {
      const picture = element("img");
      picture.loading = "lazy";
      picture.alt = "";
      picture.width = 56 * columns;
      picture.height = 56;
      picture.style.width = `${56 * Math.min(columns, row[PICTURES])}px`;
      picture.src = `pictures/${String(Math.floor(at / folder)).padStart(4, "0")}/${row[FEATURE]}.jpg`;
      strip.append(picture);
    }
    const text = element("span");
    text.append(element("span", "id", `Feature ${row[FEATURE]}`), said(row));
    const figures = element("span", "figures-of");
    if (row[VALUE] === null) figures.append(element("span", "aside", "not scored"));
    else figures.append(element("b", "", figure(row[VALUE])), element("span", "aside", `${figure(row[LOW])} to ${figure(row[HIGH])}`));
    if (row[DENSITY] !== null) figures.append(element("span", "aside", `fires on ${(100 * row[DENSITY]).toPrecision(2)} %`));
    link.append(strip, text, figures);
    const made = element("li");
    made.append(link);
    return made;
  };

  const last = (value) => (value === null ? -Infinity : value);
  const ORDERS = {
    best: (a, b) => last(rows[b][LOW]) - last(rows[a][LOW]) || last(rows[b][VALUE]) - last(rows[a][VALUE]),
    worst: (a, b) => (rows[a][LOW] ?? Infinity) - (rows[b][LOW] ?? Infinity),
    dense: (a, b) => last(rows[b][DENSITY]) - last(rows[a][DENSITY]),
    rare: (a, b) => (rows[a][DENSITY] ?? Infinity) - (rows[b][DENSITY] ?? Infinity),
  };
  // Of equal ones, and of two infinities, which have no difference, the lower number comes first.
  const ordered = (order) => (a, b) => order(a, b) || a - b;

  const search = (params) => {
    const wanted = (params.get("q") || "").toLowerCase().split(/\s+/).filter(Boolean);
    const state = params.get("state") || "";
    const width = +(params.get("width") || 0);
    const min = params.get("min") ? +params.get("min") : null;
    const out = [];
    for (let at = 0; at < rows.length; at++) {
      const row = rows[at];
      if (state === "unscored" ? row[VALUE] !== null : state && row[STATE] !== state) continue;
      if (width && row[WIDTH] > width) continue;
      if (min !== null && !(row[LOW] !== null && row[LOW] >= min)) continue;
      if (!wanted.every((word) => words[at].includes(word) || String(row[FEATURE]) === word)) continue;
      out.push(at);
    }
    const order = ORDERS[params.get("sort")];
    return order ? out.sort(ordered(order)) : out;
  };

  const drawList = (params) => {
    byId("one").hidden = true;
    byId("list").hidden = false;
    for (const name of named) if (field(name).value !== (params.get(name) || "")) field(name).value = params.get(name) || "";
    found = search(params);
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    const page = Math.min(pages, Math.max(1, +(params.get("page") || 1) || 1));
    byId("rows").replaceChildren(...found.slice((page - 1) * PAGE, page * PAGE).map(item));
    const reading = rows.length < total ? `; ${rows.length.toLocaleString("en")} of ${total.toLocaleString("en")} read` : "";
    byId("shown").textContent = complaint || `${found.length.toLocaleString("en")} found${reading}`;
    byId("page").textContent = `page ${page} of ${pages}`;
    byId("before").disabled = page === 1;
    byId("after").disabled = page === pages;
    byId("before").onclick = () => turn(page - 1);
    byId("after").onclick = () => turn(page + 1);
  };
  const turn = (page) => {
    const params = view();
    params.set("page", page);
    show(params);
    byId("tools").scrollIntoView();
  };

  let drawn = "";
  const drawOne = async (feature) => {
    const at = rows.findIndex((row) => row[FEATURE] === feature);
    byId("list").hidden = true;
    byId("one").hidden = false;
    const place = byId("card");
    if (at < 0) {
      drawn = "";
      const why = rows.length < total && !complaint ? "Loading…" : `This run has no feature ${feature}.`;
      place.replaceChildren(element("p", "loading", complaint || why));
      return;
    }
    const among = found.includes(at) ? found : rows.map((_, i) => i);
    const here = among.indexOf(at);
    for (const [id, step] of [["previous", -1], ["next", 1]]) {
      const other = among[here + step];
      byId(id).disabled = other === undefined;
      byId(id).onclick = () => go(other);
    }
    if (drawn === String(feature)) return;
    drawn = String(feature);
    place.replaceChildren(element("p", "loading", "Loading…"));
    const shown = await shard("cards", Math.floor(at / cards)).catch((error) => error);
    if (drawn !== String(feature)) return;
    if (shown instanceof Error) {
      drawn = "";
      place.replaceChildren(element("p", "loading", `The card could not be read (${shown.message}).`));
      return;
    }
    // Written by autointerp with every text escaped; the page's policy lets no script in it run.
    place.innerHTML = shown[at % cards];
    place.querySelector("h2").focus({ preventScroll: true });
  };
  const go = (at) => {
    if (at === undefined) return;
    const params = view();
    params.set("f", rows[at][FEATURE]);
    show(params);
  };
  const back = () => {
    const params = view();
    const feature = params.get("f");
    params.delete("f");
    drawn = "";
    show(params);
    const link = [...document.querySelectorAll("#rows a")].find((a) => new URLSearchParams(a.hash.slice(1)).get("f") === feature);
    (link || field("q")).focus();
  };

  const draw = () => {
    const params = view();
    if (!params.has("f")) {
      drawn = "";
      return drawList(params);
    }
    found = search(params);
    return drawOne(+params.get("f"));
  };

  const change = () => {
    const params = new URLSearchParams();
    for (const name of named) if (field(name).value) params.set(name, field(name).value);
    show(params, true);
  };
  tools.addEventListener("input", change);
  tools.addEventListener("reset", () => setTimeout(change));
  tools.addEventListener("submit", (event) => event.preventDefault());
  byId("back").addEventListener("click", back);
  addEventListener("hashchange", draw);
  addEventListener("keydown", (event) => {
    if (byId("one").hidden || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const act = { ArrowLeft: () => byId("previous").click(), ArrowRight: () => byId("next").click(), Escape: back }[event.key];
    if (act) act();
  });

  const read = async () => {
    for (let n = 0; n * index < total; n++) {
      const part = await shard("index", n);
      for (const row of part) {
        rows.push(row);
        // Where there is no explanation, the text says why.
        words.push(["one", "mixed"].includes(row[STATE]) ? `${row[TEXT]} ${row[MORE]}`.toLowerCase() : "");
      }
      draw();
    }
  };
  read().catch((error) => {
    const local = location.protocol === "file:";
    complaint = local ? "A browser reads no files for a page on disk; put this folder on a web server, such as python -m http.server." : `The list could not be read: ${error.message}`;
    draw();
  });
  draw();
})();
