"""Judging in rounds: once, or on until the interval is as narrow as asked, or first a screening and then with care."""

from collections import Counter
from dataclasses import replace
from random import Random

import numpy as np

from autointerp.lmm.calls import Failure
from autointerp.lmm.door import Door
from autointerp.schema import STRATA
from autointerp.scoring.imputation import filled
from autointerp.scoring.judge import Beliefs, Judge, Look, Verdicts, verdict_of
from autointerp.scoring.resampling import Judged, interval_of, resample
from autointerp.scoring.sampling import Item, Pool, Sample
from autointerp.scoring.statistics import f1_samples

CLEARED = 0.0
"""What the screening says of an image that does not fit."""
GLANCES = 500
"""Bootstrap replicates of the interval that decides whether to judge on; the reported one has all."""


async def judge_sample(text: str, pool: Pool, judge: Judge, door: Door) -> Verdicts | Failure:
    """The judge's word on a feature's held-out images, or the failure that kept it from coming.

    Raises:
        EndpointError: no request of this run can succeed.
    """
    settings = judge.settings
    if settings.n_screen:
        return await _screened(text, pool, judge, door)
    counts = pool.spread(settings.n_active, settings.n_silent)
    judged = await judge.verdicts(text, pool.sample(counts), door)
    calls = -(-sum(counts.values()) // settings.per_call)
    while settings.interval is not None and not isinstance(judged, Failure) and calls < settings.max_calls:
        more = _more(columns(judged), counts, pool, judge)
        if not more:
            break
        counts = {s: counts.get(s, 0) + more.get(s, 0) for s in pool.ordered}
        judged = await _judged_on(text, pool.sample(counts), judged, judge, door)
        calls += 1
    return judged


async def _judged_on(text: str, sample: Sample, before: Verdicts, judge: Judge, door: Door) -> Verdicts | Failure:
    """Asks only what was not asked before; the weights are those of the whole."""
    known = {v.image: v.belief for v in before.all}
    new = tuple(i for i in sample.items if i.exemplar.image not in known)
    said = await judge.beliefs(text, new, door, judge.look)
    if isinstance(said, Failure):
        return said
    known |= {i.exemplar.image: b for i, b in zip(new, said.all, strict=True)}
    told = tuple(verdict_of(i, known[i.exemplar.image]) for i in sample.items)
    return Verdicts(told, before.usage + said.usage, said.model, before.gaps + said.gaps, sample.items)


def _more(judged: Judged, counts: dict[str, int], pool: Pool, judge: Judge) -> Counter[str]:
    """How many more of each stratum one call should look at; empty where the interval is narrow or all is judged.

    Shares follow Neyman (1934): a stratum is worth the images it stands for times the spread of what they add to F1,
    after one imagined judgement either way.
    """
    settings = judge.settings
    drawn = resample(judged, replicates=GLANCES, seed=settings.seed + pool.feature.id)
    found = interval_of(f1_samples, judged, drawn)
    assert settings.interval is not None
    left = {s: len(own) - counts.get(s, 0) for s, own in pool.ordered.items()}
    if found.high - found.low <= settings.interval or not any(left.values()):
        return Counter()
    worth = _worth(judged, counts, pool, found.value)
    out: Counter[str] = Counter()
    for _ in range(min(settings.per_call, sum(left.values()))):
        open_strata = [s for s in left if left[s] > out[s]]
        # The share is met by giving each next image to the stratum that is farthest behind its own.
        out[max(open_strata, key=lambda s: worth[s] / (counts.get(s, 0) + out[s] + 1))] += 1
    return out


def _worth(judged: Judged, counts: dict[str, int], pool: Pool, f1: float) -> dict[str, float]:
    names = [s for s in pool.ordered if counts.get(s, 0)]
    out: dict[str, float] = dict.fromkeys(pool.ordered, 1.0)
    for stratum in names:
        own = judged.stratum == STRATA.index(stratum)
        c, active = judged.belief[own], float(judged.active[own][0])
        share = (c.sum() + 1) / (len(c) + 2)
        # d F1 / d(share of yes), up to a factor common to all strata.
        slope = abs(2 * active - f1)
        out[stratum] = float(judged.weight[own].sum()) * slope * float(np.sqrt(share * (1 - share)))
    return out


async def _screened(text: str, pool: Pool, judge: Judge, door: Door) -> Verdicts | Failure:
    """Two phases: many images on contact sheets, then a weighted part of them one by one."""
    s = judge.settings
    first = pool.sample(pool.spread(s.n_active, max(s.n_screen, s.n_silent)))
    columns_of_sheet = max(1, round(s.screen_per_call**0.5))
    sheets = Look("sheet", s.screen_per_call, columns_of_sheet, s.screen_side)
    glanced = await judge.screener.beliefs(text, first.items, door, sheets)
    if isinstance(glanced, Failure):
        return glanced
    classes = _classes(first, glanced)
    second = _second_phase(classes, pool)
    with_care = replace(judge.look, per_call=1)
    said = await judge.beliefs(text, [i for i, _ in second], door, with_care)
    if isinstance(said, Failure):
        return said
    told = tuple(verdict_of(i, b, screened) for (i, screened), b in zip(second, said.all, strict=True))
    usage, looked = glanced.usage + said.usage, {name: len(items) for name, items in classes.items()}
    return Verdicts(told, usage, said.model, glanced.gaps + said.gaps, tuple(i for i, _ in second), looked)


Class = tuple[str, float | None]
"""A stratum, and what the screening said of an image of it."""


def _classes(first: Sample, glanced: Beliefs) -> dict[Class, list[Item]]:
    out: dict[Class, list[Item]] = {}
    for item, belief in zip(first.items, glanced.all, strict=True):
        out.setdefault((item.exemplar.stratum, belief), []).append(item)
    return out


def _second_phase(classes: dict[Class, list[Item]], pool: Pool) -> list[tuple[Item, float | None]]:
    """Which screened images are judged with care, with both phases' probabilities in their weights.

    Within each class they are drawn with chances that rise with the images that they stand for, by systematic sampling
    (Madow 1949), so that each drawn one stands for as many: the images of the class over the number drawn. All active
    ones are drawn; of the silent ones as many as `n_silent`, those that the screening let through first.
    """
    chance = Random(f"careful:{pool.settings.seed}:{pool.feature.id}")
    counts = _careful_counts(classes, pool.settings.n_silent)
    out: list[tuple[Item, float | None]] = []
    for name, items in classes.items():
        out += [(item, name[1]) for item in _systematic(items, counts[name], chance)]
    return out


def _systematic(items: list[Item], n: int, chance: Random) -> list[Item]:
    """`n` of the items, each with a chance proportional to its weight; what would have a chance above 1 is sure."""
    if n >= len(items):
        return items
    left = sorted(items, key=lambda i: -i.weight)
    sure: list[Item] = []
    while left and left[0].weight * (n - len(sure)) >= sum(i.weight for i in left):
        sure.append(left.pop(0))
    if len(sure) == n:
        return sure
    chance.shuffle(left)
    reached = np.cumsum([i.weight for i in left])
    step = float(reached[-1]) / (n - len(sure))
    marks = (chance.random() + np.arange(n - len(sure))) * step
    drawn = np.minimum(np.searchsorted(reached, marks, side="right"), len(left) - 1)
    return [*sure, *(replace(left[i], weight=step) for i in drawn.tolist())]


def _careful_counts(classes: dict[Class, list[Item]], n_silent: int) -> dict[Class, int]:
    """How many of each class are judged with care: those let through first, at least two of each cleared one."""
    out = {name: len(items) for name, items in classes.items() if items[0].active}
    silent = {name: len(items) for name, items in classes.items() if not items[0].active}
    through = {name: n for name, n in silent.items() if name[1] != CLEARED}
    cleared = {name: n for name, n in silent.items() if name[1] == CLEARED}
    most = max(n_silent - 2 * len(cleared), n_silent // 2)
    for part, room in ((through, most), (cleared, n_silent - min(sum(through.values()), most))):
        whole = sum(part.values())
        for name, n in part.items():
            out[name] = min(n, max(2, round(room * n / whole)))
    return out


def columns(judged: Verdicts, *, both_looks: bool = True) -> Judged:
    """Verdicts as columns; an unanswered judgement takes the mean of its class, and is marked.

    Args:
        judged: the verdicts.
        both_looks: whether a silent image that the screening cleared counts as not fitting: to fit, it has to pass both
            looks. The careful looks at some of the cleared ones then only show how many the screening misses; each
            stands for thousands of images, and one false yes among them would drown the score. Active images need only
            the careful look, so the rule itself knows which is which: to be held against a control, which was not
            screened, the score takes the careful look alone.
    """
    v = judged.all
    phases = {belief: i for i, belief in enumerate(sorted({x.screened for x in v}, key=str))}
    sizes = Counter((x.stratum, x.screened) for x in v)
    _, group = np.unique([i.group for i in judged.items], return_inverse=True)
    cleared = [both_looks and not x.active and x.screened == CLEARED for x in v]
    settled = [0.0 if clear else x.belief for x, clear in zip(v, cleared, strict=True)]
    return Judged(
        active=np.array([x.active for x in v], float),
        belief=np.array(filled(v, settled), float),
        weight=np.array([x.weight for x in v], float),
        activation=np.array([np.nan if x.activation is None else x.activation for x in v], float),
        stratum=np.array([STRATA.index(x.stratum) for x in v], np.int64),
        phase=np.array([phases[x.screened] for x in v], np.int64),
        looked=np.array(
            [judged.looked.get((x.stratum, x.screened), sizes[x.stratum, x.screened]) for x in v], np.int64
        ),
        cleared=np.array(cleared, bool),
        group=group.astype(np.int64),
        answered=np.array([belief is not None for belief in settled], bool),
    )
