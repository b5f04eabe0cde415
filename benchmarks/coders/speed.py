"""Processor time of a step at the sizes of a vision model: each library in turn, in one process, several times over."""

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from benchmarks.coders.opening import opened
from benchmarks.coders.peers import Task, Training
from benchmarks.coders.runs import ALIKE, KINDS, OURS, ours_rate, rivals
from benchmarks.coders.world import TOKENS, Stream

CHANNELS = 384
WIDTHS = (128, 512, 2048)
K = 32
BATCH = 512
FEW, MANY = 8, 24
"""Steps of two trainings, whose difference is what steps take, without what begins and ends a training."""


@dataclass(frozen=True)
class Timed:
    """What a step took."""

    kind: str
    trainer: str
    round: int
    seconds: float
    """Of processor time."""


def timed(rounds: int, kinds: Sequence[str] = KINDS) -> list[Timed]:
    """Times every library that has one of these kinds, with the rate and schedule of ours.

    The tokens are drawn, and take as long as any others.
    """
    torch.set_num_threads(1)
    opened()
    draw = torch.Generator().manual_seed(0)
    tokens = torch.randn(MANY * BATCH, CHANNELS, generator=draw)
    order = torch.arange(MANY * BATCH).view(MANY, BATCH)
    assert BATCH % TOKENS == 0
    out = []
    for number in range(rounds):
        for kind, name, train in _all(kinds):
            if not number:
                # What is imported and made ready at first use is no part of training.
                _seconds(train, kind, Stream(tokens, tokens, order[:FEW]), FEW)
            few, many = (_seconds(train, kind, Stream(tokens, tokens, order[:n]), n) for n in (FEW, MANY))
            out.append(Timed(kind, name, number, (many - few) / (MANY - FEW)))
            print(f"{kind} {name}: {1000 * out[-1].seconds:.0f} ms a step", file=sys.stderr, flush=True)
    return out


def _all(kinds: Sequence[str]) -> Iterator[tuple[str, str, Training]]:
    for kind in kinds:
        # Only what has a rival; but a top-k of each prefix stands beside plain TopK.
        if kind == "matryoshka-transcoder":
            continue
        yield from ((kind, name, train) for name, _, train in rivals(kind, (ALIKE,)))


def _seconds(train: Training, kind: str, stream: Stream, steps: int) -> float:
    task = Task(kind, WIDTHS, K, steps, BATCH, 0, ours_rate())
    began = time.process_time()
    train(task, stream)
    return time.process_time() - began


def ratios(times: list[Timed], kind: str, to: str) -> dict[str, list[float]]:
    """Returns the time of each library of a kind in each round, over that of the fastest peer of kind `to`."""
    fastest: dict[int, float] = {}
    for one in times:
        if one.kind == to and one.trainer != OURS:
            fastest[one.round] = min(one.seconds, fastest.get(one.round, one.seconds))
    found: dict[str, list[float]] = {}
    for one in times:
        if one.kind == kind:
            found.setdefault(one.trainer, []).append(one.seconds / fastest[one.round])
    return found
