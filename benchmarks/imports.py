"""Peak memory of `import semanticlens`, of a tenth of the images and latents, beside the whole.

Run it as `python benchmarks/imports.py --images 100000 --latents 6554`. Of a thousand images, all are one small file.
"""

import argparse
import json
import multiprocessing
import os
import resource
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

K = 10
PER_FILE = 1000


def write_images(root: Path, n: int) -> None:
    """Writes so many images in folders of a hundred classes."""
    first = root
    for at in range(n):
        folder = root / f"class{at % 100:02}"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{at:07}.png"
        if at % PER_FILE:
            os.link(first, path)
        else:
            first = path
            Image.new("RGB", (8, 8), (at // PER_FILE % 256, 40, 90)).save(path)


def write_lists(path: Path, n: int, n_latents: int) -> None:
    """Writes lists of ten images, the last of which does not fire."""
    rng = np.random.default_rng(0)
    ids = np.stack([rng.choice(n, K, replace=False) for _ in range(n_latents)]).astype("<i8")
    values = -np.sort(-rng.random((n_latents, K)), axis=1).astype("<f4")
    values[:, -1] = 0
    ends = [ids.nbytes, ids.nbytes + values.nbytes]
    header = {
        "sample_ids": {"dtype": "I64", "shape": [n_latents, K], "data_offsets": [0, ends[0]]},
        "activations": {"dtype": "F32", "shape": [n_latents, K], "data_offsets": ends},
    }
    head = json.dumps(header).encode()
    path.write_bytes(len(head).to_bytes(8, "little") + head + ids.tobytes() + values.tobytes())


def peak(n: int, n_latents: int) -> tuple[float, float]:
    """Peak memory in MB and processor time in seconds of an import, in a process of its own."""
    with tempfile.TemporaryDirectory() as name, multiprocessing.get_context("spawn").Pool(1) as pool:
        folder = Path(name)
        write_images(folder / "images", n)
        write_lists(folder / "lists.safetensors", n, n_latents)
        return pool.apply(_measured, (folder,))


def _measured(folder: Path) -> tuple[float, float]:
    os.environ["AUTOINTERP_CACHE"] = str(folder / "cache")
    from autointerp.commands.import_semanticlens import import_semanticlens

    import_semanticlens(folder / "lists.safetensors", folder / "dump", images=str(folder / "images"))
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_maxrss / 1024, used.ru_utime + used.ru_stime


def main() -> None:
    """Prints both, and what an image takes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--latents", type=int, default=6_554)
    asked = parser.parse_args()
    few, many = (peak(asked.images // part, asked.latents // part) for part in (10, 1))
    for part, (size, seconds) in ((10, few), (1, many)):
        n, n_latents = asked.images // part, asked.latents // part
        print(f"{n:,} images, {n_latents:,} latents: {size:.0f} MB at most, {seconds:.1f} s of CPU")
    print(f"{(many[0] - few[0]) * 1024 / (0.9 * asked.images):.2f} kB an image")


if __name__ == "__main__":
    main()
