// A quick vote on an explanation: a press of a button keeps it, with the wording that stands in the field.
"use strict";
(() => {
  const find = (id) => document.getElementById(id);
  const section = find("votes");
  const feature = section.dataset.feature;
  const changes = document.querySelector('meta[name="changes"]').content;
  const NAME = "autointerp-name";
  const buttons = [...section.querySelectorAll("[data-verdict]")];
  let state = null;

  const make = (name, text, className = "") => Object.assign(document.createElement(name), { textContent: text, className });
  const tell = (text, wrong = false) => {
    find("vote-told").textContent = text;
    find("vote-told").classList.toggle("wrong", wrong);
  };
  const remembered = () => {
    try { return localStorage.getItem(NAME) ?? ""; } catch { return ""; }
  };
  const remember = (name) => {
    try { localStorage.setItem(NAME, name); } catch { /* then it is typed again */ }
  };

  const line = (vote) => {
    const item = document.createElement("li");
    const who = make("bdi", vote.name);
    item.append(who, ": ", make("b", vote.verdict));
    if (vote.wording) item.append(Object.assign(make("bdi", vote.wording, "wording"), { dir: "auto" }));
    if (vote.of !== null) item.append(" ", make("span", `(of an earlier explanation: ${vote.of})`, "of"));
    return item;
  };
  const own = () => state.votes.find((vote) => vote.name === find("vote-name").value.trim() && vote.of === null);
  const mark = () => {
    for (const button of buttons) button.ariaPressed = String(own()?.verdict === button.dataset.verdict);
  };
  const show = (told, fresh) => {
    state = told;
    section.hidden = told.explanation === null;
    find("votes-said").replaceChildren(...told.votes.map(line));
    mark();
    if (fresh && own()?.wording) find("vote-wording").value = own().wording;
  };

  const cast = async (verdict) => {
    const name = find("vote-name").value.trim();
    if (!name) {
      tell("Say who you are first.", true);
      find("vote-name").focus();
      return;
    }
    await ready;
    if (!state) return tell("The server does not answer. Your vote is not kept.", true);
    const said = { verdict, name, explanation: state.explanation };
    const wording = find("vote-wording").value.trim();
    if (wording) said.wording = wording;
    try {
      const answer = await fetch(`/vote/${feature}`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-autointerp": changes },
        body: JSON.stringify(said),
      });
      if (answer.status === 403) return tell("This page is out of date. Load it again.", true);
      const told = await answer.json();
      show(told);
      if (told.problem) return tell(told.problem, true);
      remember(name);
      tell("Your vote is kept.");
    } catch {
      tell("The server does not answer. Your vote is not kept.", true);
    }
  };

  for (const button of buttons) button.addEventListener("click", () => cast(button.dataset.verdict));
  find("vote").addEventListener("submit", (event) => event.preventDefault());
  find("vote-name").value = remembered();
  find("vote-name").addEventListener("input", () => state && mark());
  const ready = fetch(`/votes/${feature}`, { cache: "no-store" }).then((answer) => answer.json()).then((told) => show(told, true)).catch(() => {});
})();
