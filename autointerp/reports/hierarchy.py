"""What stands on a card of the features around it: the broader ones it stands within, and the narrower ones."""

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from autointerp.reports.parents import Kinship
from autointerp.schema import Explanation

MAX_PARENTS = 4
MAX_CHILDREN = 8
"""Most of each that a card names; the others are counted."""


@dataclass(frozen=True, slots=True)
class Relative:
    """Another feature in a line."""

    feature: int
    width: int
    text: str
    """Its explanation; empty where there is none."""
    instead: str
    """Why there is none, in a few words."""
    linked: bool
    """Whether it has a card."""


@dataclass(frozen=True, slots=True)
class Family:
    """The features around one."""

    within: tuple[Relative, ...]
    """Its parents, the closest first."""
    more_within: int
    """Parents beyond those."""
    told: str
    """Whether the explainer was told of the parents; empty without parents or without an explanation."""
    narrower: tuple[Relative, ...]
    """Children that have a card."""
    more_narrower: int
    """Further children in the run, with a card or without."""


def width_of(feature: int, widths: Sequence[int]) -> int:
    """The smallest of the nested prefixes that holds a feature."""
    return widths[bisect_right(widths, feature)]


def relative(
    feature: int, widths: Sequence[int], explanation: Explanation | None, *, linked: bool, asked: bool
) -> Relative:
    """One line.

    Args:
        feature: its number.
        widths: prefixes of the dump, ascending.
        explanation: what the run has.
        linked: whether it has a card.
        asked: whether it is in the run.
    """
    text = explanation.text if explanation is not None else ""
    instead = ""
    if not text:
        instead = "no common property" if explanation is not None else "failed" if asked else "not in this run"
    return Relative(feature, width_of(feature, widths), text, instead, linked)


class Families:
    """The relatives of each feature that has a card.

    Args:
        kinship: who is whose parent.
        chosen: features that have a card.
        widths: prefixes of the dump, ascending.
    """

    def __init__(self, kinship: Kinship, chosen: Collection[int], widths: Sequence[int]) -> None:
        self._kinship, self._widths = kinship, widths
        self._chosen = set(chosen)
        self._children = kinship.on_page()

    def beside(self) -> set[int]:
        """Features without a card that some card names."""
        named = (p for parents in self._kinship.parents.values() for p in parents[:MAX_PARENTS])
        return set(named) - self._chosen

    def of(
        self, feature: int, explanations: Mapping[int, Explanation | None], own: Explanation | None
    ) -> Family | None:
        """The relatives of one feature; None where it has none.

        Args:
            feature: one that has a card.
            explanations: those of the run's features among its relatives, None where asking failed.
            own: its explanation.
        """
        parents, children = self._kinship.parents.get(feature, ()), self._children.get(feature, [])
        n_children = self._kinship.n_narrower[feature]
        if not parents and not n_children:
            return None
        within, narrower = parents[:MAX_PARENTS], children[:MAX_CHILDREN]
        return Family(
            within=tuple(self._relative(f, explanations) for f in within),
            more_within=len(parents) - len(within),
            told=told_words(parents, own.parents) if own is not None else "",
            narrower=tuple(self._relative(f, explanations) for f in narrower),
            more_narrower=n_children - len(narrower),
        )

    def _relative(self, feature: int, explanations: Mapping[int, Explanation | None]) -> Relative:
        found = explanations.get(feature)
        linked = feature in self._chosen
        return relative(feature, self._widths, found, linked=linked, asked=feature in explanations)


def told_words(parents: Sequence[int], told: Sequence[int]) -> str:
    """Whether the explainer was told what the parents are about; empty without parents."""
    if not parents:
        return ""
    known = [p for p in parents if p in told]
    if known and len(known) < len(parents):
        return f"The explainer was told of {', '.join(map(str, known))} only."
    return f"The explainer was {'' if known else 'not '}told of {'it' if len(parents) == 1 else 'them'}."
