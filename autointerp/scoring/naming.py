"""Naming: which of several explanations is meant by these active crops? The feature's own stands among its neighbours'.

Detection cannot see that many features share a label; here a label that the neighbours have as well earns what guessing
does, and one that fits their images too is taken for theirs as often.
"""

from collections import Counter
from dataclasses import dataclass
from math import ceil
from random import Random

from autointerp.lmm.calls import Failure
from autointerp.lmm.request import Request
from autointerp.prompts import plain
from autointerp.replies import NumberReply, number_reply
from autointerp.schema import Control, Exemplar
from autointerp.scoring.exact import binomial_tail
from autointerp.scoring.protocol import Case, Outcome
from autointerp.scoring.rivals import RivalTexts, normal
from autointerp.scoring.statistics import Interval, wilson
from autointerp.scoring.trials import Deck, Details, apart, board, lacking, places

NAME = "naming"


@dataclass(frozen=True, slots=True)
class Trial:
    """One question."""

    crops: tuple[Exemplar, ...]
    texts: tuple[str, ...]
    """The explanations in the order shown."""


async def naming(case: Case) -> Outcome:
    """Mean credit over the questions, with a Wilson interval that takes them for independent.

    Choosing the feature's own text earns 1/s, where s of the m options have that same text: so guessing earns 1/m
    whatever they are. A question without an answer counts 1/m in the value, and as wrong and as right in the interval.
    """
    own, wanted = case.explanation.text, case.settings.naming_of - 1
    if case.explanation.none:
        return case.unscored(NAME, "the explainer found no common property")
    if (reason := lacking(case, silent=False)) is not None:
        return case.unscored(NAME, reason)
    rivals = opponents(own, case.rivals, wanted)
    if not rivals:
        return case.unscored(
            NAME, "the run has no other explanation to choose from; explain more features (explain --features)"
        )
    m, same = 1 + len(rivals), 1 + sum(normal(r) == normal(own) for r in rivals)
    trials = _trials(case, rivals)
    said = await case.ask([_question(case, t) for t in trials], number_reply("description", m))
    if isinstance(said, Failure):
        return said
    taken = [None if r is None else t.texts[r.number - 1] for r, t in zip(said.all, trials, strict=True)]
    n, gaps = len(trials), taken.count(None)
    hits = sum(text is not None and normal(text) == normal(own) for text in taken)
    interval = Interval((hits / same + gaps / m) / n, wilson(hits, n).low / same, wilson(hits + gaps, n).high / same)
    details: Details = {"options": m, "same_text": same - 1, "p": binomial_tail(hits, n, same / m)}
    if wrong := Counter(text for text in taken if text is not None and normal(text) != normal(own)):
        mistaken = max(rivals, key=lambda r: wrong[r])
        details |= {"mistaken_for": mistaken, "mistaken": wrong[mistaken]}
    if gaps:
        details["unanswered"] = gaps
    return case.scored(NAME, interval, n, details, {"chance": Control(value=1 / m, n=n)}, judged=said)


def opponents(own: str, rivals: RivalTexts, wanted: int) -> tuple[str, ...]:
    """The texts to tell the feature's own from: at most `wanted`, nearest first.

    Neighbours come with those of the very same text last. Here these have the share that they have among all the
    neighbours, rounded up: the more neighbours carry the label, the less it earns, and a single one halves it.
    """
    different = [text for text in rivals.neighbours if normal(text) != normal(own)]
    twins = [text for text in rivals.neighbours if normal(text) == normal(own)]
    share = ceil(wanted * len(twins) / len(rivals.neighbours)) if rivals.neighbours else 0
    n_twins = max(min(share, len(twins)), min(len(twins), wanted - len(different)))
    chosen = [*different[: wanted - n_twins], *twins[:n_twins]]
    other = rivals.other
    if other is not None and len(chosen) < wanted and normal(other) not in map(normal, chosen):
        chosen.append(other)
    return tuple(chosen)


def _trials(case: Case, rivals: tuple[str, ...]) -> list[Trial]:
    pool, settings = case.pool, case.settings
    chance = Random(f"naming:{settings.seed}:{case.feature.id}")
    n, each = settings.n_naming, settings.naming_crops
    sample = pool.sample(pool.spread(n * each, 0))
    crops = apart(sorted((i.exemplar for i in sample.active), key=lambda e: e.image), pool.images)
    deck, out = Deck(chance), []
    for place in places(n, 1 + len(rivals), chance):
        texts = list(rivals)
        chance.shuffle(texts)
        texts.insert(place, case.explanation.text)
        out.append(Trial(tuple(deck.deal(crops, each)), tuple(texts)))
    return out


def _question(case: Case, trial: Trial) -> Request:
    judge, texts = case.judge, [plain(text) for text in trial.texts]
    shown = board([case.pool.tile(e) for e in trial.crops], judge.look, judge.settings.region.quality, "active")
    reply: type[NumberReply] = number_reply("description", len(texts))
    variables = {"explanations": texts} | shown.variables
    return judge.question("naming", "\n".join(texts), judge.others[NAME], variables, shown.pictures, reply)
