"""Small recurrent policies in torch, one for each instance, trained side by side in one batch of weights."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.ips.hypotheses import Task
from benchmarks.ips.methods import INVALID, Floats, History, Ints, Method, advantages

HIDDEN = 32
EVALUATED = 1024
"""Samples of each policy that its chances of outcomes are estimated from."""


class Policies(nn.Module):
    """Gated recurrent units (Cho et al. 2014), n with weights of their own: previous token in, next logits out."""

    def __init__(self, n: int, n_tokens: int, generator: torch.Generator) -> None:
        super().__init__()

        def drawn(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(n, *shape, generator=generator) / shape[0] ** 0.5)

        self.embedding = drawn(n_tokens + 1, 3 * HIDDEN)
        self.recurrent = drawn(HIDDEN, 3 * HIDDEN)
        self.bias = nn.Parameter(torch.zeros(n, 1, 3 * HIDDEN))
        self.head = drawn(HIDDEN, n_tokens)

    def forward(self, token: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """One step.

        Args:
            token: shape [n, G]; n_tokens at the beginning.
            hidden: shape [n, G, HIDDEN].

        Returns:
            Logits [n, G, n_tokens], and the next hidden state.
        """
        one_hot = nn.functional.one_hot(token, self.embedding.shape[1]).to(hidden.dtype)
        given = torch.baddbmm(self.bias, one_hot, self.embedding)
        kept = torch.bmm(hidden, self.recurrent)
        gates = torch.sigmoid(given[..., : 2 * HIDDEN] + kept[..., : 2 * HIDDEN])
        update, reset = gates.chunk(2, -1)
        new = torch.tanh(given[..., 2 * HIDDEN :] + reset * kept[..., 2 * HIDDEN :])
        hidden = torch.lerp(new, hidden, update)
        return torch.bmm(hidden, self.head), hidden


@dataclass(frozen=True)
class Written:
    """A group of hypotheses an instance."""

    tokens: Ints
    """Shape [n, G, length]."""
    log_likelihood: Tensor
    """Shape [n, G]."""
    entropy: Tensor
    """Sum over tokens of the entropy of the allowed ones, shape [n, G]."""


def write(policies: Policies, task: Task, n: int, group_size: int, generator: torch.Generator) -> Written:
    """Samples a group for each instance."""
    token = torch.full((n, group_size), task.n_tokens)
    hidden = torch.zeros(n, group_size, HIDDEN)
    tokens = np.zeros((n, group_size, 0), np.int64)
    likelihood, entropy = torch.zeros(n, group_size), torch.zeros(n, group_size)
    for _ in range(task.length):
        logits, hidden = policies(token, hidden)
        logits = logits.masked_fill(~torch.from_numpy(task.allowed(tokens)), -1e9)
        log = torch.log_softmax(logits, -1)
        flat = log.detach().exp().reshape(-1, task.n_tokens)
        token = torch.multinomial(flat, 1, generator=generator).reshape(n, group_size)
        likelihood = likelihood + torch.gather(log, 2, token[..., None])[..., 0]
        entropy = entropy - (log.exp() * log).sum(-1)
        tokens = np.concatenate([tokens, token.numpy()[..., None]], -1)
    return Written(tokens, likelihood, entropy)


@dataclass(frozen=True)
class Lessons:
    """How policies are trained."""

    group_size: int
    steps: int
    rate: float
    """Of Adam."""
    by_text: bool = False
    """The string is the outcome, not what it means."""


def train(task: Task, n: int, method: Method, lessons: Lessons, *, seed: int) -> Floats:
    """One policy an instance from random weights, reward 1 for a valid hypothesis and 0 for another.

    Returns:
        Estimated chance of each admissible outcome after training, shape [n, n_outcomes]; 0 for those that are not.
    """
    generator = torch.Generator().manual_seed(seed)
    policies = Policies(n, task.n_tokens, generator)
    optimiser = torch.optim.Adam(policies.parameters(), lr=lessons.rate)
    history = History(n, task.n_outcomes)
    for _ in range(lessons.steps):
        group = write(policies, task, n, lessons.group_size, generator)
        judged = task.judge(group.tokens)
        rewards = (judged.outcomes != INVALID).astype(float)
        if method.bonus:
            rewards += history.bonus(judged.outcomes, method.bonus)
        named = judged.texts if lessons.by_text else judged.outcomes
        a = torch.from_numpy(advantages(rewards, named, method, normalise=True)).float()
        gain = (a * group.log_likelihood).mean(1) + method.entropy * group.entropy.mean(1)
        optimiser.zero_grad()
        (-gain.sum()).backward()  # the instances share nothing, so the sum trains each by itself
        optimiser.step()
    return shares(policies, task, n, generator)


def shares(policies: Policies, task: Task, n: int, generator: torch.Generator) -> Floats:
    """Estimated chances of outcomes, shape [n, n_outcomes]; they sum to the share of valid hypotheses."""
    with torch.no_grad():
        outcomes = task.judge(write(policies, task, n, EVALUATED, generator).tokens).outcomes
    rows = np.broadcast_to(np.arange(n)[:, None], outcomes.shape)
    out = np.zeros((n, task.n_outcomes))
    np.add.at(out, (rows[outcomes != INVALID], outcomes[outcomes != INVALID]), 1 / EVALUATED)
    return out
