"""Naming: which of several explanations is meant by these active crops? The feature's own stands among its neighbours'.

Detection cannot see that many features share a label. Here a label that the neighbours have as well earns what guessing
does, and one that fits their images too is taken for theirs as often.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from random import Random

from autointerp.lmm.local.model import LocalAnswerer, LocalModel
from autointerp.lmm.outcomes import Failure
from autointerp.lmm.request import Request
from autointerp.lmm.task import Task
from autointerp.prompts import plain
from autointerp.replies import NumberReply, number_reply
from autointerp.schema import Control, Details, Exemplar
from autointerp.scoring.case import Case, Outcome, Scorer
from autointerp.scoring.distractors import Distractors, normal
from autointerp.scoring.judge import board
from autointerp.scoring.question_helpers import Deck, distinct, places
from autointerp.statistics.exact import binomial_tail
from autointerp.statistics.rates import Interval, wilson

NAME = "naming"


def _locally(request: Request, model: LocalModel) -> Mapping[str, object]:
    """The embedded model takes the text that holds best for the crops on average, and the first of equal ones."""
    crops = model.numbered("active").values()
    means = [sum(model.beliefs(text, crops)) / len(crops) for text in request.subject.split("\n")]
    return {"description": 1 + means.index(max(means))}


TASK = Task(NAME, NumberReply, tokens=12, local=LocalAnswerer(_locally))


@dataclass(frozen=True, slots=True)
class Question:
    """Several active crops, and the explanations to choose from."""

    crops: tuple[Exemplar, ...]
    texts: tuple[str, ...]
    """The explanations in the order shown."""


async def naming(case: Case) -> Outcome:
    """Computes the mean credit over the questions, with a Wilson interval that takes them for independent.

    Choosing the feature's own text earns 1/s, where s of the m options have that same text: so guessing earns 1/m
    whatever they are. A question without an answer counts 1/m in the value, and as wrong and as right in the interval.
    """
    own = case.explanation.text
    others = options(own, case.distractors, case.settings.naming_of - 1)
    if not others:
        return case.unscored(
            NAME, "the run has no other explanation to choose from; explain more features (explain --features)"
        )
    m, same = 1 + len(others), 1 + sum(normal(t) == normal(own) for t in others)
    questions = _questions(case, others)
    said = await case.ask([_request(case, q) for q in questions], number_reply("description", m))
    if isinstance(said, Failure):
        return said
    taken = [None if r is None else q.texts[r.number - 1] for r, q in zip(said.all, questions, strict=True)]
    n, gaps = len(questions), taken.count(None)
    wrong = Counter(text for text in taken if text is not None and normal(text) != normal(own))
    hits = n - gaps - wrong.total()
    interval = Interval((hits / same + gaps / m) / n, wilson(hits, n).low / same, wilson(hits + gaps, n).high / same)
    details: Details = {"options": m, "same_text": same - 1, "p": binomial_tail(hits, n, same / m)}
    if wrong:
        mistaken = max(others, key=lambda text: wrong[text])
        details |= {"mistaken_for": mistaken, "mistaken": wrong[mistaken]}
    if gaps:
        details["unanswered"] = gaps
    return case.scored(NAME, interval, n, details, {"chance": Control(value=1 / m, n=n)}, said=said)


def options(own: str, others: Distractors, wanted: int) -> tuple[str, ...]:
    """Chooses the texts to tell the feature's own from: at most `wanted`, the nearest first.

    Neighbours come with those of the very same text last. Here these have the share that they have among all the
    neighbours, rounded up: the more neighbours carry the label, the less it earns, and a single one halves it.
    """
    different = [text for text in others.neighbours if normal(text) != normal(own)]
    twins = [text for text in others.neighbours if normal(text) == normal(own)]
    share = ceil(wanted * len(twins) / len(others.neighbours)) if others.neighbours else 0
    n_twins = max(min(share, len(twins)), min(len(twins), wanted - len(different)))
    chosen = [*different[: wanted - n_twins], *twins[:n_twins]]
    other = others.other
    if other is not None and len(chosen) < wanted and normal(other) not in map(normal, chosen):
        chosen.append(other)
    return tuple(chosen)


def _questions(case: Case, others: tuple[str, ...]) -> list[Question]:
    pool, settings = case.pool, case.settings
    chance = Random(f"naming:{settings.seed}:{case.feature.id}")
    n, each = settings.n_naming, settings.naming_crops
    drawn = pool.draw(n * each, 0).active
    crops = distinct(sorted((i.exemplar for i in drawn), key=lambda e: e.image), pool.images)
    deck, out = Deck(chance), []
    for place in places(n, 1 + len(others), chance):
        texts = list(others)
        chance.shuffle(texts)
        texts.insert(place, case.explanation.text)
        out.append(Question(tuple(deck.deal(crops, each)), tuple(texts)))
    return out


def _request(case: Case, question: Question) -> Request:
    judge, texts = case.judge, [plain(text) for text in question.texts]
    shown = board(
        [case.pool.region_tile(e) for e in question.crops], judge.look, judge.settings.region.quality, "active"
    )
    reply = number_reply("description", len(texts))
    return judge.question(TASK, "\n".join(texts), shown, reply, {"explanations": texts})


NAMING = Scorer(NAME, naming, task=TASK, sides="active", needs_distractors=True)
