// Begins a session of judging, and tells how it stands.
"use strict";
(() => {
  const find = (id) => document.getElementById(id);
  const changes = document.querySelector('meta[name="changes"]').content;
  const NAME = "autointerp-name";
  const EVERY = 2000;

  const tell = (text) => { find("begin-told").textContent = text; };
  const show = (told) => {
    const known = told.goes_on || told.ended !== null;
    find("now").hidden = !known;
    find("begin").hidden = told.goes_on;
    if (!known) return;
    find("now-title").textContent = told.goes_on ? `${told.who} judges` : `${told.who} has judged`;
    const some = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;
    const counts = `${some(told.answered, "question")} answered, ${told.left} waiting, ${some(told.through, "feature")} done.`;
    find("now-told").textContent = told.goes_on ? counts : `${told.ended} ${counts}`;
    find("now-notes").replaceChildren(...told.notes.map((text) => Object.assign(document.createElement("li"), { textContent: text })));
    find("now-go").hidden = !told.goes_on;
  };
  const look = async () => {
    try {
      show(await (await fetch("/judge/told", { cache: "no-store" })).json());
    } catch { return; }
    setTimeout(look, EVERY);
  };

  find("begin").addEventListener("submit", async (event) => {
    event.preventDefault();
    const wanted = {
      name: find("name").value.trim(),
      features: find("features").valueAsNumber,
      seed: find("seed").valueAsNumber,
      scorers: [...document.querySelectorAll("[name=scorer]:checked")].map((one) => one.value),
    };
    try {
      const answer = await fetch("/judge/begin", {
        method: "POST",
        headers: { "content-type": "application/json", "x-autointerp": changes },
        body: JSON.stringify(wanted),
      });
      if (answer.status === 403) return tell("This page is out of date. Load it again.");
      const told = await answer.json();
      if (told.problem) return tell(told.problem);
      try { localStorage.setItem(NAME, wanted.name); } catch { /* then it is typed again */ }
      location.assign(told.address);
    } catch {
      tell("The server does not answer.");
    }
  });
  try { find("name").value = localStorage.getItem(NAME) ?? ""; } catch { /* then it is typed */ }
  look();
})();
