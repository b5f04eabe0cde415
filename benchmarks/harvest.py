"""Time that a harvest adds to encoding, peak memory at two sizes, what checkpoints write, and the time to write a dump.

Run as `python benchmarks/harvest.py [--latents 2048,16384,65536]`; each measurement has a process of its own, of one
thread. What is measured goes to harvest.json, and stands in README.md beside what `harvest_formulas.py` says; `--table`
makes that table anew of what was measured before.
"""

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from figures import machine, put_between, stated
from harvest_formulas import Sizes
from torch import Tensor

from autointerp.images.content import OwnFile
from autointerp.images.decode import digest_of
from autointerp.images.near_duplicates import Look
from autointerp.populations.images import Population, PopulationImage
from autointerp.transcoder.activation import Encoded
from autointerp.transcoder.coder import SparseCoder
from autointerp.transcoder.harvest.collector import Collector
from autointerp.transcoder.harvest.encode import entries_of, peaks_of
from autointerp.transcoder.harvest.silent_sampling import draw_lot
from autointerp.transcoder.harvest.source import Source
from autointerp.transcoder.harvest.state import State
from autointerp.transcoder.harvest.writing import Harvest, dump_info, write_dump
from autointerp.transcoder.settings import CoderConfig, HarvestSettings

BATCH, GRID, D_IN, K = 16, 16, 384, 32
FIRST, LATER = 512, 10_000
"""Images over which times are taken, and after which they are taken a second time."""
SETTINGS = HarvestSettings()
PAGE = Path(__file__).parent / "README.md"
FIGURES = Path(__file__).parent / "harvest.json"
MARKS = ("<!-- harvest -->", "<!-- end of harvest -->")


class Timed:
    """A coder that counts the seconds of a core it takes."""

    def __init__(self, coder: "SparseCoder | Drawn") -> None:
        self.n_latents = coder.n_latents
        self.widths = coder.widths
        self._coder = coder
        self.seconds = 0.0

    def encode(self, inputs: Tensor, /) -> Encoded:
        """Encodes as the coder does."""
        start = time.process_time()
        found = self._coder.encode(inputs)
        self.seconds += time.process_time() - start
        return found


def topk(n_latents: int) -> SparseCoder:
    """A coder with random weights."""
    config = CoderConfig(d_in=D_IN, d_out=D_IN, widths=(n_latents // 4, n_latents), k=K, sparsity="topk")
    coder = SparseCoder(config)
    coder.start(0)
    return coder


class Drawn:
    """Latents and activations drawn at random: costs next to nothing, so that 10,000 images are soon run."""

    def __init__(self, n_latents: int) -> None:
        self.n_latents = n_latents
        self.widths = (n_latents // 4, n_latents)
        self._generator = torch.Generator().manual_seed(0)

    def encode(self, inputs: Tensor, /) -> Encoded:
        """Draws `K` latents a token."""
        shape = (len(inputs), K)
        values = torch.randn(shape, generator=self._generator).abs()
        return Encoded(values, torch.randint(self.n_latents, shape, generator=self._generator))


def collector(encoder: Timed | Drawn, n_images: int, tokens: Tensor, folder: Path) -> Collector:
    """A collector whose threshold lets `density` of the pairs fire."""
    peaks = peaks_of(entries_of(encoder, "drawn", tokens), len(tokens), encoder.n_latents)
    above = float(np.quantile(peaks, 1 - SETTINGS.density, method="higher"))
    lot = draw_lot(n_images, n_base=SETTINGS.n_silent, n_pool=SETTINGS.n_pool, seed=0)
    source = Source("drawn", encoder, "none", "none", "drawn", "")
    return Collector(source, SETTINGS, lot, above=above, shape=(GRID**2, D_IN), folder=folder, name="0")


def overhead(n_latents: int, n_images: int) -> dict[str, float]:
    """Milliseconds of a core an image of encoding, and of the rest, over the first images and after `LATER` of them."""
    coder, tokens = topk(n_latents), torch.randn(BATCH, GRID**2, D_IN, generator=torch.Generator().manual_seed(1))
    timed, began = Timed(coder), time.process_time()
    for _ in range(2):
        timed.encode(tokens.flatten(0, 1))
    encode = (time.process_time() - began) / (2 * BATCH)
    encoder = Timed(Drawn(n_latents))
    with tempfile.TemporaryDirectory() as folder:
        own = collector(encoder, LATER + n_images, tokens, Path(folder))
        first = _collecting(own, encoder, tokens, range(FIRST))
        filled(own, range(FIRST, LATER))
        later = _collecting(own, encoder, tokens, range(LATER, LATER + n_images))
        own.close()
    return {"encode": 1e3 * encode, "first": 1e3 * first, "later": 1e3 * later}


def _collecting(own: Collector, encoder: Timed, tokens: Tensor, images: range) -> float:
    """Seconds of a core an image beside encoding."""
    encoder.seconds, began = 0.0, time.process_time()
    for start in range(images.start, images.stop, BATCH):
        some = np.arange(start, min(start + BATCH, images.stop))
        own.add(some, tokens[: len(some)], np.zeros(len(some), np.bool_))
    return (time.process_time() - began - encoder.seconds) / len(images)


def filled(own: Collector, images: range) -> None:
    """Offers as many images as fire a latent among these, drawn as `Drawn` draws, with heat maps of zeros."""
    rng, n_latents, n_fired = np.random.default_rng(0), len(own.n_active), round(SETTINGS.density * len(images))
    low = math.erf(own.above / math.sqrt(2))
    for start in range(0, n_latents, 1024):
        some = np.arange(start, min(start + 1024, n_latents))
        at = np.sort(rng.choice(images.stop - images.start, (n_fired,), replace=False)) + images.start
        share = torch.from_numpy(low + (1 - low) * rng.random((len(some), n_fired)))
        peaks = (math.sqrt(2) * torch.erfinv(share)).numpy().astype(np.float32)
        latents, numbers = np.repeat(some, n_fired), np.tile(at, len(some))
        fires = peaks.ravel() > np.float32(own.above)
        latents, numbers, strength = latents[fires], numbers[fires], peaks.ravel()[fires]
        own.levels.add(latents, strength)
        own.active.offer(latents, numbers, strength, lambda rows: np.zeros((len(rows), GRID**2), np.uint8))


def memory(n_latents: int, n_images: int) -> dict[str, float]:
    """Peak resident memory in MB over a pass, what of it was there before, and seconds of a checkpoint's arrays."""
    encoder = Drawn(n_latents)
    with tempfile.TemporaryDirectory() as folder:
        tokens = torch.zeros(BATCH, GRID**2, D_IN)
        own = collector(encoder, n_images, tokens, Path(folder))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        for start in range(0, n_images, BATCH):
            images = np.arange(start, min(start + BATCH, n_images))
            own.add(images, tokens[: len(images)], np.zeros(len(images), np.bool_))
        size = sum(a.nbytes for a in own.state().values()) / 2**20
        own.close()
    return {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "before": before, "state": size}


def checkpoints(n_latents: int, n_images: int) -> dict[str, float]:
    """Bytes of all that was gathered, all that checkpoints wrote, the last of changes alone, and files beside them."""
    encoder = Drawn(n_latents)
    with tempfile.TemporaryDirectory() as scratch:
        folder, tokens = Path(scratch), torch.zeros(BATCH, GRID**2, D_IN)
        own = collector(encoder, n_images, tokens, folder)
        state, sizes, spent = State(folder), dict[str, int](), 0.0
        for start in range(0, n_images, BATCH):
            images = np.arange(start, min(start + BATCH, n_images))
            own.add(images, tokens[: len(images)], np.zeros(len(images), np.bool_))
            done = int(images[-1]) + 1
            if done % SETTINGS.checkpoint_every == 0:
                began = time.process_time()
                state.commit(done, [own])
                spent += time.process_time() - began
                sizes |= {p.parent.name: p.stat().st_size for p in folder.glob("[dm]*-*/0.npz")}
        beside = sum(p.stat().st_size for p in folder.glob("0-*"))
        whole, last = own.sizes()[0], [size for name, size in sizes.items() if name.startswith("more")][-1]
        own.close()
    return {
        "whole": whole,
        "written": sum(sizes.values()),
        "n": len(sizes),
        "last": last,
        "beside": beside,
        "seconds": spent,
    }


def writing(n_latents: int, n_images: int) -> dict[str, float]:
    """Seconds to write the dump of a pass, and peak resident memory in MB."""
    encoder = Drawn(n_latents)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        tokens = torch.randn(BATCH, GRID**2, D_IN, generator=torch.Generator().manual_seed(2))
        own = collector(encoder, n_images, tokens, folder)
        for start in range(0, n_images, BATCH):
            images = np.arange(start, min(start + BATCH, n_images))
            own.add(images, tokens[: len(images)] + start, np.zeros(len(images), np.bool_))
        whole = Harvest(own, population(folder, n_images), SETTINGS, (GRID, GRID))
        info = dump_info(whole, name="d", created="2026-01-01T00:00:00Z", created_by="a benchmark", model="none")
        began = time.perf_counter()
        write_dump(whole, info, folder / "dump", "paths")
        took = time.perf_counter() - began
        own.close()
    return {"seconds": took, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def population(folder: Path, n_images: int) -> Population:
    """Files that are no images, since none is decoded here."""
    rng, images = np.random.default_rng(0), []
    for i in range(n_images):
        path = folder / f"{i}.png"
        path.write_text(str(i))
        look = Look(int(rng.integers(2**63)), rng.bytes(16 * 16 * 3))
        images.append(PopulationImage(i, path.name, OwnFile(path), 224, 224, digest_of(path), None, None, None, look))
    return Population(str(folder), tuple(images), ())


MEASURES = {"overhead": overhead, "memory": memory, "checkpoints": checkpoints, "writing": writing}


def child(measure: str, n_latents: int, n_images: int) -> dict[str, float]:
    """One measurement in a process of its own."""
    command = [sys.executable, __file__, "--measure", measure, str(n_latents), str(n_images)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


Values = dict[str, float]
"""By what was measured, as `LABELS` names it: milliseconds of a core an image, and bytes."""
LABELS = {
    "first": f"time beside encoding, the first {FIRST} images, ms an image",
    "later": f"the same after {LATER:,} images",
    "encode": "time of encoding, ms an image",
    "whole": "state, and a whole checkpoint, MB",
    "last": "the last checkpoint of changes alone, MB",
    "written": "all checkpoints until then, MB",
    "beside": "pool, vectors and places beside them, MB",
}


def after(n_latents: int) -> int:
    """Images over which checkpoints are measured, as many as may be run in a minute or two."""
    return max(5, 80 * 2048 // n_latents) * SETTINGS.checkpoint_every


def few(n_latents: int) -> int:
    """Images over which later times are measured."""
    return max(32, min(320, 2**20 // n_latents))


def measured(n_latents: int, repeats: int) -> Values:
    """All values at one size of the dictionary."""
    runs = [child("overhead", n_latents, few(n_latents)) for _ in range(repeats)]
    print("  encode, first, later:", *(stated([r[name] for r in runs]) for name in ("encode", "first", "later")))
    times = {name: float(np.median([r[name] for r in runs])) for name in ("encode", "first", "later")}
    return times | child("checkpoints", n_latents, after(n_latents))


def predicted(n_latents: int) -> Values:
    """The same by the formulas."""
    sizes, n_images = Sizes(n_latents), after(n_latents)
    checkpoints = list(sizes.checkpoints(n_images))
    return {
        "first": sizes.collecting(0, FIRST),
        "later": sizes.collecting(LATER, LATER + few(n_latents)),
        "encode": sizes.encoding(),
        "whole": sizes.state(),
        "last": [one for one in checkpoints if one < sizes.state()][-1],
        "written": sum(checkpoints),
        "beside": sum(sizes.beside(n_images)),
    }


def table(found: Mapping[int, Values]) -> str:
    """What was measured, and in brackets what the formula says."""
    lines = ["| |" + "".join(f" {n:,} latents |" for n in found), "|---|" + "---|" * len(found)]
    of = {n_latents: predicted(n_latents) for n_latents in found}
    for name, label in LABELS.items():
        unit = 1.0 if label.endswith("image") or name == "later" else 1e6
        cells = (f" {_number(values[name] / unit)} ({_number(of[n][name] / unit)}) |" for n, values in found.items())
        lines.append(f"| {label} |" + "".join(cells))
    return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def forecasts(n_latents: Sequence[int], n_images: int) -> str:
    """What the formulas say of a harvest that is too large to be measured here."""
    lines = [f"| {n_images:,} images, by the formulas |" + "".join(f" {n:,} latents |" for n in n_latents)]
    lines.append("|---|" + "---|" * len(n_latents))
    of = [Sizes(n) for n in n_latents]
    values: dict[str, list[float]] = {
        "memory, GB": [s.memory() / 1e9 for s in of],
        "all checkpoints, GB": [sum(s.checkpoints(n_images)) / 1e9 for s in of],
        "the last of changes alone, MB": [[c for c in s.checkpoints(n_images) if c < s.state()][-1] / 1e6 for s in of],
        "files beside them, GB": [sum(s.beside(n_images)) / 1e9 for s in of],
        "hours of a core beside backbone and encoding": [s.collecting(0, n_images) * n_images / 3.6e6 for s in of],
    }
    lines += [f"| {name} |" + "".join(f" {_number(v)} |" for v in row) for name, row in values.items()]
    return "\n".join(lines)


def main() -> None:
    """Measures, writes the figures to harvest.json, and puts the table into README.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latents", default="2048,16384,65536", help="sizes of the dictionary, with commas between")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory", action="store_true", help="also peak memory at 1,000 and 10,000 images, and a dump")
    parser.add_argument("--table", action="store_true", help="measures nothing: makes the table of harvest.json anew")
    parser.add_argument("--measure", nargs=3, help="measure one thing and print JSON; used for the child processes")
    options = parser.parse_args()
    if options.measure:
        torch.set_num_threads(1)
        name, n_latents, n_images = options.measure
        print(json.dumps(MEASURES[name](int(n_latents), int(n_images))))
        return
    if not options.table:
        print(machine())
        found: dict[int, Values] = {}
        for n_latents in map(int, options.latents.split(",")):
            print(f"{n_latents} latents", flush=True)
            found[n_latents] = measured(n_latents, options.repeats if n_latents < 2**16 else 1)
            print(f"  {found[n_latents]}", flush=True)
        FIGURES.write_text(json.dumps({"machine": machine(), "measured": found}, indent=2) + "\n")
    told = json.loads(FIGURES.read_text())
    kept = {int(n): values for n, values in told["measured"].items()}
    put_between(PAGE, f"{table(kept)}\n\n{forecasts(list(kept), 1_000_000)}\n\n{told['machine']}", MARKS)
    if options.memory:
        memories([int(n) for n in options.latents.split(",")][:2])


def memories(sizes: Sequence[int]) -> None:
    """Prints peak memory at two numbers of images, and what a dump takes to write."""
    for n_latents in sizes:
        small, large = (child("memory", n_latents, n) for n in (1_000, 10_000))
        print(
            f"{n_latents} latents: peak {small['peak']:.0f} MB at 1,000 images, {large['peak']:.0f} MB at 10,000: "
            f"ratio {large['peak'] / small['peak']:.2f}; {large['before']:.0f} MB before the pass, "
            f"checkpoint {large['state']:.0f} MB"
        )
    written = child("writing", 2048, 2_000)
    print(f"2048 latents, 2,000 images: dump written in {written['seconds']:.1f} s, peak {written['peak']:.0f} MB")


if __name__ == "__main__":
    main()
