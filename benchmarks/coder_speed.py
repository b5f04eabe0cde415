"""Training time of a Matryoshka transcoder against a plain TopK transcoder of the same width, in alternating pairs.

Run as `python benchmarks/coder_speed.py [--store STORE]`; without a store, tokens are drawn from a planted dictionary.
The times are of this process's processors, as other work on the machine sways the clock on the wall. The loss for dead
latents is left out unless --aux is given: it costs what there are dead latents, of which the plain coder has more.
"""

import argparse
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import torch
from figures import machine, stated, verdict

from autointerp.transcoder.fitting import fit
from autointerp.transcoder.settings import CoderConfig, CoderForm, TrainSettings
from autointerp.transcoder.store import ActivationStore
from autointerp.transcoder.stream import StoreSource
from autointerp.transcoder.tokens import TokenBatch, TokenSource
from autointerp.transcoder.trainer import TrainingState, learn, started

CHANNELS = 384
PLANTED = 3072
ON = 24
WIDTHS = (128, 512, 2048)
TARGET = 1.15


class Planted:
    """Tokens with some 24 of 3072 directions on, seldom ones included, and a linear target; drawn once, then cycled."""

    def __init__(self, n_tokens: int) -> None:
        draw = torch.Generator().manual_seed(0)
        rows = torch.randn(PLANTED, CHANNELS, generator=draw) / CHANNELS**0.5
        chance = 1 / torch.arange(1, PLANTED + 1)
        chance = (chance * ON / chance.sum()).clamp(max=0.5)
        parts = []
        for _ in range(n_tokens // 1024):
            on = torch.rand(1024, PLANTED, generator=draw) < chance
            parts.append((on * torch.rand(1024, PLANTED, generator=draw)) @ rows)
        self._inputs = torch.cat(parts)
        self._targets = self._inputs @ torch.randn(CHANNELS, CHANNELS, generator=draw) / CHANNELS**0.5

    def batches(self, size: int, start: int) -> Iterator[TokenBatch]:
        """Cycles over the tokens; one generator a call."""
        draw = torch.Generator().manual_seed(start)
        while True:
            rows = torch.randint(len(self._inputs), (size,), generator=draw)
            yield TokenBatch(self._inputs[rows], self._targets[rows])


def begun(form: CoderForm, source: TokenSource, sizes: tuple[int, int], settings: TrainSettings) -> TrainingState:
    """A coder that has been trained for `steps`, past the time in which many latents are dead or not yet."""
    state = started(CoderConfig(d_in=sizes[0], d_out=sizes[1], **dict(form)), settings)
    fit(state.coder, source, settings)
    state.coder.train()
    for batch in islice(source.batches(settings.batch, 0), settings.steps // 2):
        learn(state, batch, settings)
    return state


def seconds(state: TrainingState, batches: list[TokenBatch], settings: TrainSettings) -> float:
    """Of processor time, over all threads, to learn from these batches."""
    began = time.process_time()
    for batch in batches:
        learn(state, batch, settings)
    return time.process_time() - began


def main() -> None:
    """Prints the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--steps", type=int, default=3, help="in each half of a pair")
    parser.add_argument("--before", type=int, default=100, help="steps before the first pair")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--aux", action="store_true", help="with the loss for dead latents")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    settings = TrainSettings(steps=2 * asked.before, fit_tokens=8192)
    source: TokenSource = Planted(32_768)
    sizes = (CHANNELS, CHANNELS)
    if asked.store:
        source = StoreSource(ActivationStore(asked.store), seed=0, held_out=0.05)
        sizes = (source.d_in, source.d_out)
    aux = CoderForm().aux_weight if asked.aux else 0.0
    plain = CoderForm(aux_weight=aux, widths=WIDTHS[-1:], sparsity="topk")
    rivals = {
        "batchtopk": CoderForm(aux_weight=aux, widths=WIDTHS),
        "batchtopk, five widths": CoderForm(aux_weight=aux, widths=(128, 256, 512, 1024, 2048)),
        "topk": CoderForm(aux_weight=aux, widths=WIDTHS, sparsity="topk"),
        "prefix-topk": CoderForm(aux_weight=aux, widths=WIDTHS, sparsity="prefix-topk"),
    }
    print(machine())
    print(
        f"{sizes[0]} -> {WIDTHS[-1]} latents -> {sizes[1]}, k 32, batches of {settings.batch}, {asked.threads} threads"
    )
    for name, form in rivals.items():
        state, rival = (begun(one, source, sizes, settings) for one in (plain, form))
        times: list[tuple[float, float]] = []
        for pair in range(asked.pairs):
            batches = list(islice(source.batches(settings.batch, 1000 + pair), asked.steps))
            # Whoever comes second in one pair comes first in the next.
            if pair % 2:
                ours = seconds(rival, batches, settings)
                theirs = seconds(state, batches, settings)
            else:
                theirs = seconds(state, batches, settings)
                ours = seconds(rival, batches, settings)
            times.append((ours, theirs))
        print(verdict(f"Matryoshka {name} / plain topk", [a / b for a, b in times], TARGET, at_least=False))
        milliseconds = [[1000 * t[i] / asked.steps for t in times] for i in (0, 1)]
        print(
            f"  ms a step: {stated(milliseconds[0])} against {stated(milliseconds[1])}; "
            f"dead {len(rival.dead())} against {len(state.dead())}"
        )


if __name__ == "__main__":
    main()
