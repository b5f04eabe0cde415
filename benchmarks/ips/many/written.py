"""The reasoning tasks and molecules with small transformers: `python -m benchmarks.ips.many written`. Needs extra `rl`.

A Qwen2 of two layers, 64 wide, is warm-started for each task and then trained by TRL in groups of 16: by GRPO, by GRPO
with the entropy bonus that did best on other seeds, by SGRPO and by IPS-GRPO, with as many samples each, and again in
as much processor time as GRPO takes. A policy of a reasoning task is asked four questions, with 3, 9, 27 and 81
admissible hypotheses; one of molecules writes SELFIES, for QED or for a logP of 4 (needs rdkit and selfies; left out
without them). Parts that are done are kept, seed by seed.
"""

import importlib.util
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.ips.many import cells
from benchmarks.ips.many.cells import Cell, Found, Job, Part, Sweep, best_of
from benchmarks.ips.many.domains import SIZES, Words, starting_logits
from benchmarks.ips.many.reasoning import DOMAINS, ENTROPY, SGRPO
from benchmarks.ips.methods import GRPO, IPS, Method, entropy_bonus
from benchmarks.ips.tabular import softmax

if TYPE_CHECKING:
    from benchmarks.ips.many.chemistry import Molecule

JSON = cells.HERE / "written.json"
SEEDS, STEPS, RATE = 8, 60, 1e-3
WARM, POOL = 5, 300
"""Steps of the warm start for each of the training, and questions that it is shown."""
ENTROPIES = (0.03, 0.06, 0.1, 0.3)
TUNED = (100, 101)
"""Seeds on which the entropy's coefficient is chosen."""
WRITTEN, MOLECULES, LOGP = "written", "molecules", "molecules, logP 4"
TARGETS = {MOLECULES: "QED", LOGP: "logP 4"}
"""Reward of each task of molecules; all of them share one warm start."""
ENOUGH, VALID_ENOUGH = 0.7, 0.8
"""Mean reward of molecules, and validity of the others, from which the coefficient that finds most is chosen."""
BY_SMILES = "IPS-GRPO, SMILES as the outcome"
WARM_STARTED = "warm start"
METHODS = (GRPO, Method(SGRPO, diversity=0.9), IPS)
ORDER = (WARM_STARTED, GRPO.name, ENTROPY, SGRPO, IPS.name)
SAMPLED, CALLS = 486, 1000
"""Samples of each question, six sets of the largest; and of the molecules."""
END = ":"
"""Closes a prompt."""
TIMED = ", equal time"
"""Ends the name of a method that was trained for as long as GRPO takes for all its steps."""
AT_EQUAL_TIME: Mapping[str, Mapping[str, int]] = {
    MOLECULES: {ENTROPY: 42, SGRPO: 35, IPS.name: 35},
    "causal": {ENTROPY: 55, SGRPO: 51, IPS.name: 51},
    "voxels": {ENTROPY: 53, SGRPO: 56, IPS.name: 56},
    "Boolean": {ENTROPY: 55, SGRPO: 55, IPS.name: 55},
}
"""Steps that take no more processor time than GRPO's, from measured ratios; the tables show what ratio came out."""


def tasks() -> tuple[str, ...]:
    """Those that can run here."""
    chemistry = all(importlib.util.find_spec(name) for name in ("rdkit", "selfies"))
    return (*TARGETS, *DOMAINS) if chemistry else tuple(DOMAINS)


def vocabulary(task: str) -> Words:
    """Words of prompts and answers."""
    if task in DOMAINS:
        return (*DOMAINS[task].vocabulary, END)
    from benchmarks.ips.many.chemistry import known

    return (*sorted({s for row in known() for s in row}), END)


@cache
def pool(task: str) -> tuple[tuple[str, Sequence[Words], np.ndarray], ...]:
    """Prompts, what may be answered, and how likely the warm start is to see each answer."""
    if task in TARGETS:
        from benchmarks.ips.many.chemistry import known

        return ((END, known(), np.full(len(known()), 1 / len(known()))),)
    domain, chance = DOMAINS[task], np.random.default_rng(7)
    found: list[tuple[str, Sequence[Words], np.ndarray]] = []
    for i in range(POOL):
        question = domain.draw(SIZES[i % len(SIZES)], chance)
        all_ = domain.hypotheses(question)
        found.append((f"{question.prompt} {END}", all_.texts, softmax(starting_logits(all_, question, chance))))
    return tuple(found)


def examples(task: str, chance: np.random.Generator, n: int) -> list[tuple[str, Words]]:
    """Prompts with answers that the starting law draws."""
    rows = [pool(task)[i] for i in chance.integers(len(pool(task)), size=n)]
    return [(prompt, texts[int(np.searchsorted(np.cumsum(p), chance.random()))]) for prompt, texts, p in rows]


def started(task: str, folder: Path, steps: int) -> Path:
    """Where the warm start lies; made if it does not."""
    from benchmarks.ips.many import writer

    path = folder / f"warm-{MOLECULES if task in TARGETS else task}-{WARM * steps}.safetensors"
    if not path.exists():
        writer.save(writer.warm_start(vocabulary(task), lambda c, n: examples(task, c, n), WARM * steps), path)
    return path


def reasoning_on(task: str, method: Method | None, seed: int, steps: int, start: Path) -> Cell:
    """One policy of a reasoning task; None leaves it as it was started."""
    from benchmarks.ips.many import writer

    domain, chance = DOMAINS[task], np.random.default_rng([seed, 1])
    questions = [domain.draw(size, chance) for size in SIZES]
    prompts = [f"{q.prompt} {END}" for q in questions]
    model, words, spent = writer.load(start, vocabulary(task)), vocabulary(task), 0.0

    def judge(i: int, answer: Words) -> writer.Judged:
        outcome = domain.outcome(answer, questions[i])
        return writer.Judged(float(outcome is not None), outcome)

    if method is not None:
        lessons = writer.Lessons(steps, RATE, domain.longest)
        spent = writer.train(model, words, prompts, judge, method, lessons, seed=seed)
    got: dict[str, list[float]] = {}
    for i, size in enumerate(SIZES):
        said = writer.answers(model, words, prompts[i], SAMPLED, domain.longest, seed=seed)
        for name, v in answered([judge(i, a).outcome for a in said], said, size).items():
            got.setdefault(name, []).append(v)
    figures = {name: (float(np.mean(v)),) for name, v in got.items()}
    figures |= {f"recovery {size}": (v,) for size, v in zip(SIZES, got["recovery"], strict=True)}
    return named(task, method, figures, spent)


def answered(outcomes: Sequence[object], said: Sequence[Words], size: int) -> dict[str, float]:
    """Figures of samples, as in `reasoning.figures`: means over sets of N samples, and the largest share."""
    hypotheses = [("not admissible", a) if o is None else o for o, a in zip(outcomes, said, strict=True)]
    sets = [slice(k, k + size) for k in range(0, len(said) - size + 1, size)]
    valid = [o for o in outcomes if o is not None]
    return {
        "valid": len(valid) / len(said),
        "unique": float(np.mean([len(set(hypotheses[s])) / size for s in sets])),
        "recovery": float(np.mean([len({o for o in outcomes[s] if o is not None}) / size for s in sets])),
        "largest": max((valid.count(o) for o in set(valid)), default=0) / max(len(valid), 1),
    }


def molecules_on(
    task: str, method: Method | None, seed: int, steps: int, start: Path, *, by_smiles: bool = False
) -> Cell:
    """One policy that writes molecules."""
    from benchmarks.ips.many import chemistry, writer

    words, spent, good, target = vocabulary(task), 0.0, set[str](), TARGETS[task]
    model = writer.load(start, words)

    def read(answer: Words) -> chemistry.Molecule | None:
        whole = len(answer) <= chemistry.LONGEST and set(answer) <= set(words[:-1])
        return chemistry.read(answer) if whole else None

    def judge(_: int, answer: Words) -> writer.Judged:
        if (found := read(answer)) is None:
            return writer.Judged(0.0, None)
        if found.rewards[target] >= chemistry.BOUND:
            good.add(found.scaffold)
        return writer.Judged(found.rewards[target], found.smiles if by_smiles else found.scaffold)

    if method is not None:
        chemistry.forget()  # what an earlier run has rated would shorten the time of this one
        lessons = writer.Lessons(steps, RATE, chemistry.LONGEST)
        spent = writer.train(model, words, [END], judge, method, lessons, seed=seed)
    calls = max(1, steps * writer.BATCH) / 1000
    said = [read(a) for a in writer.answers(model, words, END, CALLS, chemistry.LONGEST, seed=seed)]
    written = written_molecules([m for m in said if m is not None], target)
    figures = {"found a 1,000 calls": (len(good) / calls,)} | written
    return named(task, method, figures, spent, BY_SMILES if by_smiles else None)


def written_molecules(found: Sequence["Molecule"], target: str) -> dict[str, tuple[float]]:
    """Figures of the valid ones among 1,000 samples, as in `molecules.figures`; invalid ones earn nothing."""
    from benchmarks.ips.many.chemistry import BOUND, internal_diversity

    rewards = [m.rewards[target] for m in found]
    scaffolds = [m.scaffold for m in found]
    good = {m.scaffold for m in found if m.rewards[target] >= BOUND}
    return {
        "valid": (len(found) / CALLS,),
        "mean": (sum(rewards) / CALLS,),
        "top": (sum(sorted(rewards)[-10:]) / 10,),
        "good scaffolds": (float(len(good)),),
        "largest": (max((scaffolds.count(s) for s in set(scaffolds)), default=0) / max(len(found), 1),),
        "diversity": (internal_diversity([m.smiles for m in found[:200]]),),
    }


def named(
    task: str, method: Method | None, figures: dict[str, tuple[float]], spent: float, name: str | None = None
) -> Cell:
    """A cell of one seed."""
    label = name or (WARM_STARTED if method is None else method.name)
    made = cells.cell(task, 16, label, figures, spent)
    coefficient = None if method is None else method.entropy or method.diversity or None
    return made.model_copy(update={"coefficient": coefficient, "rate": RATE})


def part(
    task: str, method: Method | None, seed: int, steps: int, folder: str, by_smiles: bool, timed: int | None = None
) -> Part:
    """One job; `timed` steps of training, in the place of `steps`, are for the comparison at equal time."""
    import torch

    torch.set_num_threads(1)
    start, trained_for = started(task, Path(folder), steps), steps if timed is None else timed
    if task in TARGETS:
        made = molecules_on(task, method, seed, trained_for, start, by_smiles=by_smiles)
    else:
        made = reasoning_on(task, method, seed, trained_for, start)
    return (made if timed is None else made.model_copy(update={"method": made.method + TIMED}),), ()


def jobs(task: str, methods: Sequence[Method | None], seeds: Sequence[int], steps: int, folder: Path) -> list[Job]:
    """A job for each method and seed, seed by seed."""
    out: list[Job] = []
    for seed in seeds:
        for m in methods:
            out.append((f"written {task} {labelled(m)} {seed}", part, (task, m, seed, steps, str(folder), False)))
        if task in TARGETS and IPS in methods:
            out.append((f"written {task} by SMILES {seed}", part, (task, IPS, seed, steps, str(folder), True)))
    return out


def timed_jobs(task: str, methods: Sequence[Method], seeds: Sequence[int], steps: int, folder: Path) -> list[Job]:
    """Likewise, GRPO with all steps and the others with as many as take its time; each rates its molecules anew."""
    out: list[Job] = []
    for seed in seeds:
        for m in methods:
            timed = max(1, AT_EQUAL_TIME[task].get(m.name, STEPS) * steps // STEPS)
            given = (task, m, seed, steps, str(folder), False, timed)
            out.append((f"written {task} {labelled(m)} {seed} timed", part, given))
    return out


def labelled(method: Method | None) -> str:
    """Method and coefficient."""
    return WARM_STARTED if method is None else f"{method.name} {method.entropy or method.diversity or ''}".strip()


def together(got: Sequence[Cell]) -> list[Cell]:
    """Cells of one seed each, put together by task, method and coefficient, in their order."""
    groups: dict[tuple[str, str, float | None], list[Cell]] = {}
    for c in got:
        groups.setdefault((c.task, c.method, c.coefficient), []).append(c)
    return [
        own[0].model_copy(
            update={
                "figures": {k: tuple(v for c in own for v in c.figures[k]) for k in own[0].figures},
                "seconds": round(sum(c.seconds for c in own), 1),
            }
        )
        for own in groups.values()
    ]


def trained(task: str, quick: bool, folder: Path) -> tuple[list[Cell], Sweep, float]:
    """Chooses the entropy's coefficient, then trains by every method; with seconds of processor time in all."""
    seeds, steps, tuned = (1, 10, TUNED[:1]) if quick else (SEEDS, STEPS, TUNED)
    started(task, folder, steps)
    coefficients = ENTROPIES[:1] if quick else ENTROPIES
    asked = jobs(task, [entropy_bonus(c) for c in coefficients], tuned, steps, folder)
    swept = together(cells.run_jobs(WRITTEN, asked, folder)[0])
    performance, found, enough = (
        ("mean", "good scaffolds", ENOUGH) if task in TARGETS else ("valid", "recovery", VALID_ENOUGH)
    )
    best, sweep = best_of(swept, performance, found, enough)
    assert best.coefficient is not None
    methods = (GRPO, entropy_bonus(best.coefficient), *METHODS[1:])
    asked = jobs(task, (None, *methods), range(seeds), steps, folder)
    if task in AT_EQUAL_TIME:
        asked += timed_jobs(task, methods, range(seeds), steps, folder)
    got = together(cells.run_jobs(WRITTEN, asked, folder)[0])
    return got, sweep, sum(c.seconds for c in (*swept, *got))


def run(quick: bool, keep: Path) -> Found:
    """All parts that the folder does not hold, and the figures of all."""
    got = [trained(task, quick, keep) for task in tasks()]
    timed = {f"steps at equal time, {t}, {m}": n for t, own in AT_EQUAL_TIME.items() for m, n in own.items()}
    return Found(
        machine=cells.machine(),
        seconds=cells.spent(keep, WRITTEN),
        settings={"seeds": SEEDS, "steps": STEPS, "rate": RATE} | timed,
        cells=tuple(c for own, _, _ in got for c in own),
        sweeps=tuple(sweep for _, sweep, _ in got),
        facts={"training, processor seconds": round(sum(spent for _, _, spent in got), 1)},
    )
