"""Time that a harvest adds to encoding, peak memory at two sizes, what checkpoints write, and the time to write a dump.

Run as `python benchmarks/harvest.py [--large 16384]`; each measurement has a process of its own, of one thread.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from figures import machine, stated
from torch import Tensor

from autointerp.images.decode import digest_of
from autointerp.images.near_duplicates import Look
from autointerp.transcoder.activation import Encoded
from autointerp.transcoder.coder import SparseCoder
from autointerp.transcoder.harvest.collector import Collector
from autointerp.transcoder.harvest.encode import entries_of, peaks_of
from autointerp.transcoder.harvest.silent_sampling import draw_lot
from autointerp.transcoder.harvest.source import Source
from autointerp.transcoder.harvest.state import State
from autointerp.transcoder.harvest.writing import Harvest, dump_info, write_dump
from autointerp.transcoder.population import Population, PopulationImage
from autointerp.transcoder.settings import CoderConfig, HarvestSettings

BATCH, GRID, D_IN, K = 16, 16, 384, 32
SETTINGS = HarvestSettings()


class Timed:
    """A TopK coder with random weights that counts the seconds of a core it takes."""

    def __init__(self, n_latents: int) -> None:
        self.n_latents = n_latents
        self.widths = (n_latents // 4, n_latents)
        config = CoderConfig(d_in=D_IN, d_out=D_IN, widths=self.widths, k=K, sparsity="topk")
        self._coder = SparseCoder(config)
        self._coder.start(0)
        self.seconds = 0.0

    def encode(self, inputs: Tensor, /) -> Encoded:
        """As the coder does."""
        start = time.process_time()
        found = self._coder.encode(inputs)
        self.seconds += time.process_time() - start
        return found


class Drawn:
    """Latents and activations drawn at random: costs next to nothing, so that 10,000 images are soon run."""

    def __init__(self, n_latents: int) -> None:
        self.n_latents = n_latents
        self.widths = (n_latents // 4, n_latents)
        self._generator = torch.Generator().manual_seed(0)

    def encode(self, inputs: Tensor, /) -> Encoded:
        """`K` latents a token."""
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
    """Milliseconds of a core an image of encoding, and of the rest, over the second half of the images."""
    encoder, generator = Timed(n_latents), torch.Generator().manual_seed(1)
    with tempfile.TemporaryDirectory() as folder:
        tokens = torch.randn(BATCH, GRID**2, D_IN, generator=generator)
        own = collector(encoder, n_images, tokens, Path(folder))
        spent = 0.0
        for start in range(0, n_images, BATCH):
            if start == n_images // 2 // BATCH * BATCH:
                encoder.seconds = spent = 0.0
            tokens = torch.randn(BATCH, GRID**2, D_IN, generator=generator)
            images = np.arange(start, min(start + BATCH, n_images))
            began = time.process_time()
            own.add(images, tokens[: len(images)], np.zeros(len(images), np.bool_))
            spent += time.process_time() - began
        own.close()
    half = n_images - n_images // 2 // BATCH * BATCH
    return {"encode": 1e3 * encoder.seconds / half, "collect": 1e3 * (spent - encoder.seconds) / half}


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
    """Bytes of all that was gathered, all that checkpoints wrote, what the last change took, and files beside them."""
    encoder = Drawn(n_latents)
    with tempfile.TemporaryDirectory() as scratch:
        folder, tokens = Path(scratch), torch.zeros(BATCH, GRID**2, D_IN)
        own = collector(encoder, n_images, tokens, folder)
        state, sizes, spent = State(folder), dict[str, int](), 0.0
        for start in range(0, n_images, BATCH):
            images = np.arange(start, min(start + BATCH, n_images))
            own.add(images, tokens[: len(images)], np.zeros(len(images), np.bool_))
            done = int(images[-1]) + 1
            if done % SETTINGS.shard == 0:
                began = time.process_time()
                state.commit(done, [own])
                spent += time.process_time() - began
                sizes |= {p.parent.name: p.stat().st_size for p in folder.glob("[dm]*-*/0.npz")}
        beside = sum(p.stat().st_size for p in folder.glob("0-*"))
        whole, last = own.sizes()[0], list(sizes.values())[-1]
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
        images.append(PopulationImage(i, path, 224, 224, digest_of(path), None, None, None, look))
    return Population(folder, tuple(images), ())


MEASURES = {"overhead": overhead, "memory": memory, "checkpoints": checkpoints, "writing": writing}


def child(measure: str, n_latents: int, n_images: int) -> dict[str, float]:
    """One measurement in a process of its own."""
    command = [sys.executable, __file__, "--measure", measure, str(n_latents), str(n_images)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Prints a line for each measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", type=int, default=16_384, help="latents of the larger coder")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--measure", nargs=3, help="measure one thing and print JSON; used for the child processes")
    options = parser.parse_args()
    if options.measure:
        torch.set_num_threads(1)
        name, n_latents, n_images = options.measure
        print(json.dumps(MEASURES[name](int(n_latents), int(n_images))))
        return
    print(machine())
    for n_latents, n_images in ((2048, 480), (options.large, 160)):
        runs = [child("overhead", n_latents, n_images) for _ in range(options.repeats)]
        print(
            f"{n_latents} latents: ms of a core an image to encode {stated([r['encode'] for r in runs])}, "
            f"to collect {stated([r['collect'] for r in runs])}; collecting over encoding "
            f"{stated([r['collect'] / r['encode'] for r in runs], 3)}"
        )
    for n_latents in (2048, options.large):
        small, large = (child("memory", n_latents, n) for n in (1_000, 10_000))
        print(
            f"{n_latents} latents: peak {small['peak']:.0f} MB at 1,000 images, {large['peak']:.0f} MB at 10,000: "
            f"ratio {large['peak'] / small['peak']:.2f}; {large['before']:.0f} MB before the pass, "
            f"checkpoint {large['state']:.0f} MB"
        )
    for n_latents, n_images in ((2048, 40_960), (options.large, 10_240)):
        c = child("checkpoints", n_latents, n_images)
        size = {name: f"{c[name] / 1e6:.1f} MB" for name in ("whole", "written", "last", "beside")}
        print(
            f"{n_latents} latents, {n_images} images: {c['n']:.0f} checkpoints wrote {size['written']}, the last "
            f"{size['last']}, where all that was gathered is {size['whole']}; pool, vectors and places beside it "
            f"{size['beside']}; {c['seconds'] / c['n']:.2f} s of a core a checkpoint"
        )
    written = child("writing", 2048, 2_000)
    print(f"2048 latents, 2,000 images: dump written in {written['seconds']:.1f} s, peak {written['peak']:.0f} MB")


if __name__ == "__main__":
    main()
