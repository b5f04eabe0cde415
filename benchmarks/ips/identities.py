"""Both theorems and their neighbours, checked as identities: what is left over, over random problems."""

from concurrent.futures import Executor

import numpy as np
import torch

from benchmarks.ips import flows
from benchmarks.ips.figures import Curve, Experiment, exact
from benchmarks.ips.methods import GRPO, IPS, Floats
from benchmarks.ips.tabular import softmax

ALPHAS = (0.5, 0.75, 1.0)
SHOWN = np.array([4.0, 2.0, 1.0])
"""Rewards of the flows that are drawn."""


def problem(chance: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Logits, rewards in [0.5, 3] and a reference for 2 to 6 outcomes."""
    k = int(chance.integers(2, 7))
    return chance.normal(0, 1, k), chance.uniform(0.5, 3, k), softmax(chance.normal(0, 1, k))


def by_differentiation(z: Floats, r: Floats, q: Floats, beta: float) -> dict[str, Floats]:
    """Gradients of the objectives behind the flows by torch, in double precision."""
    objectives = {
        "expected return": lambda p: (p * _t(r)).sum(),
        # What a sampler computes: the weight r/p carries no gradient, the log-likelihood does.
        "IPS": lambda p: (p.detach() * (_t(r) / p.detach()) * p.log()).sum(),
        "entropy": lambda p: (p * _t(r)).sum() - beta * (p * p.log()).sum(),
        "KL": lambda p: (_t(r) * p.log()).sum() - beta * (p * (p / _t(q)).log()).sum(),
        "GRPO's KL term": lambda p: (
            (_t(r) * p.log()).sum() - beta * (p.detach() * (_t(q) / p - (_t(q) / p).log() - 1)).sum()
        ),
    }
    out: dict[str, Floats] = {}
    for name, objective in objectives.items():
        logits = torch.tensor(z, dtype=torch.float64, requires_grad=True)
        objective(torch.softmax(logits, 0)).backward()
        assert logits.grad is not None
        out[name] = logits.grad.numpy()
    return out


def in_closed_form(z: Floats, r: Floats, q: Floats, beta: float) -> dict[str, Floats]:
    """The same by the formulas."""
    return {
        "expected return": flows.expected_return(z, r),
        "IPS": flows.ips(z, r),
        "entropy": flows.with_entropy(z, r, beta),
        "KL": flows.kl_flow(z, r, q, beta),
        "GRPO's KL term": flows.k3_flow(z, r, q, beta),
    }


def gradients(chance: np.random.Generator, n: int) -> float:
    """Largest difference between formulas and automatic differentiation."""
    worst = 0.0
    for _ in range(n):
        z, r, q = problem(chance)
        beta = float(chance.uniform(0.1, 2))
        formulas = in_closed_form(z, r, q, beta)
        worst = max(worst, *(_gap(formulas[k], g) for k, g in by_differentiation(z, r, q, beta).items()))
    return worst


def groups(chance: np.random.Generator, n: int) -> float:
    """Largest difference between the expected update by its formula and by enumerating all groups."""
    worst = 0.0
    for _ in range(n):
        k, g = (3, 5) if chance.random() < 0.5 else (2, 8)
        z, r = chance.normal(0, 1, k), chance.uniform(0.5, 3, k)
        worst = max(worst, _gap(flows.group_flow(z, r, g), flows.enumerated_flow(z, r, g, IPS, normalise=False)))
        # GRPO's mean baseline holds the sample itself, which takes 1/G off the flow.
        plain = (1 - 1 / g) * flows.expected_return(z, r)
        worst = max(worst, _gap(plain, flows.enumerated_flow(z, r, g, GRPO, normalise=False)))
    return worst


def log_ratios(chance: np.random.Generator, n: int) -> float:
    """Largest difference between log p_i/p_j along the replicator's flow and its line."""
    worst, times = 0.0, np.linspace(0, 20, 21)
    for _ in range(n):
        z, r, _q = problem(chance)
        path = flows.integrate(lambda x, r=r: flows.replicator(x, r), z, times)
        line = (z - z[0]) + times[:, None] * (r - r[0])
        worst = max(worst, _gap(path - path[:, :1], line))
    return worst


def attraction(chance: np.random.Generator, n: int) -> dict[str, float]:
    """Where the flow of IPS ends, how Ψ falls, and where weights p^(-α) and an entropy term lead."""
    ends, slope, rise, powers, entropy = 0.0, 0.0, -np.inf, 0.0, 0.0
    for _ in range(n):
        z, r, _q = problem(chance)
        z = 3 * z
        path = flows.integrate(lambda x, r=r: flows.ips(x, r), z, np.linspace(0, 400, 201))
        ends = max(ends, _gap(softmax(path[-1]), flows.fixed_point(r)))
        psi = np.array([flows.potential(x, r) for x in path])
        rise = max(rise, float(np.diff(psi).max()))
        direction = softmax(z) - flows.fixed_point(r)
        slope = max(slope, abs(float(direction @ flows.ips(z, r)) + float(r.sum() * direction @ direction)))
        for alpha in ALPHAS:
            end = flows.integrate(lambda x, r=r, a=alpha: flows.ips(x, r, a), z / 3, np.linspace(0, 2000, 2))[-1]
            powers = max(powers, _gap(softmax(end), flows.fixed_point(r, alpha)))
        end = flows.integrate(lambda x, r=r: flows.with_entropy(x, r, 1.0), z / 3, np.linspace(0, 2000, 2))[-1]
        entropy = max(entropy, _gap(softmax(end), softmax(r)))
    return {
        "IPS: distance to r/R at the end": ends,
        "IPS: largest rise of Ψ between two times": rise,
        "IPS: dΨ/dt + R‖p - p*‖²": slope,
        "weights p^(-α): distance to r^(1/α) at the end": powers,
        "entropy bonus: distance to softmax(r/coefficient) at the end": entropy,
    }


def reference(chance: np.random.Generator, n: int) -> dict[str, float]:
    """The optimum under a KL term: against the integrated flow, and whether it lies between p* and the reference."""
    condition, end_kl, end_k3, outside_kl, outside_k3, beyond = 0.0, 0.0, 0.0, 0, 0, -np.inf
    for _ in range(n):
        z, r, q = problem(chance)
        beta, star = float(10 ** chance.uniform(-1, 1)), flows.fixed_point(r)
        p, mixed = flows.kl_optimum(r, q, beta), flows.k3_optimum(r, q, beta)
        u = np.log(p / q)
        condition = max(condition, _gap(p * (r.sum() + beta * (u - p @ u)), r))
        for optimum, flow, name in ((p, flows.kl_flow, "kl"), (mixed, flows.k3_flow, "k3")):
            end = flows.integrate(lambda x, f=flow, r=r, q=q, b=beta: f(x, r, q, b), z, np.array([0.0, 500.0]))[-1]
            gap = _gap(softmax(end), optimum)
            end_kl, end_k3 = (max(end_kl, gap), end_k3) if name == "kl" else (end_kl, max(end_k3, gap))
        outside_kl += _outside(p, star, q)
        outside_k3 += _outside(mixed, star, q)
        beyond = max(beyond, _kl(star, p) - _kl(star, q), _kl(p, q) - _kl(star, q))
    return {
        "KL: residual of p (R + β (log p/q - KL)) = r": condition,
        "KL: integrated flow to the optimum": end_kl,
        "GRPO's KL term: integrated flow to (r + β q)/(R + β)": end_k3,
        "KL: share of problems with a coordinate outside [p*, q]": outside_kl / n,
        "GRPO's KL term: share of problems with a coordinate outside [p*, q]": outside_k3 / n,
        "KL: largest of KL(p*‖p) and KL(p‖q) less KL(p*‖q)": beyond,
    }


def drawn() -> tuple[Curve, ...]:
    """Log-ratios to the best outcome along three flows, rewards 4, 2, 1, from the uniform policy."""
    times = np.linspace(0, 6, 61)
    out: list[Curve] = []
    for panel, flow in (
        ("expected return, plain gradient", flows.expected_return),
        ("expected return, natural gradient", flows.replicator),
        ("IPS", flows.ips),
    ):
        path = flows.integrate(lambda z, f=flow: f(z, SHOWN), np.zeros(3), times)
        out += [exact(panel, f"log p{i + 1}/p1, r = {SHOWN[i]:g}", times, path[:, i] - path[:, 0]) for i in (1, 2)]
    return tuple(out)


def run(quick: bool, pool: Executor) -> Experiment:
    """All identities."""
    n = 8 if quick else 64
    jobs = [pool.submit(f, np.random.default_rng(i), n) for i, f in enumerate((gradients, groups, log_ratios))]
    more = [pool.submit(f, np.random.default_rng(9), n) for f in (attraction, reference)]
    names = ("gradients: formulas against automatic differentiation",)
    names += ("groups of G: formulas against enumeration", "natural gradient: log p_i/p_j against its line")
    facts = {name: job.result() for name, job in zip(names, jobs, strict=True)}
    for job in more:
        facts |= job.result()
    return Experiment(curves=drawn(), facts=facts | {"problems": n})


def _t(values: Floats) -> torch.Tensor:
    return torch.from_numpy(values)


def _gap(a: Floats, b: Floats) -> float:
    return float(np.abs(a - b).max())


def _kl(p: Floats, q: Floats) -> float:
    return float(p @ np.log(p / q))


def _outside(p: Floats, star: Floats, q: Floats) -> bool:
    return bool(np.any((p < np.minimum(star, q) - 1e-9) | (p > np.maximum(star, q) + 1e-9)))
