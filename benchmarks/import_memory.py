"""Peak resident memory of `autointerp import delphi` at 65,536 latents, with ten times as many images as before.

The files are drawn: in each of 16 patches of an image 8 latents fire, and 8 files share the latents. What the command
takes should be what docs/bring-your-own.md says, and grow with images only by what it remembers of each.

python benchmarks/import_memory.py [--images 1000 10000] [--latents 65536]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from figures import machine
from PIL import Image
from safetensors.numpy import save_file

PATCHES, PER_PATCH, FILES = 16, 8, 8
SLOTS = 16 + 64
"""Images that are kept of a latent, by default: --top and --reservoir."""
MB = 1024
PART = 1000
"""Images that are drawn at once."""


def pictures(folder: Path, n: int) -> None:
    """Draws noise of 8 x 8 pixels."""
    rng = np.random.default_rng(0)
    for i in range(n):
        path = folder / f"{i // 1000:04d}" / f"{i % 1000:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path)


def recording(folder: Path, n: int, n_latents: int) -> None:
    """Draws what delphi would have written."""
    folder.mkdir()
    rng = np.random.default_rng(1)
    width = n_latents // FILES
    for file in range(FILES):
        found = [drawn(rng, range(start, min(start + PART, n)), width) for start in range(0, n, PART)]
        locations = np.concatenate(found)
        values = rng.random(len(locations)).astype(np.float16) + np.float16(0.1)
        name = f"{file * width}_{(file + 1) * width - 1}.safetensors"
        save_file({"locations": locations, "activations": values}, folder / name)
    config = {"cache_ctx_len": PATCHES, "batch_size": 1, "n_tokens": n * PATCHES, "model_name": "drawn"}
    (folder / "config.json").write_text(json.dumps(config))


def drawn(rng: np.random.Generator, images: range, width: int) -> np.ndarray:
    """Draws [n, 3]: image, patch and latent of one file, each image's share of the latents that fire."""
    per_patch = PER_PATCH // FILES
    image = np.repeat(np.arange(images.start, images.stop), PATCHES * per_patch)
    patch = np.tile(np.repeat(np.arange(PATCHES), per_patch), len(images))
    return np.stack([image, patch, rng.integers(0, width, len(image))], axis=1).astype(np.uint32)


def measured(folder: Path, n: int, n_latents: int) -> tuple[float, float]:
    """Imports `n` images; returns the peak in MB and the CPU seconds."""
    pictures(folder / "images", n)
    recording(folder / "latents", n, n_latents)
    command = [sys.executable, "-m", "autointerp", "import", "delphi", folder / "latents", folder / "dump"]
    more = ["--images", folder / "images", "--pool", "512"]
    with subprocess.Popen([*command, *more], env=os.environ | {"AUTOINTERP_CACHE": str(folder / "cache")}) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss / MB, usage.ru_utime + usage.ru_stime


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--latents", type=int, default=65_536)
    asked = parser.parse_args()
    print(machine())
    kept = asked.latents * (SLOTS * (PATCHES + 29) + 5153) / MB**2
    print(f"what is kept of {asked.latents:,} latents: {kept:,.0f} MB")
    for n in asked.images:
        with tempfile.TemporaryDirectory() as folder:
            peak, seconds = measured(Path(folder), n, asked.latents)
        print(f"{n:,} images: peak {peak:,.0f} MB, CPU {seconds:,.0f} s")


if __name__ == "__main__":
    main()
