"""Intruder: which of several crops is the silent one? It is asked without the explanation and measures the feature.

This is word intrusion (Chang et al. 2009, Reading Tea Leaves) with crops for words: a feature whose active crops have
nothing in common cannot be explained, however good the explainer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

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


TASK = Task(NAME, NumberReply, tokens=12, local=LocalAnswerer(_locally))


@dataclass(frozen=True, slots=True)
class Question:
    """Several active crops and a silent one among them."""

    band: str
    """The stratum that the active crops are from."""
    crops: tuple[Exemplar, ...]
    """The crops in the order shown."""
    odd: int
    """The number of the silent one, from 1."""


async def intruder(case: Case) -> Outcome:
    """Computes the share of questions in which the silent crop was found, with a Wilson interval.

    The interval takes questions for independent. All active crops of a question are of one activation band, so that a
    difference in strength gives nothing away. A question without an answer counts 1/k in the value, and as not found
    and as found in the interval.
    """
    k = case.settings.intruder_of
    questions = _questions(case)
    if not questions:
        return case.unscored(NAME, f"no activation band has {k - 1} held-out images that differ; {MORE_ACTIVE}")
    said = await case.ask([_request(case, q) for q in questions], number_reply("odd", k))
    if isinstance(said, Failure):
        return said
    n = len(questions)
    found = [r is not None and r.number == q.odd for r, q in zip(said.all, questions, strict=True)]
    hits, gaps = sum(found), said.all.count(None)
    interval = Interval((hits + gaps / k) / n, wilson(hits, n).low, wilson(hits + gaps, n).high)
    details: Details = {"k": k, "p": binomial_tail(hits, n, 1 / k)} | _by_band(questions, found)
    if gaps:
        details["unanswered"] = gaps
    return case.scored(NAME, interval, n, details, {"chance": Control(value=1 / k, n=n)}, said=said)


def _questions(case: Case) -> list[Question]:
    """Draws the questions; none where no band has enough images."""
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
    for i, place in enumerate(places(n, k, chance)):
        band = eligible[i % len(eligible)]
        crops = deck.deal(bands[band], k - 1)
        crops[place:place] = deck.deal(_unlike(strangers, crops, case), 1)
        out.append(Question(band, tuple(crops), place + 1))
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
    return judge.question(TASK, "", shown, number_reply("odd", len(tiles)), {})


def _by_band(questions: Sequence[Question], found: Sequence[bool]) -> Details:
    out: Details = {}
    for band in (s for s in STRATA if any(q.band == s for q in questions)):
        own = [f for q, f in zip(questions, found, strict=True) if q.band == band]
        out |= {f"{band}_found": sum(own), f"{band}_n": len(own)}
    return out


INTRUDER = Scorer(NAME, intruder, task=TASK, reads_text=False)
