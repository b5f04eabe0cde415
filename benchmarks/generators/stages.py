"""From drawn scenes to a pack and a stock of encoded scenes; what is there already is not made again."""

import csv
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from autointerp.commands.benchmark_make import PackChoice, benchmark_make
from autointerp.commands.harvest import harvest
from autointerp.commands.train_activations import train_activations
from autointerp.commands.train_classifier import train_classifier
from autointerp.commands.train_transcoder import train_transcoder
from autointerp.generators.pack import OpenedPack, open_pack
from autointerp.transcoder.settings import (
    ClassifierSettings,
    CoderForm,
    HarvestSettings,
    StoreSettings,
    TrainSettings,
)
from benchmarks.generators.encoded import Stock, encoded
from benchmarks.generators.planted import planted_run
from benchmarks.generators.scenes import STYLES, Picture, discovery, stock
from benchmarks.paper.cutouts import cutouts
from benchmarks.paper.scenes import KINDS

READS, WRITES = "blocks.8.mlp.in", "blocks.8.mlp.out"
RAW = "raw:blocks.8.mlp.hidden"
DENSITY = 0.03


@dataclass
class Clock:
    """Seconds of each stage, by the clock and of the processor, for the page."""

    seconds: dict[str, float] = field(default_factory=dict)
    cpu: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Says what begins, and remembers how long it took."""
        began, spent = time.monotonic(), time.process_time()
        sys.stderr.write(f"{name} …\n")
        yield
        self.seconds[name] = self.seconds.get(name, 0) + time.monotonic() - began
        self.cpu[name] = self.cpu.get(name, 0) + time.process_time() - spent
        sys.stderr.write(f"{name}: {self.seconds[name]:.0f} s, {self.cpu[name]:.0f} s of CPU\n")


@dataclass(frozen=True)
class Size:
    """How much is drawn and trained."""

    discovery: int
    """Scenes on which features are found."""
    things: int
    """Things that the generators draw, none of which is in those scenes."""
    styles: tuple[str, ...]
    kinds: tuple[str, ...]
    steps: int
    """Of the coder's training; 0 takes the layer's own units instead of a coder."""
    worlds: int


WHOLE = Size(1200, 60, tuple(STYLES), KINDS, 800, 200)
QUICK = Size(360, 10, ("plain", "warm", "grainy"), ("floating", "no shadow"), 0, 10)


def prepared(work: Path, size: Size, stamps: Path | None, clock: Clock, seed: int) -> tuple[OpenedPack, Stock]:
    """Makes the pack and runs the stock."""
    work.mkdir(parents=True, exist_ok=True)
    things = cutouts(work, stamps)
    Random(f"things:{seed}").shuffle(things)
    drawn, found = things[: size.things], things[size.things :]
    with clock.stage("scenes"):
        first = _pictures(work / "discovery", lambda f: discovery(f, found, size.kinds, size.discovery, seed))
        second = _pictures(work / "stock", lambda f: stock(f, drawn, size.kinds, size.styles, 1, seed))
    pack = _pack(work, size, first, clock, seed)
    classifier = None
    if size.steps:
        classifier = work / "classifier"
        if not (classifier / "classifier.json").exists():
            with clock.stage("train classifier"):
                how = ClassifierSettings(head="linear", seed=seed)
                train_classifier(work / "discovery", classifier, labels=work / "discovery.csv", settings=how)
    with clock.stage("the stock through the network"):
        return pack, encoded(pack, classifier, work / "stock", second, work / "stock.npz")


def _pack(work: Path, size: Size, pictures: Sequence[Picture], clock: Clock, seed: int) -> OpenedPack:
    images, labels, dump, run, out = (work / n for n in ("discovery", "discovery.csv", "dump", "run", "pack"))
    coder = _coder(work, size, clock, seed)
    if not dump.exists():
        with clock.stage("harvest"):
            harvest(
                images, dump, [coder], labels=labels, settings=HarvestSettings(density=DENSITY, seed=seed), **_of(coder)
            )
    if not (run / "run.json").exists():
        with clock.stage("explain and score"):
            planted_run(dump, run, pictures)
    if not out.exists():
        with clock.stage("benchmark make"):
            benchmark_make(
                run,
                out,
                coder=coder,
                choice=PackChoice(seed=seed),
                allow_outside=True,
                cache=work / "cache",
                **_of(coder),
            )
    return open_pack(out)


def _of(coder: str) -> dict[str, str]:
    """The network's own units do not say whose they are."""
    return {"backbone": "dinov2-small"} if coder == RAW else {}


def _coder(work: Path, size: Size, clock: Clock, seed: int) -> str:
    if not size.steps:
        return RAW
    store, coder = work / "store", work / "coder"
    if not (store / "manifest.json").exists():
        with clock.stage("train activations"):
            how = StoreSettings(reads=READS, writes=WRITES, tokens_per_image=128, seed=seed)
            train_activations(work / "discovery", store, labels=work / "discovery.csv", settings=how)
    if not (coder / "coder.json").exists():
        with clock.stage("train transcoder"):
            form = CoderForm(widths=(128, 512, 2048), k=32)
            train_transcoder(store, coder, form=form, settings=TrainSettings(steps=size.steps, seed=seed), resume=True)
    return str(coder)


def _pictures(folder: Path, draw: Callable[[Path], Iterator[Picture]]) -> list[Picture]:
    """Draws pictures with a table of what they show, or reads the table."""
    table = folder.with_suffix(".csv")
    if not table.exists():
        folder.mkdir(exist_ok=True)
        rows = [(*p, int(bool(p.kind)), p.thing) for p in draw(folder)]
        half = table.with_suffix(".part")
        with half.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(
                [("path", "kind", "thing", "style", "label", "group"), *rows]
            )
        half.replace(table)
    with table.open(newline="") as file:
        return [Picture(r["path"], r["kind"], r["thing"], r["style"]) for r in csv.DictReader(file)]
