"""Input and output of one MLP of the transformer on every image of the demo population, kept in the working folder."""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from demo_population import DemoImage
from vit import GRID, VisionTransformer, onnx_path, to_input

BATCH = 8
CHUNK = 64
PATCHES = GRID * GRID


@dataclass(frozen=True, slots=True)
class Harvest:
    """What the transformer did on the population; first axis: images."""

    folder: Path
    """For what later stages keep beside it."""
    read: npt.NDArray[np.float16]
    """[images, patches, 384]: what the MLP reads; row-major patches of a 16 x 16 grid."""
    written: npt.NDArray[np.float16]
    """[images, patches, 384]: what it writes."""
    pooled: npt.NDArray[np.float32]
    """[images, 384], last layer, unit length."""


class Arrays(NamedTuple):
    """What one chunk yields, as numpy."""

    mlp_input: npt.NDArray[np.float16]
    mlp_output: npt.NDArray[np.float16]
    pooled: npt.NDArray[np.float32]


def harvest(images: Sequence[DemoImage], block: int, work: Path) -> Harvest:
    """Runs the transformer, or reads what an earlier run with the same images and block has left."""
    key = hashlib.sha256("".join(i.sha256 for i in images).encode() + bytes([block])).hexdigest()[:16]
    folder = work / f"mlp-{key}"
    if not (folder / "pooled.npy").exists():
        folder.mkdir(parents=True, exist_ok=True)
        _run(images, block, folder)
    read, written = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("read", "written"))
    return Harvest(folder, read, written, np.load(folder / "pooled.npy"))


def _run(images: Sequence[DemoImage], block: int, folder: Path) -> None:
    chunks = [(images[i : i + CHUNK], block) for i in range(0, len(images), CHUNK)]
    parts: list[Arrays] = []
    # Processes of one thread each: faster than one process of many threads where other work shares the machine.
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        for part in pool.map(_chunk, chunks):
            parts.append(part)
            print(f"harvest {len(parts) * CHUNK} of {len(images)}", flush=True)
    np.save(folder / "read.npy", np.concatenate([p.mlp_input for p in parts]).astype(np.float16))
    np.save(folder / "written.npy", np.concatenate([p.mlp_output for p in parts]).astype(np.float16))
    np.save(folder / "pooled.npy", np.concatenate([p.pooled for p in parts]))


def _chunk(work: tuple[Sequence[DemoImage], int]) -> Arrays:
    images, block = work
    torch.set_num_threads(1)
    model = _model()
    parts = [
        model.run(torch.stack([to_input(image.decoded()) for image in images[i : i + BATCH]]), block)
        for i in range(0, len(images), BATCH)
    ]
    return Arrays(
        torch.cat([p.mlp_input for p in parts]).half().numpy(),
        torch.cat([p.mlp_output for p in parts]).half().numpy(),
        torch.cat([p.pooled for p in parts]).numpy(),
    )


@lru_cache(maxsize=1)
def _model() -> VisionTransformer:
    return VisionTransformer(onnx_path())
