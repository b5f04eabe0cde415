"""Judges a feature's images in one round, in rounds until the interval is narrow, or on sheets first and then alone."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from math import log2
from random import Random

import numpy as np

from autointerp.lmm.gateway import Gateway
from autointerp.lmm.outcomes import Failure
from autointerp.schema import STRATA
from autointerp.scoring.imputation import decided, imputed
from autointerp.scoring.judge import Judge, Judgements, Look
from autointerp.scoring.sampling import Cell, Item, Pool
from autointerp.statistics.rates import f1_samples, weighted_rates
from autointerp.statistics.resampling import LEVEL, Columns, Draws, interval_of, resample

CLEARED = 0.0
"""The belief by which the screening says that an image does not fit."""
QUICK_REPLICATES = 300
"""Bootstrap replicates of a first look at the interval; only where that is nearly narrow enough, all are drawn."""
NEARLY = 1.3
"""An interval of so few replicates is surely too wide where it is so many times as wide as asked."""

LOOKS = 10
"""The interval is looked at again when a tenth more calls were made."""


async def judge_sample(text: str, pool: Pool, judge: Judge, gateway: Gateway) -> Judgements | Failure:
    """Asks the judge about a feature's held-out images, in the way that the settings choose.

    Returns:
        The judgements, or the failure that kept them from coming.

    Raises:
        EndpointError: no request of this run can succeed.
    """
    settings = judge.settings
    if settings.n_screen:
        return await _screened(text, pool, judge, gateway)
    counts = pool.first_counts
    said = await judge.judgements(text, pool.first_sample.items, gateway)
    if not isinstance(said, Failure):
        said = replace(said, looked=pool.class_sizes)
    calls = -(-sum(counts.values()) // settings.per_call)
    while settings.interval is not None and not isinstance(said, Failure) and calls < settings.max_calls:
        further = min(max(1, calls // LOOKS), settings.max_calls - calls)
        more = _more(said.without_margin, counts, pool, settings.interval, further * settings.per_call)
        if not more:
            break
        counts = {s: counts.get(s, 0) + more.get(s, 0) for s in pool.ordered}
        said = await _extended(text, pool.sample(counts).items, said, judge, gateway)
        calls += further
    return said


async def _extended(
    text: str, items: tuple[Item, ...], before: Judgements, judge: Judge, gateway: Gateway
) -> Judgements | Failure:
    """Asks about the items that were not judged before; the weights are those of all items together."""
    known = {i.exemplar.image: b for i, b in zip(before.items, before.beliefs, strict=True)}
    said = await judge.judgements(text, [i for i in items if i.exemplar.image not in known], gateway)
    if isinstance(said, Failure):
        return said
    known |= {i.exemplar.image: b for i, b in zip(said.items, said.beliefs, strict=True)}
    beliefs = tuple(known[i.exemplar.image] for i in items)
    usage, gaps = before.usage + said.usage, before.gaps + said.gaps
    return replace(before, items=items, beliefs=beliefs, usage=usage, model=said.model, gaps=gaps)


def _more(said: Judgements, counts: dict[str, int], pool: Pool, width: float, most: int) -> Counter[str]:
    """How many more images of each place should be judged; empty where the interval is narrow or all is judged.

    Shares follow Neyman (1934): a stratum is worth the images that it stands for times the spread of what they add to
    F1, after one imagined judgement either way.
    """
    judged = columns(said)
    left = {s: len(own) - counts.get(s, 0) for s, own in pool.ordered.items()}
    if not any(left.values()) or _narrow(judged, sum(counts.values()), pool, width):
        return Counter()
    worth = _worth(judged, [pool.place(i.exemplar) for i in said.items], pool)
    out: Counter[str] = Counter()
    for _ in range(min(most, sum(left.values()))):
        open_strata = [s for s in left if left[s] > out[s]]
        # The share is met by giving each next image to the stratum that is farthest behind its own.
        out[max(open_strata, key=lambda s: worth[s] / (counts.get(s, 0) + out[s] + 1))] += 1
    return out


def _narrow(judged: Columns, n: int, pool: Pool, width: float) -> bool:
    """Whether the interval that would be reported after n images is no wider: all replicates, corrected for looking."""
    settings, level = pool.settings, confidence(n, pool)
    for replicates, most in ((QUICK_REPLICATES, NEARLY * width), (settings.bootstrap, width)):
        drawn = resample(judged, Draws(replicates, settings.seed + pool.feature.id))
        found = interval_of(f1_samples, judged, drawn, level)
        if found.high - found.low > most:
            return False
    return True


def confidence(n: int, pool: Pool) -> float:
    """The confidence of detection's interval after judging on until it is narrow.

    It is looked at again and again, and taken when it happens to be narrow, which it also is where the judgements so
    far happen to agree. Looks between which the evidence has not doubled see nearly the same, so the 5 % are shared by
    one look for each doubling since the first round (Bonferroni; Jennison & Turnbull 2000, Group Sequential Methods).

    Args:
        n: the number of judged images, those near the threshold among them.
        pool: the feature's images; its settings tell how many the first round had, and whether it was judged on.
    """
    first = sum(pool.first_counts.values())
    if pool.settings.interval is None or n <= first:
        return LEVEL
    return 1 - (1 - LEVEL) / (1 + log2(n / first))


def _worth(judged: Columns, places: Sequence[str], pool: Pool) -> dict[str, float]:
    """What each place contributes to the spread of F1; 1 for a place of which no image was judged."""
    f1 = weighted_rates(judged.active, judged.belief, judged.weight).f1
    out: dict[str, float] = dict.fromkeys(pool.ordered, 1.0)
    for place in set(places):
        own = np.array([p == place for p in places], bool)
        c, active = judged.belief[own], float(judged.active[own][0])
        share = (c.sum() + 1) / (len(c) + 2)
        # d F1 / d(share of yes), up to a factor common to all places.
        slope = abs(2 * active - f1)
        out[place] = float(judged.weight[own].sum()) * slope * float(np.sqrt(share * (1 - share)))
    return out


async def _screened(text: str, pool: Pool, judge: Judge, gateway: Gateway) -> Judgements | Failure:
    """Judges in two phases: many images on contact sheets, then a weighted part of them one by one."""
    s = judge.settings
    sheets = Look(
        "sheet", s.screen_per_call, max(1, round(s.screen_per_call**0.5)), s.screen_side, s.region.enlarge > 0
    )
    items = pool.without_margin.draw(s.n_active, max(s.n_screen, s.n_silent)).items
    first = await judge.screener.judgements(text, items, gateway, sheets)
    if isinstance(first, Failure):
        return first
    cells: dict[Cell, list[Item]] = {}
    for item, belief in zip(first.items, first.beliefs, strict=True):
        screened = replace(item, screened=belief)
        cells.setdefault(screened.cell, []).append(screened)
    said = await judge.judgements(text, _second_phase(cells, pool), gateway, replace(judge.look, per_call=1))
    if isinstance(said, Failure):
        return said
    sizes = {cell: len(items) for cell, items in cells.items()}
    return replace(said, usage=first.usage + said.usage, gaps=first.gaps + said.gaps, looked=sizes)


def _second_phase(cells: dict[Cell, list[Item]], pool: Pool) -> list[Item]:
    """Chooses the screened images that are judged alone, with both phases' probabilities in their weights.

    Within each cell they are drawn with chances that rise with the images that they stand for, by systematic sampling
    (Madow 1949), so that each drawn one stands for as many: the images of the cell over the number drawn. All active
    ones are drawn; of the silent ones as many as `n_silent`, those that the screening let through first.
    """
    chance = Random(f"careful:{pool.settings.seed}:{pool.feature.id}")
    counts = _careful_counts(cells, pool.settings.n_silent)
    return [item for cell, items in cells.items() for item in _systematic(items, counts[cell], chance)]


def _systematic(items: Sequence[Item], n: int, chance: Random) -> Sequence[Item]:
    """Draws `n` items, each with a chance proportional to its weight; one whose chance would pass 1 is sure."""
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


def _careful_counts(cells: dict[Cell, list[Item]], n_silent: int) -> dict[Cell, int]:
    """How many images of each cell are judged alone: those let through first, at least two of each cleared cell."""
    out = {cell: len(items) for cell, items in cells.items() if items[0].active}
    silent = {cell: len(items) for cell, items in cells.items() if not items[0].active}
    through = {cell: n for cell, n in silent.items() if cell[1] != CLEARED}
    cleared = {cell: n for cell, n in silent.items() if cell[1] == CLEARED}
    most = max(n_silent - 2 * len(cleared), n_silent // 2)
    for part, room in ((through, most), (cleared, n_silent - min(sum(through.values()), most))):
        whole = sum(part.values())
        for cell, n in part.items():
            out[cell] = min(n, max(2, round(room * n / whole)))
    return out


def columns(said: Judgements, *, both_looks: bool = True) -> Columns:
    """Judgements as columns; one that decides nothing (unanswered or unsure) takes the mean of its cell, and is marked.

    Args:
        said: the judgements.
        both_looks: whether a silent image that the screening cleared counts as not fitting: to fit, it has to pass both
            looks. The careful looks at some of the cleared ones then only show how many the screening misses; each
            stands for thousands of images, and one false yes among them would drown the score. Active images need only
            the careful look, so the rule itself knows which is which: to be held against a control, which was not
            screened, the score takes the careful look alone.
    """
    items = said.items
    phases = {phase: i for i, phase in enumerate(sorted({i.cell[1:] for i in items}, key=str))}
    sizes = {**Counter(i.cell for i in items), **said.looked}
    _, group = np.unique([i.group for i in items], return_inverse=True)
    cleared = [both_looks and not i.active and i.screened == CLEARED for i in items]
    settled = [0.0 if clear else belief for belief, clear in zip(said.beliefs, cleared, strict=True)]
    return Columns(
        active=np.array([i.active for i in items], float),
        belief=np.array(imputed(items, settled), float),
        weight=np.array([i.weight for i in items], float),
        activation=np.array([i.exemplar.activation for i in items], float),
        stratum=np.array([STRATA.index(i.stratum) for i in items], np.int64),
        phase=np.array([phases[i.cell[1:]] for i in items], np.int64),
        looked=np.array([sizes[i.cell] for i in items], np.int64),
        cleared=np.array(cleared, bool),
        group=group.astype(np.int64),
        answered=decided(settled),
        fraction=np.array([min(1.0, 1 / i.weight) for i in items], float),
    )
