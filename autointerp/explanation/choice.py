"""Which meanings a feature keeps: what beats chance, what further images should decide, and which are told apart.

Two texts are two meanings of a feature where each holds for images that the other leaves. A property that stands beside
the one meaning of a feature, or holds of more than it, also beats chance, but it holds as often where the judge says
yes to the meaning as where it misses it; so it is told by the images on which the feature fires alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from itertools import combinations
from math import comb
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from autointerp.statistics.exact import holm
from autointerp.statistics.rates import weighted_rates

LEVEL = 0.05
"""Of all tests of a feature together."""
DEAR = 2.0
"""Times that a yes on a silent image costs what one on an active image earns, where texts are compared: silent images
are by far the more, and those of the choice are mostly look-alikes."""
MARGIN = 0.2
"""By how much several texts have to do better than a single one that is wider than each of them."""
MOST_OPEN = 4
"""Texts that are judged on further images, and so the most meanings of a feature."""

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Fits:
    """What the judge said of one text on the images kept for choosing."""

    yes: Bools
    """[n], whether the text clearly fits."""
    belief: npt.NDArray[np.float64]
    """[n], 0 no, 0.5 unsure, 1 yes; NaN where no usable answer came, or none was asked for."""
    active: Bools
    """[n], whether the feature fires."""
    weight: npt.NDArray[np.float64]
    """[n], images of the population that each stands for."""
    shown: Bools
    """[n], whether the explainer saw the image. Such images only tell texts apart: they say nothing on how good one
    is, nor whether it beats chance."""

    def joined(self, more: "Fits") -> "Fits":
        """What was said of the same text on these images and on others."""
        pairs = zip(astuple(self), astuple(more), strict=True)
        return Fits(*(np.concatenate(pair) for pair in pairs))

    @property
    def known(self) -> Bools:
        """[n], whether a usable answer came."""
        return np.isfinite(self.belief)

    @property
    def score(self) -> float | None:
        """Youden's J, 2 · balanced accuracy - 1, not below 0 (Youden 1950); None where a side has no answer."""
        known = self.known & ~self.shown
        sides = [self.belief[known & (self.active == side)] for side in (True, False)]
        if not all(len(side) for side in sides):
            return None
        return max(0.0, float(sides[0].mean() - sides[1].mean()))

    @property
    def f1(self) -> float | None:
        """Over the population, of the images answered; None where a side has no answer."""
        if self.score is None:
            return None
        known = self.known & ~self.shown
        return weighted_rates(self.active[known].astype(float), self.yes[known].astype(float), self.weight[known]).f1

    def p(self, among: Bools | None = None) -> float:
        """Of as many yes among the active images by chance; among all images answered, or those of them marked."""
        known = self.known & ~self.shown if among is None else self.known & ~self.shown & among
        return _more(self.yes, known & self.active, known & ~self.active)


def fisher(yes_here: int, n_here: int, yes_there: int, n_there: int) -> float:
    """One-sided exact test (Fisher 1922): chance that at least so many of all yes fall on the images here.

    Args:
        yes_here: of the images here.
        n_here: images here, such as the active ones.
        yes_there: of the images there.
        n_there: images there, such as the silent ones.
    """
    yes, n = yes_here + yes_there, n_here + n_there
    ways = sum(comb(n_here, k) * comb(n_there, yes - k) for k in range(yes_here, min(yes, n_here) + 1))
    return ways / comb(n, yes)


def _more(yes: Bools, here: Bools, there: Bools) -> float:
    """Of at least so many yes here rather than there by chance."""
    return fisher(int(np.sum(yes & here)), int(here.sum()), int(np.sum(yes & there)), int(there.sum()))


class Choice(NamedTuple):
    """Holds which texts are a feature's meanings, as their places among those that were judged."""

    chosen: tuple[int, ...]
    """The best one alone, or several that are told apart."""
    kept: frozenset[int]
    """Those that beat chance, and several that are told apart."""
    p: tuple[float, ...]
    """Of each text by chance, or of one of several if it told nothing that the others do not; corrected for all."""


def contenders(fits: Sequence[Fits]) -> tuple[int, ...]:
    """Texts that further images should decide on: the best one, and those that with some other one do better than it.

    Args:
        fits: of one text a meaning, on the same images; at least one.

    Returns:
        Their places, ascending, `MOST_OPEN` at most; none where the best one stands alone.
    """
    best = _best(fits, range(len(fits)))
    alone = together([fits[best]])
    gains = {pair: together([fits[i] for i in pair]) - alone for pair in combinations(range(len(fits)), 2)}
    most = {i: max(gain for pair, gain in gains.items() if i in pair) for i in range(len(fits)) if gains and i != best}
    others = sorted((i for i, gain in most.items() if gain > 0), key=lambda i: -most[i])
    return tuple(sorted((best, *others[: MOST_OPEN - 1]))) if others else ()


def choose(fits: Sequence[Fits], contending: Sequence[int]) -> Choice:
    """Chooses the meanings of a feature: of the texts that beat chance the best, or several that are told apart.

    Several are chosen where `apart` holds of each, corrected for all texts but one (Bonferroni), and their disjunction
    does better than the best text and than any other such several. Two kinds of one thing are apart as well: several
    also have to do better by `MARGIN` than any text that fits most of the active images of each of them.

    Args:
        fits: of one text a meaning.
        contending: those that were judged on further images, as `contenders` says.
    """
    ps = dict(enumerate(holm([f.p() for f in fits])))
    kept = {i for i, p in ps.items() if p <= LEVEL}
    chosen = (_best(fits, kept or ps),)
    reached, own = together([fits[i] for i in chosen]), dict[int, float]()
    sets = (several for size in range(2, len(contending) + 1) for several in combinations(contending, size))
    for several in sets:
        trials = [fits[i] for i in several]
        told = {i: min(1.0, p * (len(fits) - 1)) for i, p in zip(several, apart(trials), strict=True)}
        wider = [together([f]) + MARGIN for f in fits if not any(f is t for t in trials) and _covers(f, trials)]
        if max(told.values()) <= LEVEL and together(trials) > max([reached, *wider]):
            chosen, reached, own = several, together(trials), told
    ps |= own
    return Choice(chosen, frozenset(kept | own.keys()), tuple(ps.values()))


def apart(fits: Sequence[Fits]) -> list[float]:
    """How likely each of several texts is to tell what the others do not by chance; at least two texts.

    Of the images that the others leave, it has to hold for active ones more often than for silent ones; and it has to
    hold for the active ones more often than for active ones that the others claim. The larger p counts: as both tests
    have to reject, neither needs a correction for the other (Berger 1982).
    """
    known = np.all([f.known for f in fits], axis=0)
    out: list[float] = []
    for i, own in enumerate(fits):
        claimed = np.any([f.yes for j, f in enumerate(fits) if j != i], axis=0)
        here, elsewhere = known & own.active & ~claimed, known & own.active & claimed
        silent = known & ~own.active & ~claimed
        out.append(max(_more(own.yes, here & ~own.shown, silent & ~own.shown), _more(own.yes, here, elsewhere)))
    return out


def together(fits: Sequence[Fits]) -> float:
    """How well the disjunction of some texts does on the images answered for each: recall less `DEAR` times false yes.

    Returns:
        At most 1; 0 for a text that fits nothing, and where a side has no answer.
    """
    belief = np.max([f.belief for f in fits], axis=0)
    known = np.isfinite(belief) & ~fits[0].shown
    active, silent = belief[known & fits[0].active], belief[known & ~fits[0].active]
    return float(active.mean() - DEAR * silent.mean()) if len(active) and len(silent) else 0.0


def _covers(text: Fits, others: Sequence[Fits]) -> bool:
    """Whether a text fits most of the active images of each of the others, of those answered for it first."""
    n = len(text.yes)
    shares = [text.yes[f.yes[:n] & f.active[:n] & text.known] for f in others]
    return all(len(share) and share.mean() > 0.5 for share in shares)


def _best(fits: Sequence[Fits], among: Iterable[int]) -> int:
    """The one that scores most, of equals the first."""
    return min(among, key=lambda i: (-together([fits[i]]), i))
