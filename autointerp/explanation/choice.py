"""Which candidates a feature keeps: clusters, whether they beat chance, and the share of each under two samplers."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
import numpy.typing as npt

from autointerp.candidates import Candidate, Cluster
from autointerp.ips.weights import scaled_rewards
from autointerp.scoring.distractors import normal
from autointerp.settings import CandidateSettings
from autointerp.statistics.exact import holm
from autointerp.statistics.rates import weighted_rates

LEVEL = 0.05
"""Of the tests against chance."""

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Fits:
    """What the judge said of one text on the images kept for choosing."""

    yes: Bools
    """[n], whether the text clearly fits."""
    belief: npt.NDArray[np.float64]
    """[n], 0 no, 0.5 unsure, 1 yes; NaN where no usable answer came."""
    active: Bools
    """[n], whether the feature fires."""
    weight: npt.NDArray[np.float64]
    """[n], images of the population that each stands for."""

    @property
    def score(self) -> float | None:
        """Youden's J, 2 · balanced accuracy - 1, not below 0 (Youden 1950); None where a side has no answer."""
        known = np.isfinite(self.belief)
        sides = [self.belief[known & (self.active == side)] for side in (True, False)]
        if not all(len(side) for side in sides):
            return None
        return max(0.0, float(sides[0].mean() - sides[1].mean()))

    @property
    def f1(self) -> float | None:
        """Over the population, of the images answered; None where a side has no answer."""
        return None if self.score is None else self.f1_with(np.zeros(len(self.yes), bool))

    def f1_with(self, others: Bools) -> float:
        """The same of "this fits, or one of the others does", [n]."""
        known = np.isfinite(self.belief)
        claimed = (self.yes | others)[known].astype(float)
        return weighted_rates(self.active[known].astype(float), claimed, self.weight[known]).f1

    def p(self, among: Bools | None = None) -> float:
        """Of as many yes among the active images by chance; among all images answered, or those of them marked."""
        known = np.isfinite(self.belief) if among is None else np.isfinite(self.belief) & among
        active, silent = known & self.active, known & ~self.active
        return fisher(
            int(np.sum(self.yes & active)), int(active.sum()), int(np.sum(self.yes & silent)), int(silent.sum())
        )


def fisher(yes_active: int, n_active: int, yes_silent: int, n_silent: int) -> float:
    """One-sided exact test (Fisher 1922): chance that at least so many of all yes fall on active images.

    Args:
        yes_active: of the active images.
        n_active: active images.
        yes_silent: of the silent images.
        n_silent: silent images.
    """
    yes, n = yes_active + yes_silent, n_active + n_silent
    ways = sum(comb(n_active, k) * comb(n_silent, yes - k) for k in range(yes_active, min(yes, n_active) + 1))
    return ways / comb(n, yes)


def clustered(candidates: Sequence[Candidate], labels: Sequence[int], settings: CandidateSettings) -> list[Cluster]:
    """Clusters with their shares, the one with the largest share under inverse probability weights first.

    With s the scores and c the clusters, a sampler by score draws cluster c with a chance proportional to Σ s_i^β over
    its members; with weights w_i = s_i^β / max(n_c/N, ε) it draws it by its mean score, however often it came up.

    Args:
        candidates: [n], scored; a score that is missing counts as 0 in the shares.
        labels: [n], the cluster of each.
        settings: β and ε.
    """
    scores = np.array([c.score or 0.0 for c in candidates], float)
    plain = scores**settings.beta
    plain[scores == 0] = 0.0
    weighted = scaled_rewards(plain, labels, group_size=len(labels), epsilon=settings.epsilon)
    members = {label: [i for i, own in enumerate(labels) if own == label] for label in dict.fromkeys(labels)}
    best = {label: max(own, key=lambda i: (scores[i], -i)) for label, own in members.items()}
    ps = holm([_p([candidates[i] for i in own]) for own in members.values()])
    out = [
        Cluster(
            members=tuple(own),
            best=best[label],
            score=float(scores[own].mean()),
            p=p,
            kept=p <= LEVEL,
            share_score=_share(plain, own),
            share_ips=_share(weighted, own),
        )
        for (label, own), p in zip(members.items(), ps, strict=True)
    ]
    return sorted(out, key=lambda c: (-c.share_ips, c.members))


def _p(members: Sequence[Candidate]) -> float:
    """Of several wordings of one meaning, tried on the same images: K/k times the k-th smallest of K, at the median k.

    Valid however they depend on each other (Rüger 1978); the smallest alone would be too small the more wordings there
    are. Of a single wording, its own.
    """
    wordings = {normal(c.text): 1.0 if c.p is None else c.p for c in members}
    k = (len(wordings) + 1) // 2
    return min(1.0, len(wordings) / k * sorted(wordings.values())[k - 1])


def _share(weights: npt.NDArray[np.float64], members: Sequence[int]) -> float:
    whole = float(weights.sum())
    return float(weights[list(members)].sum()) / whole if whole else 0.0


def adding(texts: Sequence[tuple[str, Fits]]) -> list[str]:
    """The kept explanations whose disjunction does best: one after the other as long as F1 over the population rises.

    Each must also beat chance among the images that those before it leave. So a wider or a narrower wording of what is
    said already, which would only blur the whole, stays out.

    Args:
        texts: each with what the judge said of it; every side has an answer.
    """
    out: list[str] = []
    if not texts:
        return out
    claimed = np.zeros(len(texts[0][1].yes), bool)
    reached = 0.0
    left = list(texts)
    while left:
        text, fits = max(left, key=lambda t: t[1].f1_with(claimed))
        f1 = fits.f1_with(claimed)
        if out and (f1 <= reached or fits.p(~claimed) > LEVEL):
            break
        out.append(text)
        claimed, reached = claimed | fits.yes, f1
        left = [t for t in left if t[0] != text]
    return out
