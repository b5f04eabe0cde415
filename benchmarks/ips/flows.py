"""The exact flows of a softmax policy over K outcomes, their fixed points, and what holds of them.

Notation: logits z, p = softmax(z), rewards r, R = Σr, r̄ = Σ p r. Each flow is ż, the gradient of an objective by z.
"""

from collections.abc import Callable
from itertools import product

import numpy as np
from scipy.integrate import solve_ivp
from scipy.optimize import root_scalar
from scipy.special import lambertw

from benchmarks.ips.methods import Floats, Method, advantages
from benchmarks.ips.tabular import softmax

Flow = Callable[[Floats], Floats]


def expected_return(z: Floats, r: Floats) -> Floats:
    """ż = p (r - r̄), the gradient of the expected return Σ p r."""
    p = softmax(z)
    return p * (r - p @ r)


def replicator(z: Floats, r: Floats) -> Floats:
    """ż = r - r̄, the natural gradient of the expected return: log(p_i/p_j) grows by r_i - r_j."""
    return r - softmax(z) @ r


def ips(z: Floats, r: Floats, alpha: float = 1.0) -> Floats:
    """ż = p^(1-α) r - p Σ p^(1-α) r; at α = 1 it is r - p R, the gradient of Σ r log p."""
    p = softmax(z)
    scaled = p ** (1 - alpha) * r
    return scaled - p * scaled.sum()


def with_entropy(z: Floats, r: Floats, coefficient: float) -> Floats:
    """Gradient of the expected return plus c times the entropy; its fixed point is softmax(r/c)."""
    p = softmax(z)
    log = np.log(p)
    return expected_return(z, r) - coefficient * p * (log - p @ log)


def fixed_point(r: Floats, alpha: float = 1.0) -> Floats:
    """p* ∝ r^(1/α), where the flow of weights p^(-α) rests."""
    powers = r ** (1 / alpha)
    return powers / powers.sum()


def potential(z: Floats, r: Floats) -> float:
    """Ψ = log Σe^z - Σ p* z, the cross-entropy of p to p* = r/R; the flow of IPS lowers it at the rate R·‖p - p*‖²."""
    top = z.max()
    return float(top + np.log(np.exp(z - top).sum()) - fixed_point(r) @ z)


def kl_flow(z: Floats, r: Floats, q: Floats, beta: float) -> Floats:
    """Gradient of Σ r log p - β KL(p‖q)."""
    p = softmax(z)
    u = np.log(p / q)
    return ips(z, r) - beta * p * (u - p @ u)


def kl_optimum(r: Floats, q: Floats, beta: float) -> Floats:
    """Where `kl_flow` rests: p (R + β (log(p/q) - KL)) = r.

    With c = R - β KL each p solves p (c + β log(p/q)) = r, so p = r / (β W(r e^(c/β) / (β q))), W being Lambert's
    function; c is the number for which they sum to one, and R - β KL is then what it must be, as Σ of the condition
    over outcomes shows. The optimum is unique: the objective is strictly concave in p.

    Args:
        r: rewards > 0, shape [K].
        q: the reference's chances > 0, shape [K].
        beta: > 0.
    """

    def chances(c: float) -> Floats:
        # W(e^x) without overflow: Newton's steps on w + log w = x where e^x is too large.
        x = np.log(r / (beta * q)) + c / beta
        w = np.where(x < 500, lambertw(np.exp(np.minimum(x, 500))).real, x - np.log(np.maximum(x, 1)))
        for _ in range(4):
            w = w * (1 + x - np.log(w)) / (1 + w)
        return r / (beta * w)

    total = r.sum()
    low = total - 1.0
    while chances(low).sum() < 1:
        low -= 2 * (total - low)
    c = root_scalar(lambda c: chances(c).sum() - 1, bracket=(low, total + 1.0), xtol=1e-14, rtol=1e-14).root
    return chances(float(c))


def k3_flow(z: Floats, r: Floats, q: Floats, beta: float) -> Floats:
    """As `kl_flow` with GRPO's own KL term, q/p - log(q/p) - 1 of each sample, differentiated as a loss.

    The samples' law is not differentiated, so the gradient in the mean is that of KL(q‖p), β (q - p) (Tang & Munos
    2025, arXiv 2506.09477).
    """
    return ips(z, r) + beta * (q - softmax(z))


def k3_optimum(r: Floats, q: Floats, beta: float) -> Floats:
    """Where `k3_flow` rests: (r + β q) / (R + β), a mixture of p* and the reference."""
    return (r + beta * q) / (r.sum() + beta)


def group_flow(z: Floats, r: Floats, group_size: int) -> Floats:
    """Expected update of IPS-GRPO with groups of G and the mean as baseline, none of its terms approximated.

    A group's update of outcome i is r_i [n_i > 0] - (n_i/G) Σ_j r_j [n_j > 0]; over binomial counts its mean is
    r_i (1 - (1-p_i)^G) - p_i (r_i + Σ_{j≠i} r_j (1 - (1-p_j)^(G-1))). A vanishing outcome grows if and only if
    G r_i > r_i + Σ_{j≠i} r_j (1 - (1-p_j)^(G-1)): with two outcomes, G > 1 + r_j/r_i; G ≥ R/r_i always suffices.
    """
    p = softmax(z)
    others = r * (1 - (1 - p) ** (group_size - 1))
    return r * (1 - (1 - p) ** group_size) - p * (r + others.sum() - others)


def enumerated_flow(z: Floats, r: Floats, group_size: int, method: Method, *, normalise: bool) -> Floats:
    """Expected update of any method, summed over all K^G groups."""
    p = softmax(z)
    groups = np.array(list(product(range(len(z)), repeat=group_size)))
    a = advantages(r[groups], groups, method, normalise=normalise) / group_size
    pull = np.stack([np.where(groups == i, a, 0).sum(1) for i in range(len(z))], 1) - a.sum(1, keepdims=True) * p
    return np.prod(p[groups], 1) @ pull


def integrate(flow: Flow, start: Floats, times: Floats) -> Floats:
    """Logits along a flow at the given times, shape [n, K]."""
    found = solve_ivp(lambda _, z: flow(z), (times[0], times[-1]), start, "DOP853", times, rtol=1e-12, atol=1e-13)
    return found.y.T
