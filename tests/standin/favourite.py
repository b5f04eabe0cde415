"""An explainer with a favourite phrase: it names one property however many there are, in ever other words."""

from collections.abc import Callable

from standin.mind import Question, as_text
from standin.planted import COLOURS, PAIRS, SHAPES, kinds

WORDINGS = (
    "{} on a plain ground",
    "picture of a {}",
    "{}, alone or beside another thing",
    "always some {} somewhere",
    "whole {} of any size",
)
"""Of one and the same meaning."""
PROPERTIES = (*(" ".join(pair) for pair in PAIRS), *COLOURS, *SHAPES)
REFUSAL = "I'm sorry, but I can't describe these images."


def named(question: Question) -> str:
    """The property that most of the active images show, less those silent that do; of equals the first in line."""

    def margin(name: str) -> float:
        meant = kinds(name)
        shares = [sum(s.fits(meant) for s in seen) / max(1, len(seen)) for seen in (question.active, question.silent)]
        return shares[0] - shares[1]

    return max(PROPERTIES, key=margin)


def favourite(question: Question, value: dict[str, object]) -> str:
    """For `StandIn.text_of`: never mixed, and worded by the request's seed."""
    if question.task != "explain":
        return as_text(value)
    name = named(question)
    text = WORDINGS[question.seed % len(WORDINGS)].format(name)
    said = {"verdict": "one", "explanation": text, "concepts": [name], "misfits": []}
    return as_text(value | said)


def with_refusals(*seeds: int) -> Callable[[Question, dict[str, object]], str]:
    """The same, but refusing where a candidate has one of these seeds."""

    def text_of(question: Question, value: dict[str, object]) -> str:
        refused = question.task == "explain" and question.seed in seeds
        return REFUSAL if refused else favourite(question, value)

    return text_of
