"""Files as four tools write them, of one planted table, and the pictures that they are of."""

import base64
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.numpy import save_file

N, PATCHES, LATENTS = 30, 4, 6
CLASSES = ("oak", "oak-leaf", "pine")
"""By their whole paths, `oak-leaf/…` would come before `oak/…`; an ImageFolder sorts the classes first."""


def pictures(folder: Path, n: int = N) -> list[Path]:
    """Pictures of 40 x 40 pixels, ten in each class, in the order of an ImageFolder."""
    rng = np.random.default_rng(5)
    paths = [folder / CLASSES[i // 10] / f"{i % 10}.png" for i in range(n)]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(path)
    return paths


def table(n: int = N, n_patches: int = PATCHES, n_latents: int = LATENTS) -> np.ndarray:
    """[images, patches, latents]: latent j fires on one image in j + 1, latent 2 on none; float16 holds them."""
    rng = np.random.default_rng(11)
    on = rng.random((n, 1, n_latents)) < 1 / np.arange(1, n_latents + 1)
    found = np.where(
        on & (rng.random((n, n_patches, n_latents)) < 0.5), rng.integers(1, 90, (n, n_patches, n_latents)), 0
    )
    found[:, :, 2] = 0
    found[n - 1, 0, 0] = 7
    return (found / 2).astype(np.float32)


def places(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Locations of what is not 0, [n, 3], and its values."""
    at = np.ascontiguousarray(np.argwhere(z))
    return at, z[tuple(at.T)]


def delphi(
    folder: Path, z: np.ndarray, *, bounds: tuple[int, ...] = (0, 3, 6), batch: int = 5, **change: object
) -> Path:
    """What `LatentCache.save_splits` and `save_config` write; `change` replaces parts of each file, or drops them."""
    folder.mkdir(parents=True)
    n = len(z) // batch * batch
    at, values = places(z[:n])
    for start, stop in pairwise(bounds):
        own = (at[:, 2] >= start) & (at[:, 2] < stop)
        parts = {
            "locations": (at[own] - [0, 0, start]).astype(np.uint16),
            "activations": values[own].astype(np.float16),
            "tokens": np.zeros((n, z.shape[1]), np.int64),
        } | change
        save_file({k: v for k, v in parts.items() if v is not None}, folder / f"{start}_{stop - 1}.safetensors")
    config = {
        "cache_ctx_len": z.shape[1],
        "batch_size": batch,
        "n_tokens": len(z) * z.shape[1],
        "model_name": "owner/vit",
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def multimodal_sae(
    folder: Path, z: np.ndarray, *, bounds: tuple[int, ...] = (0, 3, 6), tiles: bool = True, ranks: int = 1
) -> Path:
    """What `Cache.save_splits` writes: the last latent of each file is lost; later ranks come first in the files."""
    folder.mkdir(parents=True)
    if tiles:
        z = np.concatenate([z, np.full((len(z), 1, z.shape[2]), 99.0, np.float32)], axis=1)
    at, values = places(z)
    order = np.argsort(-(at[:, 0] * ranks // len(z)), kind="stable")
    at, values = at[order], values[order]
    for start, stop in pairwise(bounds):
        own = (at[:, 2] >= start) & (at[:, 2] < stop - 1)
        parts = {"locations": at[own].astype(np.int64), "activations": values[own]}
        save_file(parts, folder / f"{start}_{stop - 1}.safetensors")
    return folder


def saev(root: Path, z: np.ndarray, images: Path | str, **change: object) -> Path:
    """What `framework/inference.py` and `ShardWriter` write; returns the run."""
    n, n_patches, n_latents = z.shape
    flat = z.reshape(n * n_patches, n_latents)
    row, column = np.nonzero(flat)
    parts = {
        "indices": column.astype(np.int32),
        "indptr": np.r_[0, np.cumsum(np.bincount(row, minlength=len(flat)))].astype(np.int32),
        "format": np.array(b"csr"),
        "shape": np.array(flat.shape, np.int64),
        "data": flat[row, column],
        "_is_array": np.array(True),
    } | change
    run, shards = root / "runs" / "abc", root / "shards" / "00ff00ff"
    inference = run / "inference" / shards.name
    inference.mkdir(parents=True)
    np.savez_compressed(inference / "token_acts.npz", **{k: v for k, v in parts.items() if v is not None})
    (inference / "config.json").write_text(json.dumps({"data": {"shards": f"/gone/shards/{shards.name}", "layer": 8}}))
    shards.mkdir(parents=True)
    metadata = {
        "family": "dinov2",
        "ckpt": "vits14",
        "layers": [8],
        "content_tokens_per_example": n_patches,
        "cls_token": True,
        "n_examples": n,
        "data": base64.b64encode(b"cos\nsystem\n(S'exit 3'\ntR.").decode(),
        "dataset": str(images),
    }
    (shards / "metadata.json").write_text(json.dumps(metadata))
    return run


def sae_for_vlm(folder: Path, peaks: np.ndarray, *, size: int = 3, k: int = 4) -> Path:
    """What save_activations.py and find_hai_indices.py write of [rows, latents], `size` rows a part."""
    folder.mkdir(parents=True)
    for number, start in enumerate(range(0, len(peaks), size), start=1):
        name = f"imagenet_val_activations_clip-vit-base-patch32_-1_post_projection_part{number}.pt"
        torch.save(torch.tensor(peaks[start : start + size]), folder / name)
    strongest = np.argsort(peaks, axis=0)[-k:].T
    np.save(folder / f"hai_indices_{k}.npy", strongest)
    np.save(folder / f"hai_indices_{k}_worst.npy", strongest[:, 0].astype(np.float64))
    return folder
