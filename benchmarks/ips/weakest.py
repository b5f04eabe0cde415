"""What group size gives the weakest of several outcomes which share: `python -m benchmarks.ips.weakest`.

The share is where the expected update of IPS-GRPO rests (flows.group_flow: the group's mean as baseline, no term
approximated), reached from equal shares. It is computed exactly, for rewards K : K-1 : … : 1.
"""

import numpy as np
from scipy.integrate import solve_ivp

from benchmarks.ips.flows import Floats, group_flow, softmax

OUTCOMES = (2, 3, 4, 5, 8)
SIZES = (4, 8, 16, 32, 64, 128, 256)
LONG = 1e4
"""By then the shares of all settings here rest."""


def resting(rewards: Floats, group_size: int) -> Floats:
    """Shares where the mean dynamics rest, from equal ones, shape [K]."""
    start = np.zeros(len(rewards))
    found = solve_ivp(lambda _, z: group_flow(z, rewards, group_size), (0, LONG), start, "LSODA", rtol=1e-8, atol=1e-9)
    return softmax(found.y[:, -1])


def table() -> str:
    """A row for each number of outcomes: the share due to the weakest, and what it gets."""
    lines = [f"| rewards | due | {' | '.join(f'G = {g}' for g in SIZES)} |", "|---" * (2 + len(SIZES)) + "|"]
    for k in OUTCOMES:
        rewards = np.arange(k, 0, -1.0)
        shares = " | ".join(f"{resting(rewards, g)[-1]:.3f}" for g in SIZES)
        lines.append(f"| {':'.join(f'{r:.0f}' for r in rewards)} | {1 / rewards.sum():.3f} | {shares} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
