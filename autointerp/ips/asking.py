"""What the training of an explainer and its judges exchange; loads nothing heavy."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypedDict

from PIL import Image


class Part(TypedDict, total=False):
    """A piece of a message as chat templates take it."""

    type: str
    """`text` or `image`."""
    text: str


class Turn(TypedDict):
    """A message; for a model without eyes its content is one text."""

    role: str
    content: list[Part] | str


class Ask(NamedTuple):
    """The prompt of one feature."""

    turns: list[Turn]
    pictures: list[Image.Image]
    """One for each part of type `image`, in order."""


class Judged(NamedTuple):
    """What a reply of the policy is worth."""

    reward: float | None
    """>= 0; 0 for a reply that is no usable explanation; None where it cannot be known."""
    outcome: int | None
    """The meaning, numbered within its group; None for a reply that is no usable explanation, or not known."""


class Halted(Exception):  # noqa: N818 - nothing is wrong: it is a stop that a later start goes on from
    """Rewards cannot be had now and may be later; the message says why."""


Asks = Callable[[int], Ask]
"""The prompt of a feature, by id."""

Judging = Callable[[Sequence[int], Sequence[str]], Sequence[Judged]]
"""Features and replies, whole groups one after the other; raises `Halted`."""
