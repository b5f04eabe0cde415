"""How fast harvest and training are against the backbone alone, on a GPU or, small, on a CPU; under 10 minutes.

Run as `python benchmarks/gpu.py` on a machine with a CUDA device, or as `python benchmarks/gpu.py --device cpu`. All
that it needs is made here: JPEGs of 500 x 375 pixels, and a vision transformer with fresh weights (`--backbone` names
another). `--write FILE` puts the figures into a JSON file.

- forward: images a second of the backbone up to the hookpoint, on one batch that lies on the device.
- harvest: images a second from files on disk to what a dump is made of, over the second half of the images.
- training: tokens a second from files on disk to the weights of a coder, and from tokens in memory.
- deviation: of activations from those in exact float32, and of which latents they turn on.

Shares of the forward rate are of the clock on the wall on a GPU, and of processor time on a CPU, where decoding and
collecting take from the backbone what they need, and other processes sway the clock.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from figures import machine, stated, verdict
from PIL import Image
from torch import Tensor

from autointerp.images.content import OwnFile
from autointerp.images.decode import digest_of
from autointerp.images.near_duplicates import Look
from autointerp.populations.images import Population, PopulationImage
from autointerp.transcoder.backbones.module import ModuleBackbone
from autointerp.transcoder.backbones.names import typed_backbone
from autointerp.transcoder.backbones.registry import load_backbone
from autointerp.transcoder.batches import prepared
from autointerp.transcoder.coder import SparseCoder
from autointerp.transcoder.harvest.encode import entries_of, peaks_of, threshold
from autointerp.transcoder.harvest.run import Job, collectors_for, lot_of, plan_of, run_images, thresholds
from autointerp.transcoder.harvest.source import Source
from autointerp.transcoder.harvest.state import State
from autointerp.transcoder.precision import cast_to, is_cuda, products_in
from autointerp.transcoder.settings import CoderConfig, HarvestSettings, TrainSettings, UsedPrecision
from autointerp.transcoder.stream import ImageSource
from autointerp.transcoder.tokens import TokenBatch
from autointerp.transcoder.trainer import train

SIZE = (500, 375)
TARGET = 0.9
PERIOD = {"cuda": 5.0, "cpu": 4.0}
"""Seconds for which a forward rate is measured."""


@dataclass(frozen=True)
class World:
    """Holds what all measurements share."""

    backbone: ModuleBackbone
    population: Population
    coder: SparseCoder
    reads: str
    device: str
    batch: int
    above: float
    """Where firing begins, by one batch."""
    folder: Path

    @property
    def patches(self) -> int:
        """Returns how many patches an image has."""
        rows, columns = self.backbone.patch_grid
        return rows * columns

    def wait(self) -> None:
        """Waits until the device has done what it was given."""
        if is_cuda(self.device):
            torch.cuda.synchronize(self.device)


def pictures(folder: Path, n: int) -> Population:
    """JPEGs of coloured noise at several scales; their looks are not needed here."""
    folder.mkdir()

    def made(i: int) -> PopulationImage:
        rng, path = np.random.default_rng(i), folder / f"{i:06d}.jpg"
        layers = [Image.fromarray(rng.integers(0, 256, (s, s, 3), np.uint8)).resize(SIZE) for s in (4, 16, 64)]
        Image.blend(Image.blend(layers[0], layers[1], 0.4), layers[2], 0.3).save(path, quality=90)
        return PopulationImage(i, path.name, OwnFile(path), *SIZE, digest_of(path), None, None, None, Look(0, b""))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return Population(str(folder), tuple(pool.map(made, range(n))), ())


def one_batch(world: World) -> Tensor:
    """Prepared images on the device."""
    part = world.population.images[: world.batch]
    ((_, pixels),) = prepared(world.backbone, [part], device=world.device)
    return pixels.to(world.device)


def fires_above(world: World) -> float:
    """The threshold at which half of the latents fire on a fiftieth of the images or more, by one batch."""
    tokens = world.backbone.run(one_batch(world), [world.reads])[world.reads]
    peaks = peaks_of(entries_of(world.coder, "coder", tokens), len(tokens), world.coder.n_latents)
    return threshold(peaks, HarvestSettings().density)


@dataclass(frozen=True)
class Rate:
    """How fast something was: items a second, and seconds of a core an item."""

    per_second: float
    core_seconds: float

    @property
    def cores(self) -> float:
        """How many cores were busy on the mean."""
        return self.per_second * self.core_seconds

    def share(self, alone: "Rate", device: str) -> float:
        """Of the rate of the backbone alone."""
        if is_cuda(device):
            return self.per_second / alone.per_second
        return alone.core_seconds / self.core_seconds


Moment = tuple[float, float]
"""On the wall, and of processor time, in seconds."""


def now() -> Moment:
    """Returns the present moment."""
    return time.perf_counter(), time.process_time()


def between(first: Moment, last: Moment, n: int) -> Rate:
    """The rate of `n` items."""
    wall, cpu = (b - a for a, b in zip(first, last, strict=True))
    return Rate(n / wall, cpu / n)


def forward(world: World, precision: UsedPrecision) -> Rate:
    """Measures images of the backbone alone."""
    pixels, n, period = one_batch(world), 0, PERIOD["cuda" if is_cuda(world.device) else "cpu"]
    with products_in(precision), cast_to(precision, world.device):
        for _ in range(2):
            world.backbone.run(pixels, [world.reads])
        world.wait()
        began = now()
        while now()[0] - began[0] < period:
            world.backbone.run(pixels, [world.reads])
            world.wait()
            n += len(pixels)
        return between(began, now(), n)


def harvested(world: World, precision: UsedPrecision, *, ahead: int | None = None) -> Rate:
    """Images of a harvest over the second half of them; `ahead` is 0 for decoding in between."""
    settings = HarvestSettings(checkpoint_every=max(512, 4 * world.batch), active_above=world.above)
    source = Source("coder", world.coder, world.reads, world.reads, "topk", "0")
    with tempfile.TemporaryDirectory(dir=world.folder) as scratch, ExitStack() as files:
        where = Path(scratch)
        job = Job(
            backbone=world.backbone,
            population=world.population,
            targets=((source, where / "dump"),),
            settings=settings,
            state=State(where),
            batch=world.batch,
            store="paths",
            precision=precision,
            device=world.device,
        )
        job = job if ahead is None else replace(job, ahead=ahead)
        lot, times = lot_of(job.population, settings), dict[int, Moment]()
        plan, n = plan_of(job, thresholds(job, lot), None), len(job.population.images)

        def progress(done: int, total: int) -> None:
            times[done] = now()

        run_images(job, collectors_for(job, plan, lot, files), range(n), progress, lambda: False)
        # The last batches are told of before they are collected.
        times[n] = now()
    first = min(done for done in times if done >= n // 2)
    return between(times[first], times[n], n - first)


class Cycled:
    """Tokens in memory, over and over."""

    def __init__(self, tokens: Tensor) -> None:
        self._tokens = tokens

    def batches(self, size: int, start: int) -> Iterator[TokenBatch]:
        """Yields views of them."""
        n = len(self._tokens) // size
        while True:
            part = self._tokens[start % n * size :][:size]
            yield TokenBatch(part, part)
            start += 1

    def held_out(self, size: int, most: int) -> Iterator[TokenBatch]:
        """Yields nothing."""
        yield from ()


def tokens_at_once(world: World) -> int:
    """Of a batch of training; a GPU is busy only with larger ones."""
    return 8192 if is_cuda(world.device) else TrainSettings().batch


def trained(world: World, precision: UsedPrecision, source: "ImageSource | Cycled", steps: int) -> Rate:
    """Tokens of training over all but the first eighth of the steps."""
    times: list[Moment] = []
    settings = TrainSettings(
        steps=steps,
        batch=tokens_at_once(world),
        precision=precision,
        device=world.device,
        report_every=max(1, steps // 8),
        fit_tokens=4096,
    )
    config = world.coder.config.model_copy(update={"aux_weight": 0.0})

    def tell(report: object) -> None:
        world.wait()
        times.append(now())

    train(config, source, settings, progress=tell)
    return between(times[0], times[-1], settings.batch * (steps - settings.report_every))


def deviation(world: World, precision: UsedPrecision) -> dict[str, float]:
    """Of one batch: relative error of activations (root of mean squares), and Jaccard index of active latents."""
    pixels, found = one_batch(world), list[Tensor]()
    for one in ("float32", precision):
        with products_in(one), cast_to(one, world.device):
            taken = world.backbone.run(pixels, [world.reads])[world.reads].float()
        found.append(taken.flatten(0, 1))
    with products_in("float32"):
        on = [world.coder.encode(tokens).dense(world.coder.n_latents) > 0 for tokens in found]
    exact, other = found
    error = float(((exact - other).square().mean() / exact.square().mean()).sqrt())
    return {"error": error, "jaccard": float((on[0] & on[1]).sum() / (on[0] | on[1]).sum())}


def measured(world: World, precisions: Sequence[UsedPrecision], say: Callable[[str], None]) -> list[dict[str, object]]:
    """Measures everything, by precision."""
    rows: list[dict[str, object]] = []
    n_tokens = len(world.population.images) * world.patches
    for precision in precisions:
        alone = forward(world, precision)
        row = {"precision": precision, "forward": _told(alone, None)} | deviation(world, precision)
        say(
            f"{precision}: forward {alone.per_second:,.1f} images/s, {1e3 * alone.core_seconds:.1f} ms of a core; "
            f"activations off by {row['error']:.1e}, active latents' Jaccard {row['jaccard']:.3f}"
        )
        by_token = Rate(alone.per_second * world.patches, alone.core_seconds / world.patches)
        source = ImageSource(
            world.backbone,
            world.population,
            hookpoints=(world.reads, world.reads),
            seed=0,
            held_out=0,
            window=world.batch,
            batch=world.batch,
            device=world.device,
        )
        tokens, steps = one_batch_of_tokens(world), max(8, n_tokens // tokens_at_once(world))
        parts: dict[str, tuple[Callable[[], Rate], Rate]] = {
            "harvest": (partial(harvested, world, precision), alone),
            "harvest without decoding ahead": (partial(harvested, world, precision, ahead=0), alone),
            "training from images, tokens": (partial(trained, world, precision, source, steps), by_token),
            "training from memory, tokens": (partial(trained, world, precision, Cycled(tokens), steps), by_token),
        }
        for name, (measure, beside) in parts.items():
            rate = measure()
            row[name] = _told(rate, rate.share(beside, world.device))
            say(
                f"  {name}: {rate.per_second:,.1f} a second, {1e3 * rate.core_seconds:.3g} ms of a core; "
                f"{rate.share(beside, world.device):.0%} of forward, {rate.cores:.1f} cores busy"
            )
        rows.append(row)
    return rows


def _told(rate: Rate, share: float | None) -> dict[str, float | None]:
    return {"per_second": rate.per_second, "core_seconds": rate.core_seconds, "of_forward": share}


def in_pairs(world: World, n: int) -> str:
    """How many times as fast a harvest is that decodes ahead, on the wall, and the cores that are busy."""
    found = [(harvested(world, "float32"), harvested(world, "float32", ahead=0)) for _ in range(n)]
    ratios = stated([a.per_second / b.per_second for a, b in found], 2)
    cores = (stated([pair[i].cores for pair in found], 2) for i in (0, 1))
    return f"decoding ahead: {ratios} times as many images a second; cores busy {' and '.join(cores)} without"


PARTS = {
    "forward": "the backbone alone, images",
    "harvest": "harvest, images",
    "harvest without decoding ahead": "the same without decoding ahead",
    "training from images, tokens": "training from images, tokens",
    "training from memory, tokens": "training from memory, tokens",
}


def table(rows: Sequence[dict[str, object]]) -> str:
    """Of each part: how many a second, milliseconds of a core each, and the share of the backbone's own rate."""
    lines = ["| |" + "".join(f" {row['precision']} |" for row in rows), "|---|" + "---|" * len(rows)]
    for name, label in PARTS.items():
        cells = (
            f" {of['per_second']:,.1f}/s, {1e3 * of['core_seconds']:.3g} ms"
            + ("" if of["of_forward"] is None else f", {of['of_forward']:.0%}")
            for of in (row[name] for row in rows)
        )
        lines.append(f"| {label} |" + "".join(f"{cell} |" for cell in cells))
    deviations = (f" {row['error']:.1e}, {row['jaccard']:.3f} |" for row in rows)
    lines.append("| activations off by (root of mean squares), Jaccard index of active latents |" + "".join(deviations))
    return "\n".join(lines)


def one_batch_of_tokens(world: World) -> Tensor:
    """On the CPU, repeated to be enough for a few batches."""
    tokens = world.backbone.run(one_batch(world), [world.reads])[world.reads].flatten(0, 1).float().cpu()
    return tokens.repeat(-(-4 * tokens_at_once(world) // len(tokens)), 1)


def opened(asked: argparse.Namespace, folder: Path) -> World:
    """Makes images, backbone and coder as they are asked for."""
    on_cuda = is_cuda(asked.device)
    if not on_cuda:
        # Threads that wait for one another would count as busy.
        torch.set_num_threads(1)
    backbone = load_backbone(typed_backbone(asked.backbone), device=asked.device)
    width, n_latents = backbone.hookpoints[asked.reads].width, asked.latents or (16_384 if on_cuda else 2048)
    widths = (n_latents // 4, n_latents)
    coder = SparseCoder(CoderConfig(d_in=width, d_out=width, widths=widths, k=32, sparsity="topk", kind="sae"))
    coder.start(0)
    world = World(
        backbone=backbone,
        population=pictures(folder / "images", asked.images or (6144 if on_cuda else 32)),
        coder=coder.to(asked.device),
        reads=asked.reads,
        device=asked.device,
        batch=asked.batch or (128 if on_cuda else 8),
        above=0.0,
        folder=folder,
    )
    return replace(world, above=fires_above(world))


def main() -> None:
    """Prints the figures, and whether the target is met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, cpu")
    parser.add_argument("--backbone", default="dinov2-small:random")
    parser.add_argument("--reads", default="blocks.8.resid")
    parser.add_argument("--images", type=int, help="by default 6144, on a CPU 32")
    parser.add_argument("--latents", type=int, help="by default 16384, on a CPU 2048")
    parser.add_argument("--batch", type=int, help="images run at once; by default 128, on a CPU 8")
    parser.add_argument("--precisions", help="by default float32,tf32,bfloat16, on a CPU float32,bfloat16")
    parser.add_argument("--pairs", type=int, help="instead, so many harvests with and without decoding ahead in turn")
    parser.add_argument("--write", type=Path, help="a JSON file for the figures")
    asked = parser.parse_args()
    on_cuda, began = is_cuda(asked.device), time.perf_counter()
    if on_cuda and not torch.cuda.is_available():
        parser.error("there is no CUDA device that PyTorch can use; give --device cpu for a small run")
    with tempfile.TemporaryDirectory() as scratch:
        world = opened(asked, Path(scratch))
        told: dict[str, object] = {
            "device": torch.cuda.get_device_name(asked.device) if on_cuda else "CPU",
            "machine": machine(),
            "torch": torch.__version__,
            "backbone": f"{asked.backbone}, {asked.reads}",
            "images": f"{len(world.population.images)}, {world.batch} at once",
            "latents": world.coder.n_latents,
        }
        print("; ".join(f"{name} {value}" for name, value in told.items()), flush=True)
        if asked.pairs:
            print(in_pairs(world, asked.pairs))
            return
        kinds = asked.precisions or ("float32,tf32,bfloat16" if on_cuda else "float32,bfloat16")
        rows = measured(world, kinds.split(","), lambda text: print(text, flush=True))
    print(f"\n{table(rows)}\n")
    if on_cuda:
        best = max(row["harvest"]["of_forward"] for row in rows)
        print(verdict("harvest over forward, at best", [best], TARGET, at_least=True))
    print(f"{time.perf_counter() - began:.0f} s in all")
    if asked.write:
        asked.write.write_text(json.dumps(told | {"rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
