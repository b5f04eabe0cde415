"""Twelve small images with planted features, and the strongest images of each as other tools list them.

Images `red/red_1.png` to `blue/blue_4.png` are 12 x 8 pixels, in order: blue 0 to 3, green 4 to 7, red 8 to 11. Latents
0, 1 and 2 fire on blue, green and red, 1 to 4 by the number in the name; latent 3 fires on blue and red, half as
strongly; latent 4 never. The activation lies on one of 2 x 2 patches, number modulo 4: means are a quarter of maxima.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = {"blue": (20, 40, 220), "green": (30, 200, 40), "red": (220, 30, 30)}
N_IMAGES, N_LATENTS = 12, 5
NAMES = [f"{name}/{name}_{i}.png" for name in CLASSES for i in (1, 2, 3, 4)]


def draw_images(root: Path) -> Path:
    """Writes the images in folders of classes; no two have the same bytes."""
    for at, name in enumerate(NAMES):
        file, number = root / name, at % 4 + 1
        file.parent.mkdir(parents=True, exist_ok=True)
        image = Image.new("RGB", (12, 8), CLASSES[name.partition("/")[0]])
        image.paste((250, 250, 250), (0, 0, number, 2))
        image.save(file)
    return root


def maps() -> np.ndarray:
    """Activations of all patches, [images, 2, 2, latents]."""
    out = np.zeros((N_IMAGES, 4, N_LATENTS), np.float32)
    for image in range(N_IMAGES):
        kind, number = divmod(image, 4)
        number += 1
        out[image, number % 4, kind] = number
        if kind != 1:
            out[image, number % 4, 3] = number / 2
    return out.reshape(N_IMAGES, 2, 2, N_LATENTS)


def means() -> np.ndarray:
    """Means over patches, [images, latents]."""
    return maps().mean(axis=(1, 2))


def top_lists(values: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and activations of the k strongest images of each latent, [latents, k]; those that do not fire have a 0."""
    rows = np.argsort(-values, axis=0, kind="stable")[:k].T
    return rows, np.take_along_axis(values.T, rows, axis=1)


def save_safetensors(path: Path, arrays: Mapping[str, tuple[str, np.ndarray]], notes: Mapping[str, str] = {}) -> Path:
    """Writes arrays with their types' names in safetensors' words."""
    header: dict[str, object] = {"__metadata__": dict(notes)}
    data = b""
    for name, (kind, array) in arrays.items():
        header[name] = {
            "dtype": kind,
            "shape": list(array.shape),
            "data_offsets": [len(data), len(data) + array.nbytes],
        }
        data += array.tobytes()
    head = json.dumps(header).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(len(head).to_bytes(8, "little") + head + data)
    return path


def bfloat16(values: np.ndarray) -> np.ndarray:
    """The upper halves of float32 numbers."""
    return (values.astype("<f4").view("<u4") >> 16).astype("<u2")


def save_semanticlens(folder: Path, k: int, layer: str = "sae", *, values: np.ndarray | None = None) -> Path:
    """One layer's file, as ActMaxCache.store writes it."""
    rows, activations = top_lists(maps().max(axis=(1, 2)) if values is None else values, k)
    arrays = {"sample_ids": ("I64", rows.astype("<i8")), "activations": ("BF16", bfloat16(activations))}
    notes = {"aggregation_fn_name": "aggregate_max", "n_collect": str(k), "n_latents": "5", "layer_name": layer}
    return save_safetensors(folder / f"aggregate_max-{k}-{layer}.safetensors", arrays, notes)


def save_mt(root: Path, images: Path, k: int = 20, *, latents: Sequence[int] = (0, 1, 2, 3), start: int = 0) -> Path:
    """The folders of features as populate.py writes them, from two data sets: human_error holds the red images."""
    values = maps().max(axis=(1, 2))
    for latent in latents:
        fires = [(float(values[at, latent]), at) for at in range(N_IMAGES) if values[at, latent] > 0]
        strongest = sorted(fires, key=lambda one: (-one[0], one[1]))[:k]
        folder = root / f"feature_{latent + start}"
        folder.mkdir(parents=True)
        lines = [
            f"Feature {latent + start}",
            f"Total activations: {len(fires)}",
            f"Top {len(strongest)} activations saved",
            "",
        ]
        lines.append("Activation values:")
        for rank, (activation, at) in enumerate(strongest, start=1):
            data_set = "human_error" if NAMES[at].startswith("red") else "human_correct"
            name = NAMES[at].rpartition("/")[2]
            (folder / f"._datasets_{data_set}_{name}").write_bytes((images / NAMES[at]).read_bytes())
            lines.append(f"{rank}. {activation:.6f} - {data_set}/{name}")
        (folder / "metadata.txt").write_text("\n".join(lines) + "\n")
    return root


def save_milan(folder: Path, images: Path, k: int = 3) -> Path:
    """One layer's exemplars: pictures of 8 x 8 pixels squeezed from the images, masks of the patch that fired."""
    values = maps()
    rows, activations = top_lists(values.max(axis=(1, 2)), k)
    pictures = np.zeros((N_LATENTS, k, 3, 8, 8), np.uint8)
    masks = np.zeros((N_LATENTS, k, 1, 8, 8), np.uint8)
    for latent in range(N_LATENTS):
        for at, row in enumerate(rows[latent]):
            with Image.open(images / NAMES[row]) as image:
                pictures[latent, at] = np.asarray(image.resize((8, 8), Image.Resampling.BOX)).transpose(2, 0, 1)
            masks[latent, at, 0] = np.kron(values[row, :, :, latent] > 0, np.ones((4, 4)))
    folder.mkdir(parents=True)
    np.save(folder / "images.npy", pictures)
    np.save(folder / "masks.npy", masks)
    np.savetxt(folder / "activations.csv", activations, delimiter=",", fmt="%.5e")
    np.savetxt(folder / "ids.csv", rows, delimiter=",", fmt="%i")
    return folder
