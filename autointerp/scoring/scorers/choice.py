"""Two-alternative forced choice: which of two crops, one active and one silent, does the explanation fit better?

A judge that likes to say yes gains nothing, and "an image" scores one half. With a judge that knows its own mind the
share right is the area under its ROC curve (Green & Swets 1966).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

import numpy as np

from autointerp.lmm.calls import Failure
from autointerp.lmm.request import Request
from autointerp.prompts import plain
from autointerp.replies import NumberReply, number_reply
from autointerp.schema import Control
from autointerp.scoring.case import Case, Outcome
from autointerp.scoring.exact import binomial_tail
from autointerp.scoring.question_helpers import Details, board, lacking, together, weighted_mean
from autointerp.scoring.sampling import Item

NAME = "choice"


@dataclass(frozen=True, slots=True)
class Asked:
    """A pair of an active and a silent crop, and what was answered in either order."""

    active: Item
    silent: Item
    answers: tuple[int | None, int | None]
    """With the active one first, and with it second: the number chosen; None where no usable answer came."""

    @property
    def right(self) -> tuple[bool | None, bool | None]:
        """Whether the active one was chosen, in either order."""
        first, second = self.answers
        return None if first is None else first == 1, None if second is None else second == 2


async def choice(case: Case) -> Outcome:
    """Chance that a random image that fires the feature is preferred to a random one that does not, with its interval.

    Each pair is asked in both orders and weighs the product of its images' inverse inclusion probabilities. An order
    without an answer counts one half in the value, and as wrong and as right in the interval.
    """
    if case.explanation.none:
        return case.unscored(NAME, "the explainer found no common property")
    if (reason := lacking(case, silent=True)) is not None:
        return case.unscored(NAME, reason)
    pairs = _pairs(case)
    requests = [_question(case, order) for a, s in pairs for order in ((a, s), (s, a))]
    said = await case.ask(requests, number_reply("better", 2))
    if isinstance(said, Failure):
        return said
    numbers = [None if r is None else r.number for r in said.all]
    asked = [Asked(a, s, (numbers[2 * i], numbers[2 * i + 1])) for i, (a, s) in enumerate(pairs)]
    right = [r for pair in asked for r in pair.right]
    interval = weighted_mean(
        np.array([0.5 if r is None else float(r) for r in right]),
        np.repeat([p.active.weight * p.silent.weight for p in asked], 2),
        [label for label in together([(p.active.group, p.silent.group) for p in asked]) for _ in range(2)],
        [r is not None for r in right],
        replicates=case.settings.bootstrap,
        seed=case.settings.seed + case.feature.id,
    )
    controls = {"chance": Control(value=0.5, n=len(right))}
    return case.scored(NAME, interval, len(right), _details(asked), controls, judged=said)


def _pairs(case: Case) -> list[tuple[Item, Item]]:
    """Each image is in one pair; who meets whom is drawn."""
    pool, chance = case.pool, Random(f"choice:{case.settings.seed}:{case.feature.id}")
    n = min(case.settings.n_choice, len(pool.active), len(pool.silent))
    sample = pool.sample(pool.spread(n, n))
    active, silent = (sorted(own, key=lambda i: i.exemplar.image) for own in (sample.active, sample.silent))
    chance.shuffle(active)
    chance.shuffle(silent)
    # With fewer pairs than activation strata the draw, which takes one of each at least, has too many active ones.
    return list(zip(active[:n], silent[:n], strict=True))


def _question(case: Case, pair: tuple[Item, Item]) -> Request:
    judge, text = case.judge, plain(case.explanation.text)
    # Side by side, so that neither stands above the other.
    look = replace(judge.look, columns=2)
    shown = board([i.tile for i in pair], look, judge.settings.region.quality, "judged")
    reply: type[NumberReply] = number_reply("better", 2)
    variables = {"explanation": text} | shown.variables
    return judge.question("choice", text, judge.others[NAME], variables, shown.pictures, reply)


def _details(asked: Sequence[Asked]) -> Details:
    """Habits of the judge, and the exact test of the pairs in which the order made no difference."""
    right = [p.right for p in asked]
    both = [(a, b) for a, b in right if a is not None and b is not None]
    alike = [a for a, b in both if a == b]
    said = [answer for p in asked for answer in p.answers if answer is not None]
    out: Details = {
        "pairs": len(asked),
        "first": sum(answer == 1 for answer in said) / len(said),
        "consistent": len(alike) / len(both) if both else None,
        "p": binomial_tail(sum(alike), len(alike), 0.5),
    }
    for stratum in ("silent", "guided"):
        own = [r for p in asked if p.silent.exemplar.stratum == stratum for r in p.right if r is not None]
        if own:
            out |= {f"{stratum}_right": sum(own), f"{stratum}_n": len(own)}
    if len(said) < 2 * len(asked):
        out["unanswered"] = 2 * len(asked) - len(said)
    return out
