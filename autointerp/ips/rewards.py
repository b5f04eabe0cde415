"""What the trainer is told of a batch of replies: rewards, outcomes, and figures of the groups for the log."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypedDict

import numpy as np
from PIL import Image

from autointerp.ips.weights import collapse_index, distinct, ips_weights


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


class Group(NamedTuple):
    """How one group of replies did."""

    feature: int
    reward: float
    """Mean over the replies whose reward is known; NaN where none is."""
    distinct: float
    """Meanings."""
    collapse: float
    """Chance that two usable replies mean the same; NaN where there are fewer than two."""
    unusable: float
    """Share of replies that are no usable explanation."""
    unknown: float
    """Share of replies whose reward or meaning is not known."""


@dataclass
class Rewards:
    """The reward function and the outcome function of a trainer, which calls them in this order for each batch."""

    judging: Judging
    group: int
    """Replies of a prompt, G."""
    alpha: float
    epsilon: float

    def __post_init__(self) -> None:
        """Starts with nothing judged."""
        self.groups: list[Group] = []
        """Of the batches judged since it was last emptied."""
        self._judged: Sequence[Judged] = ()

    def reward(self, completions: Sequence[object], feature: Sequence[int], **columns: object) -> list[float]:
        """Judges a batch of completions.

        Raises:
            Halted: rewards cannot be had now.
        """
        self._judged = self.judging(feature, [said(c) for c in completions])
        starts = range(0, len(completions), self.group)
        parts = [self._judged[start : start + self.group] for start in starts]
        self.groups += [_figures(feature[s], own) for s, own in zip(starts, parts, strict=True)]
        return [r for own in parts for r in neutral(own, alpha=self.alpha, epsilon=self.epsilon)]

    def outcome(self, completions: Sequence[object], **columns: object) -> list[int | None]:
        """Meanings of the batch that was judged last."""
        assert len(completions) == len(self._judged)
        return [j.outcome for j in self._judged]


def neutral(group: Sequence[Judged], *, alpha: float, epsilon: float) -> list[float]:
    """Rewards of a group, in which one that is not known neither pays nor punishes.

    It is set to the mean of the known rewards *after* their scaling. Its outcome is None, its own weight therefore 1,
    so it stands at the group's mean and its advantage is 0; the others' mean is as it is without it.
    """
    weights = ips_weights([j.outcome for j in group], group_size=len(group), epsilon=epsilon, alpha=alpha)
    known = [j.reward * w for j, w in zip(group, weights.tolist(), strict=True) if j.reward is not None]
    middle = float(np.mean(known)) if known else 0.0
    return [middle if j.reward is None else j.reward for j in group]


def said(completion: object) -> str:
    """The text of a completion, which is plain or a list of one message."""
    if isinstance(completion, str):
        return completion
    assert isinstance(completion, list)
    content = completion[-1]["content"]
    return content if isinstance(content, str) else "".join(str(part.get("text", "")) for part in content)


def means(groups: Sequence[Group]) -> dict[str, float]:
    """Means over groups, each over those that have a value; a figure that no group has is left out."""
    out: dict[str, float] = {}
    for name in Group._fields[1:]:
        values = np.array([getattr(g, name) for g in groups], float)
        if np.isfinite(values).any():
            out[name] = float(np.nanmean(values))
    return out


def _figures(feature: int, group: Sequence[Judged]) -> Group:
    outcomes, n = [j.outcome for j in group], len(group)
    known = [j.reward for j in group if j.reward is not None]
    return Group(
        feature=int(feature),
        reward=float(np.mean(known)) if known else float("nan"),
        distinct=float(distinct(outcomes, group_size=n)[0]),
        collapse=float(collapse_index(outcomes, group_size=n)[0]),
        unusable=sum(j.outcome is None and j.reward is not None for j in group) / n,
        unknown=sum(j.reward is None for j in group) / n,
    )
