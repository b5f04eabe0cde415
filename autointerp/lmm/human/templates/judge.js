// Shows the question that is asked, sends each answer as it is given, and follows what else happens at the desk.
"use strict";
(() => {
  const find = (id) => document.getElementById(id);
  const changes = document.querySelector('meta[name="changes"]').content;
  const SIDES = ["x0", "y0", "x1", "y1"];
  const SVG = "http://www.w3.org/2000/svg";
  let state = null;
  let shown = null; // the key of the question on the page
  let now = 0; // the image that keys speak of, by its place
  let work = Promise.resolve();

  const make = (name, properties = {}, ...inside) => {
    const element = Object.assign(document.createElement(name), properties);
    element.append(...inside);
    return element;
  };
  const drawn = (name, attributes) => {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  };
  const say = (text, wrong = false) => {
    find("said").textContent = text;
    find("said").classList.toggle("wrong", wrong);
  };

  // ---- What the server is told, one thing after the other

  const act = (path, values) => {
    // An answer belongs to the question that was on the page when it was given.
    const about = shown;
    work = work.then(async () => {
      if (path === "give" && about !== shown) return;
      const body = { step: state.step, question: about };
      if (values) body.values = values;
      try {
        const answer = await fetch(path, {
          method: "POST",
          headers: { "content-type": "application/json", "x-autointerp": changes },
          body: JSON.stringify(body),
        });
        if (answer.status === 403) return say("This page is out of date. Load it again.", true);
        const told = await answer.json();
        if (answer.status === 409) {
          show(told);
          if (told.phase !== "over") say("Somebody answered in another window meanwhile. This is where the session is now.", true);
        } else if (told.problem) {
          show(told);
          say(told.problem, true);
        } else {
          show(told, values);
        }
      } catch {
        gone();
      }
    });
    return work;
  };
  const give = (values) => act("give", values);

  const gone = () => {
    state = { phase: "gone" };
    rest("The session is over", "The command that served this page has ended. What was answered is kept; the same command goes on where it stopped.");
    find("undo").disabled = find("leave").disabled = true;
  };

  const follow = async () => {
    for (;;) {
      let told;
      try {
        const answer = await fetch(`state?seen=${state ? state.version : ""}`, { cache: "no-store" });
        told = await answer.json();
      } catch {
        if (!state || state.phase !== "over") gone();
        return;
      }
      await work;
      // What an answer of ours has brought since is newer.
      if (!state || told.version === undefined || told.version > state.version) show(told);
      if (told.phase === "over" || told.phase === "none") return;
    }
  };

  // ---- What is shown

  const show = (told, values) => {
    const before = state;
    if (before && before.phase === "over") return;
    state = told;
    find("undo").disabled = !told.can_undo;
    find("leave").disabled = ["over", "none", "scoring"].includes(told.phase);
    progress(told);
    if (told.phase === "question") {
      const fresh = shown !== told.question.key;
      if (fresh) build(told.question);
      const given = fresh ? {} : before.question.given;
      const undone = Object.keys(given).find((name) => !(name in told.question.given));
      mark(told.question, fresh, values, undone);
      for (const source of told.ahead) new Image().src = source;
    } else {
      const left = { check: "Everything asked so far is answered", wait: "One moment", scoring: "One moment", over: "Done", none: "Nobody judges" };
      const texts = {
        check: "Hand it in, and it is final; until then you can undo. More questions may follow.",
        wait: "The next question is being made ready.",
        scoring: "Everything is answered, and your scores are being worked out.",
        over: "The session is over, and what you answered is kept. You can close this page.",
        none: "No session is open.",
      };
      rest(left[told.phase], (told.phase === "over" && told.ending) || texts[told.phase]);
      find("hand-in").hidden = told.phase !== "check";
    }
  };

  const counted = (told, all) => {
    if (["over", "scoring"].includes(told.phase)) return `${told.answered} ${told.answered === 1 ? "question" : "questions"} answered`;
    return `${told.answered} of ${all} questions answered, ${told.images} images to go; more may follow`;
  };
  const progress = (told) => {
    const all = (told.answered || 0) + (told.left || 0);
    find("bar").hidden = !all;
    find("bar").max = all || 1;
    find("bar").value = told.answered || 0;
    find("progress").textContent = all ? counted(told, all) : "";
  };

  const rest = (heading, text) => {
    const fresh = find("rest-heading").textContent !== heading || find("rest").hidden;
    shown = null;
    find("question").hidden = true;
    find("rest").hidden = false;
    find("hand-in").hidden = true;
    find("rest-heading").textContent = heading;
    find("rest-text").textContent = text;
    if (fresh) {
      say("");
      find("rest-heading").focus();
    }
  };

  const build = (question) => {
    shown = question.key;
    now = 0;
    find("rest").hidden = true;
    find("question").hidden = false;
    find("heading").textContent = question.heading;
    find("description").textContent = question.description;
    find("again").textContent = question.again;
    find("again").hidden = !question.again;
    find("instruction").replaceChildren(...question.instruction.map((text) => make("p", { textContent: text })));
    const n = question.images.length;
    find("images").className = n === 1 ? "one" : n < 4 ? "few" : "";
    find("images").replaceChildren(...question.images.map((image) => figure(image, question)));
    find("fields").replaceChildren(...fields(question));
    say("");
    window.scrollTo(0, 0);
    find("heading").focus({ preventScroll: true });
  };

  const figure = (image, question) => {
    const tiles = make("div", { className: "tiles" });
    image.tiles.forEach((tile, place) => tiles.append(picture(tile, `Image ${image.number}${place ? ", a part of it" : ""}`)));
    const name = question.images.length > 1 ? `Image ${image.number}` : "Image";
    const whole = make("fieldset", { className: "image", tabIndex: -1 });
    whole.append(make("legend", { className: "unseen", textContent: name }));
    whole.append(make("div", { className: "number", textContent: name, ariaHidden: "true" }), tiles);
    whole.dataset.number = image.number;
    for (const field of question.fields) {
      if (field.place === "image" && field.image === image.number) whole.append(choice(field, field.options, true));
      if (field.place === "pick") whole.append(choice(field, field.options.filter((o) => o.value === image.number), false, "This one"));
    }
    if (question.box) drawing(tiles.firstChild, image.tiles[0].view);
    return whole;
  };

  // A sheet is one picture, of which each tile shows its own part, pixel for pixel.
  const picture = (tile, label) => {
    const svg = drawn("svg", { viewBox: tile.view.join(" "), role: "img", "aria-label": label });
    svg.append(drawn("image", { href: tile.src, width: tile.of[0], height: tile.of[1] }));
    return svg;
  };

  const KEYS = { yes: "y", no: "n", unsure: "u" };
  const ORDER = ["yes", "no", "unsure"];
  const choice = (field, options, keyed, label) => {
    const buttons = make("div", { className: "options" });
    const sorted = keyed ? [...options].sort((a, b) => ORDER.indexOf(a.value) - ORDER.indexOf(b.value)) : options;
    for (const option of sorted) buttons.append(button(field, option, label ?? option.label, keyed ? KEYS[option.value] : ""));
    return buttons;
  };
  const button = (field, option, label, key) => {
    const made = make("button", { type: "button" }, make("bdi", { textContent: label }));
    if (key) made.append(" ", make("kbd", { textContent: key, ariaHidden: "true" }));
    made.dataset.field = field.name;
    made.dataset.value = JSON.stringify(option.value);
    made.ariaPressed = "false";
    made.addEventListener("click", () => give({ [field.name]: option.value }));
    return made;
  };

  const fields = (question) => {
    const out = [];
    for (const field of question.fields) {
      if (field.place === "image" || field.place === "pick" || (question.box && SIDES.includes(field.name))) continue;
      const set = make("fieldset");
      if (field.kind === "choice") {
        set.append(make("legend", { className: "unseen", textContent: question.heading }));
        const list = make("div", { className: "list" });
        field.options.forEach((option, place) => {
          const one = button(field, option, option.label, "");
          one.prepend(make("kbd", { textContent: String(place + 1) }));
          one.querySelector("bdi").dir = "auto";
          list.append(one);
        });
        set.append(list);
      } else if (field.kind === "truth" && question.box) {
        set.append(...boxed(field, question));
      } else if (field.kind === "truth") {
        set.append(make("legend", { textContent: field.name === "sure" ? "Are you sure?" : field.name }));
        const buttons = make("div", { className: "options" });
        field.options.forEach((option, place) => buttons.append(button(field, option, option.label, place ? "n" : "y")));
        set.append(buttons);
      } else {
        set.append(...written(field));
      }
      out.push(set);
    }
    return out;
  };

  const written = (field) => {
    const input = field.kind === "text" ? make("textarea", { maxLength: 600, rows: 2 }) : make("input", { type: "number", min: 0, max: 1000 });
    const done = make("button", { type: "button", textContent: "Done" });
    done.addEventListener("click", () => give({ [field.name]: field.kind === "text" ? input.value : input.valueAsNumber }));
    return [make("label", {}, field.label, input), done];
  };

  // ---- A box, drawn or typed

  const box = () => SIDES.map((side) => find(`side-${side}`).valueAsNumber);
  const boxed = (field, question) => {
    const sides = make("div", { className: "sides" });
    for (const name of SIDES) {
      const label = question.fields.find((one) => one.name === name).label;
      const input = make("input", { type: "number", min: 0, max: 1000, id: `side-${name}` });
      input.addEventListener("input", outline);
      sides.append(make("label", {}, label, input));
    }
    const buttons = make("div", { className: "options" });
    const done = button(field, field.options[0], "Done", "Enter");
    const none = button(field, field.options[1], "It is not there", "n");
    buttons.append(done, none);
    done.addEventListener("click", (event) => { event.stopImmediatePropagation(); finish(); }, { capture: true });
    return [
      make("legend", { textContent: "Draw a box with the mouse or a finger, or give its sides in thousandths of the image" }),
      sides,
      buttons,
    ];
  };
  const finish = () => {
    const values = box();
    if (values.some((value) => !Number.isInteger(value))) return say("Draw a box first, or say that it is not there.", true);
    give({ found: true, ...Object.fromEntries(SIDES.map((side, place) => [side, values[place]])) });
  };
  const outline = () => {
    const [x0, y0, x1, y1] = box();
    const svg = document.querySelector(".box svg");
    const [x, y, width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
    const there = x0 < x1 && y0 < y1;
    for (const rect of svg.querySelectorAll("rect")) {
      rect.setAttribute("visibility", there ? "visible" : "hidden");
      if (!there) continue;
      rect.setAttribute("x", x + (x0 / 1000) * width);
      rect.setAttribute("y", y + (y0 / 1000) * height);
      rect.setAttribute("width", ((x1 - x0) / 1000) * width);
      rect.setAttribute("height", ((y1 - y0) / 1000) * height);
    }
  };
  const drawing = (svg, [x, y, width, height]) => {
    svg.parentElement.classList.add("box");
    svg.append(drawn("rect", { class: "halo", visibility: "hidden" }), drawn("rect", { class: "line", visibility: "hidden" }));
    let from = null;
    const at = (event) => {
      const inverse = svg.getScreenCTM().inverse();
      const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(inverse);
      const share = (value, first, length) => Math.max(0, Math.min(1000, Math.round((1000 * (value - first)) / length)));
      return [share(point.x, x, width), share(point.y, y, height)];
    };
    svg.addEventListener("pointerdown", (event) => {
      from = at(event);
      svg.setPointerCapture(event.pointerId);
      event.preventDefault();
    });
    svg.addEventListener("pointermove", (event) => {
      if (!from) return;
      const to = at(event);
      [0, 1].forEach((axis) => {
        find(`side-${SIDES[axis]}`).valueAsNumber = Math.min(from[axis], to[axis]);
        find(`side-${SIDES[axis + 2]}`).valueAsNumber = Math.max(from[axis], to[axis]);
      });
      outline();
    });
    svg.addEventListener("pointerup", () => { from = null; });
  };

  // ---- What was said so far

  const perImage = (question) => question.fields.filter((field) => field.place === "image");
  const mark = (question, fresh, values, undone) => {
    for (const one of document.querySelectorAll("button[data-field]")) {
      const said = question.given[one.dataset.field];
      one.ariaPressed = String(said !== undefined && JSON.stringify(said) === one.dataset.value);
    }
    const asked = perImage(question);
    if (asked.length) {
      const places = asked.map((_, i) => (now + i) % asked.length);
      const first = fresh ? asked.findIndex((field) => !(field.name in question.given)) : places.find((i) => !(asked[i].name in question.given));
      if (undone) move(asked.findIndex((field) => field.name === undone));
      else if (fresh || values || asked[now].name in question.given) move(first ?? now, !fresh);
      const left = asked.filter((field) => !(field.name in question.given)).length;
      if (values) say(`${Object.entries(values).map(([name, value]) => `${name.replace("image_", "Image ")}: ${value}`).join(", ")}. ${left} left.`);
    } else {
      move(now, false);
    }
  };

  const figures = () => [...document.querySelectorAll(".image")];
  const move = (place, focus = true) => {
    const all = figures();
    if (!all.length) return;
    now = Math.max(0, Math.min(all.length - 1, place));
    all.forEach((one, i) => one.classList.toggle("now", i === now && all.length > 1 && one.querySelector("button") !== null));
    if (!focus) return;
    all[now].focus({ preventScroll: true });
    all[now].scrollIntoView({ block: "nearest" });
  };
  const columns = () => {
    const tops = figures().map((one) => one.offsetTop);
    return tops.filter((top) => top === tops[0]).length || 1;
  };

  // ---- Keys

  const press = (field, value) => {
    const one = [...document.querySelectorAll("button[data-field]")].find((b) => b.dataset.field === field && b.dataset.value === JSON.stringify(value));
    if (one) one.click();
  };
  const answer = (letter) => {
    const question = state.question;
    const asked = perImage(question);
    if (asked.length) {
      const field = asked[now];
      const option = field.options.find((o) => KEYS[o.value] === letter);
      if (option) give({ [field.name]: option.value });
      return;
    }
    const truth = question.fields.find((field) => field.kind === "truth");
    if (truth && question.box) { if (letter === "n") press(truth.name, false); return; }
    if (truth && letter !== "u") press(truth.name, letter === "y");
    const word = question.fields.find((field) => field.kind === "choice" && field.options.some((o) => KEYS[o.value] === letter));
    if (word) press(word.name, word.options.find((o) => KEYS[o.value] === letter).value);
  };
  const digit = (number) => {
    const question = state.question;
    const field = question.fields.find((one) => one.kind === "choice" && one.place !== "image");
    if (field && number <= field.options.length) press(field.name, field.options[number - 1].value);
    else if (!field && number <= figures().length) move(number - 1);
  };
  const enter = (event) => {
    if (event.target.closest("button, summary, a")) return false;
    if (state.phase === "check") act("hand-in");
    else if (state.phase !== "question") return false;
    else if (state.question.box) finish();
    else {
      const field = state.question.fields.find((one) => one.place === "pick");
      if (!field) return false;
      press(field.name, state.question.images[now].number);
    }
    return true;
  };
  const arrow = (key) => {
    if (state.phase !== "question") return;
    move(now + { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns(), ArrowDown: columns() }[key]);
  };
  const key = (event) => {
    if (!state || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.closest("input, textarea");
    if (typing && event.key !== "Enter") return;
    const asking = state.phase === "question";
    const letter = event.key.toLowerCase();
    if (event.key === "Enter") { if (!enter(event)) return; }
    else if (event.key === "Backspace" || letter === "z") act("undo");
    else if (asking && event.key.startsWith("Arrow")) arrow(event.key);
    else if (asking && ["y", "n", "u"].includes(letter)) answer(letter);
    else if (asking && /^[1-9]$/.test(event.key)) digit(Number(event.key));
    else return;
    event.preventDefault();
  };

  document.addEventListener("keydown", key);
  find("undo").addEventListener("click", () => act("undo"));
  find("hand-in").addEventListener("click", () => act("hand-in"));
  find("leave").addEventListener("click", () => act("leave"));
  follow();
})();
