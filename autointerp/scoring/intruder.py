"""Intruder: which of several crops is the silent one? Asked without the explanation, so it measures the feature alone.

Word intrusion (Chang et al. 2009, Reading Tea Leaves) with crops for words: a feature whose active crops have nothing
in common cannot be explained, however good the explainer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from autointerp.evidence import kin_of, kin_of_all
from autointerp.lmm.calls import Failure
from autointerp.lmm.request import Request
from autointerp.replies import NumberReply, number_reply
from autointerp.schema import STRATA, Control, Exemplar
from autointerp.scoring.exact import binomial_tail
from autointerp.scoring.protocol import Case, Outcome
from autointerp.scoring.sampling import ACTIVE_STRATA
from autointerp.scoring.statistics import Interval, wilson
from autointerp.scoring.trials import MORE_ACTIVE, Deck, Details, apart, board, lacking, places

NAME = "intruder"


@dataclass(frozen=True, slots=True)
class Trial:
    """One question."""

    band: str
    """The stratum that its active crops are from."""
    crops: tuple[Exemplar, ...]
    """In the order shown."""
    odd: int
    """Number of the silent one, from 1."""


async def intruder(case: Case) -> Outcome:
    """Share of questions in which the silent crop was found, with a Wilson interval that takes them for independent.

    All active crops of a question are of one activation band, so that a difference in strength gives nothing away. A
    question without an answer counts 1/k in the value, and as not found and as found in the interval.
    """
    k = case.settings.intruder_of
    if (reason := lacking(case, silent=True)) is not None:
        return case.unscored(NAME, reason)
    trials = _trials(case)
    if not trials:
        return case.unscored(NAME, f"no activation band has {k - 1} held-out images that differ; {MORE_ACTIVE}")
    said = await case.ask([_question(case, t) for t in trials], number_reply("odd", k))
    if isinstance(said, Failure):
        return said
    n, found = len(trials), [r is not None and r.number == t.odd for r, t in zip(said.all, trials, strict=True)]
    hits, gaps = sum(found), sum(r is None for r in said.all)
    interval = Interval((hits + gaps / k) / n, wilson(hits, n).low, wilson(hits + gaps, n).high)
    details: Details = {"k": k, "p": binomial_tail(hits, n, 1 / k)} | _by_band(trials, found)
    if gaps:
        details["unanswered"] = gaps
    return case.scored(NAME, interval, n, details, {"chance": Control(value=1 / k, n=n)}, judged=said)


def _trials(case: Case) -> list[Trial]:
    """The questions; none where no band has enough images."""
    pool, k, n = case.pool, case.settings.intruder_of, case.settings.n_intruder
    chance = Random(f"intruder:{case.settings.seed}:{case.feature.id}")
    bands = {s: apart(pool.ordered.get(s, ()), pool.images) for s in ACTIVE_STRATA}
    eligible = [s for s, own in bands.items() if len(own) >= k - 1]
    if not eligible:
        return []
    chance.shuffle(eligible)
    uniform = pool.ordered.get("silent", ())
    # Guided ones resemble the active ones by design, so that finding them asks for more than one feature's unity.
    strangers = apart(uniform if len(uniform) >= case.settings.min_silent else pool.silent, pool.images)
    deck, out = Deck(chance), []
    for i, place in enumerate(places(n, k, chance)):
        band = eligible[i % len(eligible)]
        crops = deck.deal(bands[band], k - 1)
        crops[place:place] = deck.deal(_unlike(strangers, crops, case), 1)
        out.append(Trial(band, tuple(crops), place + 1))
    return out


def _unlike(strangers: Sequence[Exemplar], crops: Sequence[Exemplar], case: Case) -> Sequence[Exemplar]:
    """The silent ones that are no near-duplicate of a crop; all where each is one."""
    images = case.pool.images
    kin = kin_of_all([e.image for e in crops], images)
    return [e for e in strangers if not kin_of(images[e.image]) & kin] or strangers


def _question(case: Case, trial: Trial) -> Request:
    judge = case.judge
    tiles = [case.pool.tile(e) for e in trial.crops]
    shown = board(tiles, judge.look, judge.settings.region.quality, "judged")
    reply: type[NumberReply] = number_reply("odd", len(tiles))
    return judge.question("intruder", "", judge.others[NAME], shown.variables, shown.pictures, reply)


def _by_band(trials: Sequence[Trial], found: Sequence[bool]) -> Details:
    out: Details = {}
    for band in (s for s in STRATA if any(t.band == s for t in trials)):
        own = [f for t, f in zip(trials, found, strict=True) if t.band == band]
        out |= {f"{band}_found": sum(own), f"{band}_n": len(own)}
    return out
