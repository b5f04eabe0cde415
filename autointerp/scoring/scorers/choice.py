"""Two-alternative forced choice: which of two images, one active and one silent, does the explanation fit better?

A judge that likes to say yes gains nothing, and "an image" scores one half. With a judge that answers consistently the
share right is the area under its ROC curve (Green & Swets 1966).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

import numpy as np

from autointerp.lmm.local.model import LocalAnswerer, LocalModel
from autointerp.lmm.outcomes import Failure
from autointerp.lmm.request import Request
from autointerp.lmm.task import Task
from autointerp.prompts import plain
from autointerp.replies import NumberReply, number_reply
from autointerp.schema import Control, Details
from autointerp.scoring.case import Case, Outcome, Scorer
from autointerp.scoring.judge import board
from autointerp.scoring.question_helpers import joined_labels, weighted_mean
from autointerp.scoring.sampling import Item
from autointerp.statistics.exact import binomial_tail
from autointerp.statistics.rates import wilson

NAME = "choice"


def _locally(request: Request, model: LocalModel) -> Mapping[str, object]:
    """The embedded model prefers the crop for which the text holds better, and the first of equal ones."""
    beliefs = model.beliefs(request.subject, model.numbered("judged").values())
    return {"better": 1 + beliefs.index(max(beliefs))}


TASK = Task(NAME, NumberReply, tokens=16, local=LocalAnswerer(_locally))


@dataclass(frozen=True, slots=True)
class Pair:
    """A pair of an active and a silent crop, and what was answered in either order."""

    active: Item
    silent: Item
    answers: tuple[int | None, int | None]
    """The number chosen with the active crop first and with it second; None where no usable answer came."""
    undecided: int = 0
    """How many of the two are guesses, as they say themselves, or no usable answers."""

    @property
    def right(self) -> tuple[bool | None, bool | None]:
        """Whether the active crop was chosen, in either order."""
        first, second = self.answers
        return None if first is None else first == 1, None if second is None else second == 2


async def choice(case: Case) -> Outcome:
    """Computes the chance that a random image that fires the feature is preferred to a random one that does not.

    Each pair is asked in both orders and weighs the product of its images' inverse inclusion probabilities. An order
    without an answer counts one half in the value, and as wrong and as right in the interval.
    """
    drawn = _drawn(case)
    said = await case.ask([_question(case, order) for a, s in drawn for order in ((a, s), (s, a))], _reply(case))
    if isinstance(said, Failure):
        return said
    pairs = [_pair(a, s, said.all[2 * i : 2 * i + 2]) for i, (a, s) in enumerate(drawn)]
    right = [r for pair in pairs for r in pair.right]
    interval = weighted_mean(
        np.array([0.5 if r is None else float(r) for r in right]),
        np.repeat([p.active.weight * p.silent.weight for p in pairs], 2),
        [label for label in joined_labels([(p.active.group, p.silent.group) for p in pairs]) for _ in range(2)],
        [r is not None for r in right],
        case.draws,
    )
    controls = {"chance": Control(value=0.5, n=len(right))}
    return case.scored(NAME, interval, len(right), _details(pairs), controls, said=said)


def _pair(active: Item, silent: Item, replies: Sequence[NumberReply | None]) -> Pair:
    first, second = (None if r is None else r.number for r in replies)
    return Pair(active, silent, (first, second), sum(r is None or not r.decided for r in replies))


def _drawn(case: Case) -> list[tuple[Item, Item]]:
    """Draws pairs of an active and a silent image; each image is in one pair."""
    pool, chance = case.pool.without_margin, Random(f"choice:{case.settings.seed}:{case.feature.id}")
    n = min(case.settings.n_choice, len(pool.active), len(pool.silent))
    sample = pool.draw(n, n)
    active, silent = (sorted(own, key=lambda i: i.exemplar.image) for own in (sample.active, sample.silent))
    chance.shuffle(active)
    chance.shuffle(silent)
    # With fewer pairs than activation strata the draw, which takes one of each at least, has too many active ones.
    return list(zip(active[:n], silent[:n], strict=True))


def _question(case: Case, pair: tuple[Item, Item]) -> Request:
    judge, text = case.judge, plain(case.explanation.text)
    # Side by side, so that neither stands above the other.
    shown = board([i.tile for i in pair], replace(judge.look, columns=2), judge.settings.region.quality, "judged")
    return judge.question(TASK, text, shown, _reply(case), {"explanation": text})


def _reply(case: Case) -> type[NumberReply]:
    return number_reply("better", 2, sure=case.judge.others[NAME].asks_for("sure"))


def _details(pairs: Sequence[Pair]) -> Details:
    """The judge's preference for a place, and the exact test of the pairs in which the order made no difference."""
    right = [p.right for p in pairs]
    both = [(a, b) for a, b in right if a is not None and b is not None]
    alike = [a for a, b in both if a == b]
    said = [answer for p in pairs for answer in p.answers if answer is not None]
    out: Details = {
        "undecided": sum(p.undecided for p in pairs),
        "pairs": len(pairs),
        "first": sum(answer == 1 for answer in said) / len(said),
        "consistent": len(alike) / len(both) if both else None,
        "p": binomial_tail(sum(alike), len(alike), 0.5),
    }
    for stratum in ("silent", "guided"):
        own = [p for p in pairs if p.silent.stratum == stratum]
        if own:
            out |= _of_stratum(stratum, own)
    if len(said) < 2 * len(pairs):
        out["unanswered"] = 2 * len(pairs) - len(said)
    return out


def _of_stratum(stratum: str, pairs: Sequence[Pair]) -> Details:
    """The figures of easy pairs (`silent`: any image) or of hard ones (`guided`: a look-alike), images unweighted."""
    answered = [r for p in pairs for r in p.right if r is not None]
    undecided = sum(p.undecided for p in pairs)
    out: Details = {f"{stratum}_right": sum(answered), f"{stratum}_n": len(answered)}
    if not answered:
        return out | {f"{stratum}_undecided": undecided}
    # The two orders of a pair are no independent questions.
    share = wilson(sum(answered) / len(answered) * len(pairs), len(pairs))
    name = "easy" if stratum == "silent" else "hard"
    out |= {name: share.value, f"{name}_low": share.low, f"{name}_high": share.high}
    return out | {f"{stratum}_undecided": undecided}


CHOICE = Scorer(NAME, choice, task=TASK)
