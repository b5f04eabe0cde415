"""The weights of inverse probability scaling, and how collapsed a group of outcomes is.

Of G samples of one prompt let count(o) be those whose outcome is o. A sample's reward is divided by the empirical
frequency of its outcome, p̂(o) = count(o)/G, before anything else is done with it (Sinha, Elango & Liu 2026,
arXiv 2601.21669): what a common outcome earns in all is then no more than what a rare one of the same reward earns.
"""

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def ips_weights(
    outcomes: Sequence[Hashable | None], *, group_size: int, epsilon: float = 0.0, alpha: float = 1.0
) -> Floats:
    """The factor of each sample's reward: max(p̂(outcome), ε)^(-α), by groups.

    In the long run a policy trained on rewards r times these weights takes outcome o with a chance proportional to
    r(o)^(1/α); a sampler that picks with weights r·w picks an outcome by its mean reward, however often it came up.

    Args:
        outcomes: of each sample; groups stand one after the other. None is an invalid outcome: its weight is 1, and it
            counts among the group's samples.
        group_size: samples of one prompt, G.
        epsilon: in [0, 1]: frequencies below it count as it, so that no weight is above ε^(-α). As p̂ is never below
            1/G, nothing up to 1/G makes a difference.
        alpha: >= 0. 1 is the full correction, 0 none.

    Returns:
        Shape [n], each in [1, G^α].

    Raises:
        ValueError: the samples are not whole groups, or a parameter is out of its range.
    """
    if not 0 <= epsilon <= 1:
        raise ValueError(f"epsilon is {epsilon}; it is a frequency, 0 to 1")
    if not 0 <= alpha < float("inf"):
        raise ValueError(f"alpha is {alpha}; it is 0 or more")
    weights = np.ones(len(outcomes))
    for start, group in _groups(outcomes, group_size):
        counts = Counter(o for o in group if o is not None)
        for i, outcome in enumerate(group, start):
            if outcome is not None:
                weights[i] = max(counts[outcome] / group_size, epsilon) ** -alpha
    return weights


def scaled_rewards(
    rewards: npt.ArrayLike,
    outcomes: Sequence[Hashable | None],
    *,
    group_size: int,
    epsilon: float = 0.0,
    alpha: float = 1.0,
) -> Floats:
    """Rewards times their weights: what a group's normalisation is to be given in the rewards' place.

    After the normalisation the same factor would not help: the advantages of common and rare outcomes would differ in
    size only, and the common one would still be pushed more often.

    Args:
        rewards: >= 0, shape [n]. NaN, a reward that is not known, stays NaN.
        outcomes: as for `ips_weights`.
        group_size: as for `ips_weights`.
        epsilon: as for `ips_weights`.
        alpha: as for `ips_weights`.

    Returns:
        Shape [n].

    Raises:
        ValueError: a reward is negative, which scaling would make worse the rarer its outcome is; or as `ips_weights`.
    """
    raw = np.asarray(rewards, float)
    if raw.shape != (len(outcomes),):
        raise ValueError(f"{raw.shape} rewards for {len(outcomes)} outcomes; one each is needed")
    refuse_negative(raw)
    return raw * ips_weights(outcomes, group_size=group_size, epsilon=epsilon, alpha=alpha)


def refuse_negative(rewards: Floats) -> None:
    """Raises ValueError where a reward is negative, naming the first."""
    if (below := np.flatnonzero(rewards < 0)).size:
        first = int(below[0])
        raise ValueError(
            f"reward {first} is {rewards.flat[first]:g}; inverse probability scaling needs rewards >= 0, "
            "as it would punish a rare outcome more than a common one (shift or clip them)"
        )


def collapse_index(outcomes: Sequence[Hashable | None], *, group_size: int) -> Floats:
    """Chance that two different samples of a group have the same outcome: 1 if all agree, 0 if no two do.

    An unbiased estimate of Σp² for a policy with outcome chances p, whatever the size of the group (Simpson 1949).
    Invalid outcomes are left out.

    Returns:
        One value a group, shape [n / group_size]; NaN for a group with fewer than two valid samples.

    Raises:
        ValueError: the samples are not whole groups.
    """
    out: list[float] = []
    for _, group in _groups(outcomes, group_size):
        counts = Counter(o for o in group if o is not None)
        n = counts.total()
        same = sum(c * (c - 1) for c in counts.values())
        out.append(same / (n * (n - 1)) if n > 1 else float("nan"))
    return np.array(out)


def distinct(outcomes: Sequence[Hashable | None], *, group_size: int) -> npt.NDArray[np.int64]:
    """Different valid outcomes of each group, shape [n / group_size].

    Raises:
        ValueError: the samples are not whole groups.
    """
    found = [len({o for o in group if o is not None}) for _, group in _groups(outcomes, group_size)]
    return np.array(found, np.int64)


def largest(outcomes: Sequence[Hashable | None], *, group_size: int) -> Floats:
    """Share of the most frequent valid outcome among a group's valid samples: 1 where all agree.

    Returns:
        One value a group, shape [n / group_size]; NaN for a group without a valid sample.

    Raises:
        ValueError: the samples are not whole groups.
    """
    counts = [Counter(o for o in group if o is not None) for _, group in _groups(outcomes, group_size)]
    return np.array([max(c.values()) / c.total() if c else float("nan") for c in counts])


def _groups(outcomes: Sequence[Hashable | None], group_size: int) -> Iterator[tuple[int, Sequence[Hashable | None]]]:
    if group_size < 1:
        raise ValueError(f"group_size is {group_size}; it is 1 or more")
    if len(outcomes) % group_size:
        raise ValueError(f"{len(outcomes)} outcomes are not whole groups of {group_size}")
    for start in range(0, len(outcomes), group_size):
        yield start, outcomes[start : start + group_size]
