"""Intruder: which of several crops is the silent one? It is asked without the explanation and measures the feature.

This is word intrusion (Chang et al. 2009, Reading Tea Leaves) with crops for words: a feature whose active crops have
nothing in common cannot be explained, however good the explainer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

import numpy as np

from autointerp.evidence import all_duplicate_keys, duplicate_keys
from autointerp.lmm.local.model import LocalAnswerer, LocalModel
from autointerp.lmm.outcomes import Failure
from autointerp.lmm.request import Request
from autointerp.lmm.task import Task
from autointerp.replies import NumberReply, number_reply
from autointerp.schema import STRATA, Control, Details, Exemplar
from autointerp.scoring.case import MORE_ACTIVE, Case, Outcome, Scorer
from autointerp.scoring.judge import board
from autointerp.scoring.question_helpers import Deck, distinct, places
from autointerp.scoring.sampling import ACTIVE_STRATA
from autointerp.statistics.exact import binomial_tail
from autointerp.statistics.rates import Interval, wilson

NAME = "intruder"


def _locally(request: Request, model: LocalModel) -> Mapping[str, object]:
    """The embedded model takes the crop that is farthest in meaning from the others."""
    meaning = np.stack([view.meaning for view in model.numbered("judged").values()])
    return {"odd": 1 + int(np.argmin((meaning @ meaning.T).sum(axis=1)))}


TASK = Task(NAME, NumberReply, tokens=16, local=LocalAnswerer(_locally))


@dataclass(frozen=True, slots=True)
class Question:
    """Several active crops and a silent one among them."""

    band: str
    """The stratum that the active crops are from."""
    crops: tuple[Exemplar, ...]
    """The crops in the order shown."""
    odd: int
    """The number of the silent one, from 1."""
    hard: bool = False
    """Whether the silent one is a look-alike of the others."""


async def intruder(case: Case) -> Outcome:
    """Computes the share of questions in which the silent crop was found, with a Wilson interval.

    The interval takes questions for independent. All active crops of a question are of one activation band, so that a
    difference in strength gives nothing away. The value is that of questions whose odd one is any silent image; where
    the dump has look-alikes, further questions hide one of these and have figures of their own. A question without an
    answer counts 1/k in the value, and as not found and as found in the interval.
    """
    k = case.settings.intruder_of
    questions = _questions(case)
    if not questions:
        return case.unscored(NAME, f"no activation band has {k - 1} held-out images that differ; {MORE_ACTIVE}")
    said = await case.ask([_request(case, q) for q in questions], _reply(case, k))
    if isinstance(said, Failure):
        return said
    told = [(q, r) for q, r in zip(questions, said.all, strict=True) if not q.hard]
    hard = [(q, r) for q, r in zip(questions, said.all, strict=True) if q.hard]
    found = _found(told, k)
    details: Details = {"k": k, "p": found.p, "undecided": found.undecided} | _by_band(told)
    if found.gaps:
        details["unanswered"] = found.gaps
    details |= _of_hard(hard, k)
    n = len(told)
    return case.scored(NAME, found.interval, n, details, {"chance": Control(value=1 / k, n=n)}, said=said)


Told = Sequence[tuple[Question, NumberReply | None]]


class _Found(NamedTuple):
    """How often the odd one was found."""

    interval: Interval
    p: float
    gaps: int
    """Questions without a usable answer."""
    undecided: int
    """Answers that are a guess, as they say themselves, and questions without one."""


def _found(told: Told, k: int) -> _Found:
    n = len(told)
    hits, gaps = sum(_is_right(q, r) for q, r in told), sum(r is None for _, r in told)
    interval = Interval((hits + gaps / k) / n, wilson(hits, n).low, wilson(hits + gaps, n).high)
    return _Found(
        interval, binomial_tail(hits, n, 1 / k), gaps, gaps + sum(r is not None and not r.decided for _, r in told)
    )


def _of_hard(told: Told, k: int) -> Details:
    """The same of the questions whose odd one is a look-alike; nothing where there are none."""
    if not told:
        return {}
    found = _found(told, k)
    value, low, high = found.interval.value, found.interval.low, found.interval.high
    out: Details = {"hard": value, "hard_low": low, "hard_high": high, "p_hard": found.p, "hard_n": len(told)}
    return out | {"hard_undecided": found.undecided} | ({"hard_unanswered": found.gaps} if found.gaps else {})


def _is_right(question: Question, reply: NumberReply | None) -> bool:
    return reply is not None and reply.number == question.odd


def _reply(case: Case, k: int) -> type[NumberReply]:
    return number_reply("odd", k, sure=case.judge.others[NAME].asks_for("sure"))


def _questions(case: Case) -> list[Question]:
    """Draws the questions, those with a look-alike last; none where no band has enough images.

    A look-alike is one of the guided images, on which the feature does not fire, though they are as like those on which
    it does as the dump knows any: likeness is what makes them likely to have been drawn.
    """
    pool, k, n = case.pool.without_margin, case.settings.intruder_of, case.settings.n_intruder
    chance = Random(f"intruder:{case.settings.seed}:{case.feature.id}")
    bands = {s: distinct(pool.ordered.get(s, ()), pool.images) for s in ACTIVE_STRATA}
    eligible = [s for s, own in bands.items() if len(own) >= k - 1]
    if not eligible:
        return []
    chance.shuffle(eligible)
    uniform = pool.ordered.get("silent", ())
    # Guided ones resemble the active ones by design, so that finding them asks for more than one feature's unity.
    strangers = distinct(uniform if len(uniform) >= case.settings.min_silent else pool.silent, pool.images)
    deck, out = Deck(chance), []

    def ask(n: int, odd: Sequence[Exemplar], *, hard: bool) -> None:
        for i, place in enumerate(places(n, k, chance)):
            band = eligible[i % len(eligible)]
            crops = deck.deal(bands[band], k - 1)
            crops[place:place] = deck.deal(_unlike(odd, crops, case), 1)
            out.append(Question(band, tuple(crops), place + 1, hard))

    ask(n, strangers, hard=False)
    n_hard = case.settings.n_intruder_hard
    alike = sorted(pool.ordered.get("guided", ()), key=lambda e: (-e.probability, e.image))
    if nearest := distinct(alike, pool.images)[:n_hard]:
        ask(n_hard, nearest, hard=True)
    return out


def _unlike(strangers: Sequence[Exemplar], crops: Sequence[Exemplar], case: Case) -> Sequence[Exemplar]:
    """The silent images that are no near-duplicate of a crop; all of them where each is one."""
    images = case.pool.images
    keys = all_duplicate_keys([e.image for e in crops], images)
    return [e for e in strangers if not duplicate_keys(images[e.image]) & keys] or strangers


def _request(case: Case, question: Question) -> Request:
    judge = case.judge
    tiles = [case.pool.region_tile(e) for e in question.crops]
    shown = board(tiles, judge.look, judge.settings.region.quality, "judged")
    return judge.question(TASK, "", shown, _reply(case, len(tiles)), {})


def _by_band(told: Told) -> Details:
    out: Details = {}
    for band in (s for s in STRATA if any(q.band == s for q, _ in told)):
        own = [_is_right(q, r) for q, r in told if q.band == band]
        out |= {f"{band}_found": sum(own), f"{band}_n": len(own)}
    return out


INTRUDER = Scorer(NAME, intruder, task=TASK, reads_text=False)
