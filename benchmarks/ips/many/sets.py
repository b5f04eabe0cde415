"""Rewards for the diversity of a set: Supergroup Relative Policy Optimization (SGRPO, arXiv 2605.08659).

A prompt is answered by several sibling groups. A group's diversity, compared with its siblings', is dealt to its
members by what the group's diversity would lose without each (leave-one-out), and added to their rewards. The code is
ours, after the paper: D_s is the number of different valid outcomes of group s over its size G; A_s is D_s less the
mean of its siblings'; c_i the loss of D_s where member i is left out; w±_i = G · softmax(±z(c))_i, z standardised
within the group. Member i gets (1 - λ) r_i + λ (D_s + max(A_s, 0) (w+_i - 1) - max(-A_s, 0) (w-_i - 1)).
The rewards of all siblings are normalised together.
"""

import numpy as np

from benchmarks.ips.methods import INVALID, STD_FLOOR, Floats, Ints


def with_diversity(rewards: Floats, outcomes: Ints, weight: float) -> Floats:
    """Rewards of the members of sibling groups.

    Args:
        rewards: shape [..., S, G], S >= 2 siblings.
        outcomes: likewise; `INVALID` for none.
        weight: λ, 0 to 1.

    Returns:
        Shape [..., S, G].
    """
    own = counts(outcomes)
    size, siblings = outcomes.shape[-1], outcomes.shape[-2]
    diversity = np.where(own > 0, 1 / np.maximum(own, 1), 0).sum(-1, keepdims=True) / size
    others = (diversity.sum(-2, keepdims=True) - diversity) / (siblings - 1)
    ahead = diversity - others
    lost = (own == 1) / size
    z = (lost - lost.mean(-1, keepdims=True)) / (lost.std(-1, keepdims=True) + STD_FLOOR)
    dealt = np.maximum(ahead, 0) * (size * _softmax(z) - 1) - np.maximum(-ahead, 0) * (size * _softmax(-z) - 1)
    return (1 - weight) * rewards + weight * (diversity + dealt)


def counts(outcomes: Ints) -> Ints:
    """How often each member's outcome came up in its group [..., G]; 0 for those that have none."""
    own = (outcomes[..., :, None] == outcomes[..., None, :]).sum(-1)
    return np.where(outcomes == INVALID, 0, own)


def _softmax(z: Floats) -> Floats:
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)
