"""The methods that are compared, and the advantages they give to groups of samples."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from autointerp.ips.weights import ips_weights

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

INVALID = -1
"""Outcome of a sample that has none."""
STD_FLOOR = 1e-4
"""Added to a group's standard deviation, as TRL does."""


@dataclass(frozen=True)
class Method:
    """How a group's rewards become advantages; by default GRPO (Shao et al. 2024, arXiv 2402.03300)."""

    name: str
    alpha: float = 0.0
    """Exponent of the inverse frequencies of outcomes: 1 is IPS-GRPO, 1/2 the soft count."""
    epsilon: float = 0.0
    """Least frequency that is divided by."""
    after: bool = False
    """The weights multiply the advantages, not the rewards."""
    entropy: float = 0.0
    """Coefficient of the policy's entropy, added to the objective."""
    bonus: float = 0.0
    """Coefficient of 1/√N(o), added to the reward of a valid outcome seen N(o) times in training so far."""
    diversity: float = 0.0
    """Weight of a set's diversity beside the reward, 0 to 1 (`many/sets.py`)."""


GRPO = Method("GRPO")
IPS = Method("IPS-GRPO", alpha=1.0)
SOFT_COUNT = Method("soft count", alpha=0.5)
"""Frequencies enter by their square root, as counts do in count-based exploration (Strehl & Littman 2008)."""
HISTORY_BONUS = Method("history bonus", bonus=1.0)
"""The count-based bonus itself (Bellemare et al. 2016, arXiv 1606.01868), over all of training."""
ENTROPIES = (0.003, 0.01, 0.03, 0.1, 0.3)
"""Swept coefficients; tables show the one that did best."""


def entropy_bonus(coefficient: float) -> Method:
    """GRPO with an entropy bonus."""
    return Method("GRPO + entropy", entropy=coefficient)


def weights(outcomes: Ints, method: Method) -> Floats:
    """Of each sample.

    Args:
        outcomes: shape [n, G], a group a row; `INVALID` for none.
        method: its exponent and least frequency.

    Returns:
        Shape [n, G].
    """
    if method.alpha == 0:
        return np.ones(outcomes.shape)
    flat = [None if o == INVALID else o for o in outcomes.ravel().tolist()]
    found = ips_weights(flat, group_size=outcomes.shape[1], epsilon=method.epsilon, alpha=method.alpha)
    return found.reshape(outcomes.shape)


def advantages(rewards: Floats, outcomes: Ints, method: Method, *, normalise: bool) -> Floats:
    """Rewards less their group's mean, over its standard deviation if `normalise`; weights inside or after.

    Args:
        rewards: >= 0, shape [n, G], a group a row.
        outcomes: as for `weights`.
        method: places the weights.
        normalise: divides by the standard deviation, as GRPO does and Dr. GRPO (arXiv 2503.20783) does not.

    Returns:
        Shape [n, G].
    """
    factors = weights(outcomes, method)
    scaled = rewards if method.after else rewards * factors
    centred = scaled - scaled.mean(1, keepdims=True)
    if normalise:
        centred = centred / (centred.std(1, keepdims=True) + STD_FLOOR)
    return centred * factors if method.after else centred


class History:
    """How often each outcome came up in training so far, seed by seed."""

    def __init__(self, n_seeds: int, n_outcomes: int) -> None:
        self.counts: Ints = np.zeros((n_seeds, n_outcomes), np.int64)

    def bonus(self, outcomes: Ints, coefficient: float) -> Floats:
        """Counts the outcomes [n_seeds, G] in, and gives coefficient/√N of each; 0 for invalid ones."""
        rows = np.broadcast_to(np.arange(len(outcomes))[:, None], outcomes.shape)
        valid = outcomes != INVALID
        np.add.at(self.counts, (rows[valid], outcomes[valid]), 1)
        seen = self.counts[rows, np.where(valid, outcomes, 0)]
        return np.where(valid, coefficient / np.sqrt(np.maximum(seen, 1)), 0.0)
