"""What a steered model said of a feature's direction, and what it said under the controls."""

from typing import Literal

from pydantic import Field

from autointerp.record import Record, Several

ControlKind = Literal["nothing", "random", "other"]
"""`nothing`: nothing was added. `random`: a random direction of the same length. `other`: another feature's direction,
in the same pictures."""


class SteeredControl(Record):
    """What the same question gave without the feature's direction."""

    kind: ControlKind
    feature: int | None = Field(default=None, exclude_if=lambda value: value is None)
    """Whose direction was added, of the kind `other`."""
    text: str
    likeness: float | None = None
    """Cosine of the embedding of `text` with that of the explanation; None where nobody embeds."""
    same: bool
    """Whether it says the same as the explanation: in equal words, or by the likeness."""


class Steered(Record):
    """How a text came about that a model wrote while its vision tower was steered."""

    coefficient: float
    """How many times the feature's direction, at unit length, was added."""
    on: Literal["blank", "top"]
    """Whether it was added to a blank image or to the highest images' heat maps."""
    hookpoint: str
    coder: str
    """Whose decoder the direction is of, and on which model."""
    direction: str
    """First 12 hex digits of the SHA-256 of the direction."""
    controls: Several[SteeredControl]
