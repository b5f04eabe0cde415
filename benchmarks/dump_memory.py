"""Peak memory of reading every feature of a small and a large dump, and the time to read one at random.

Run as `python benchmarks/dump_memory.py [--large 1000000]`; needs some 5 GB of disk for 10^6 features.
"""

import argparse
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from autointerp.dump.format import DumpInfo
from autointerp.dump.reader import open_dump
from autointerp.dump.writer import DumpWriter
from autointerp.schema import Box, Exemplar, FeatureRow

N_IMAGES = 1000
N_TOP, N_BAND, N_SILENT = 20, 20, 20
N_RANDOM = 200
HEAT_SIDE = 14


def write(folder: Path, n_features: int) -> None:
    """A dump of `n_features` features of 60 exemplars, with boxes and heat maps, over images that are only paths."""
    rng = np.random.default_rng(0)
    info = DumpInfo(
        name=f"{n_features} features",
        created="2026-01-01T00:00:00+00:00",
        created_by="benchmarks/dump_memory.py",
        model="none",
        hookpoint="none",
        n_latents=n_features,
        widths=(n_features,),
        n_images=N_IMAGES,
        active_above=0.0,
        patch_grid=(HEAT_SIDE, HEAT_SIDE),
    )
    heats = [rng.integers(0, 256, HEAT_SIDE**2, dtype=np.uint8).tobytes() for _ in range(256)]
    with DumpWriter(folder, info) as writer:
        for image in range(N_IMAGES):
            digest = hashlib.sha256(str(image).encode()).hexdigest()
            writer.add_image(image, path=f"images/{image}.png", size=(224, 224), sha256=digest)
        for feature in range(n_features):
            images = (np.arange(N_TOP + N_BAND + N_SILENT) + 17 * feature) % N_IMAGES
            writer.add_feature(
                FeatureRow(feature, n_features, N_TOP + N_BAND, 60.0, None, None),
                [_exemplar(rank, image, heats) for rank, image in enumerate(images.tolist())],
            )


def _exemplar(rank: int, image: int, heats: list[bytes]) -> Exemplar:
    if rank >= N_TOP + N_BAND:
        return Exemplar(image, 0.0, "silent", 0.02, None, None)
    top = rank < N_TOP
    heat = heats[(rank + image) % len(heats)]
    return Exemplar(image, 60.0 - rank, "top" if top else "q5", 1.0 if top else 0.5, Box(0, 0, 100, 90), heat)


def read(folder: Path) -> dict[str, float]:
    """What one process measures: peak resident memory in MB, microseconds a feature in order and at random."""
    with open_dump(folder) as dump:
        start = time.perf_counter()
        n_features = sum(1 for _ in dump.features())
        in_order = (time.perf_counter() - start) / n_features
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        numbers = np.random.default_rng(1).integers(0, n_features, N_RANDOM).tolist()
        start = time.perf_counter()
        for number in numbers:
            dump.feature(number)
        at_random = (time.perf_counter() - start) / N_RANDOM
    return {"peak_mb": peak, "in_order_us": 1e6 * in_order, "at_random_us": 1e6 * at_random}


def main() -> None:
    """Writes both dumps, reads each in a process of its own, prints a line for each and the ratio of the peaks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", type=int, default=1_000, help="features of the small dump")
    parser.add_argument("--large", type=int, default=100_000, help="features of the large dump")
    parser.add_argument("--read", type=Path, help="measure this dump and print JSON; used for the child processes")
    options = parser.parse_args()
    if options.read:
        print(json.dumps(read(options.read)))
        return
    peaks: list[float] = []
    with tempfile.TemporaryDirectory() as scratch:
        for n_features in (options.small, options.large):
            folder = Path(scratch, str(n_features))
            start = time.perf_counter()
            write(folder, n_features)
            took = time.perf_counter() - start
            command = [sys.executable, __file__, "--read", str(folder)]
            measured = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            peaks.append(measured["peak_mb"])
            size = sum(f.stat().st_size for f in folder.iterdir()) / 2**20
            print(
                f"{n_features} features: {size:.0f} MB on disk, written in {took:.1f} s; "
                f"peak {measured['peak_mb']:.0f} MB; {measured['in_order_us']:.0f} us a feature in order, "
                f"{measured['at_random_us']:.0f} us at random"
            )
    print(f"peak memory, large over small: {peaks[1] / peaks[0]:.2f}")


if __name__ == "__main__":
    main()
