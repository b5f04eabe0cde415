"""Trains and measures every library on one population."""

import sys
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from benchmarks.coders.measures import Measured, measured
from benchmarks.coders.opening import opened
from benchmarks.coders.ours import free, ours
from benchmarks.coders.peers import PEERS, Task, Training
from benchmarks.coders.world import Stream, World

OURS = "ours"
KINDS = ("topk", "batchtopk", "matryoshka", "prefix-topk", "transcoder", "matryoshka-transcoder")
WIDTHS = (32, 96, 256)
K = 5
BATCH = 256
DEFAULTS, ALIKE, FREE = "defaults", "alike", "`--decoder-rows free`"
"""A library by its own settings, or with the rate and the schedule that ours has; ours also with free rows."""


@dataclass(frozen=True)
class Plan:
    """One population, and for how long coders learn from it."""

    seed: int
    images: int
    steps: int
    settings: tuple[str, ...]
    kinds: tuple[str, ...] = KINDS
    ours_alone: bool = False


@dataclass(frozen=True)
class Run:
    """A coder that was trained and measured."""

    kind: str
    trainer: str
    setting: str
    seed: int
    measured: Measured

    def figures(self) -> dict[str, object]:
        """Returns what is written into table.json."""
        return asdict(self) | {"measured": self.measured._asdict()}

    @classmethod
    def read(cls, figures: dict[str, object]) -> "Run":
        """Returns the run that was written."""
        found = dict(figures["measured"])  # type: ignore
        found["fvu"] = tuple(found["fvu"])
        return cls(**(figures | {"measured": Measured(**found)}))  # type: ignore


def run(plan: Plan) -> list[Run]:
    """Trains one coder after the other in this process."""
    torch.set_num_threads(1)
    opened()
    world = World(plan.seed, plan.images, plan.images // 4)
    order = world.stream(plan.steps, BATCH)
    settings = () if plan.ours_alone else plan.settings
    return [_trained(plan, world, order, kind, rival) for kind in plan.kinds for rival in rivals(kind, settings)]


def rivals(kind: str, settings: tuple[str, ...]) -> list[tuple[str, str, Training]]:
    """Every library that has such a coder. Of a top-k of each prefix, and of nested transcoders, only ours has one."""
    own: list[tuple[str, str, Training]] = [(OURS, DEFAULTS, ours)]
    if not kind.endswith("transcoder"):
        # Those of transcoders are free by default.
        own.append((OURS, FREE, free))
    return [*own, *((name, one, train) for name, train in PEERS.get(kind, {}).items() for one in settings)]


def ours_rate() -> float:
    """The rate that this package takes for such a dictionary."""
    from autointerp.transcoder.settings import CoderForm, TrainSettings

    return TrainSettings().rate_of(CoderForm(widths=WIDTHS, k=K))


def _trained(plan: Plan, world: World, order: Tensor, kind: str, rival: tuple[str, str, Training]) -> Run:
    name, setting, train = rival
    transcodes = kind.endswith("transcoder")
    part = world.train
    stream = Stream(part.inputs, part.targets if transcodes else part.inputs, order)
    rate = ours_rate() if setting == ALIKE else None
    coder = train(Task(kind, WIDTHS, K, plan.steps, BATCH, plan.seed, rate), stream)
    found = measured(coder, world, transcodes=transcodes, widths=WIDTHS, k=K)
    print(f"{kind} {name} {setting} population {plan.seed}: FVU {found.fvu[-1]:.3f}", file=sys.stderr, flush=True)
    return Run(kind, name, setting, plan.seed, found)
