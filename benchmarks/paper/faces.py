"""Faces by two generators, with their real defects: labelled by eye, in faces.csv."""

import csv
from dataclasses import dataclass
from pathlib import Path

import imagehash
import torch
from PIL import Image

from scripts.generators import FACES, faces

LABELS = Path(__file__).parent / "faces.csv"
SEED = 7
EACH = 60
SIDE = 128
"""Pixels of a face as written."""
FAR = 10
"""Bits of a 64-bit perceptual hash by which a face may differ from the labelled one."""


@dataclass(frozen=True, slots=True)
class Face:
    """A generated face."""

    image: Image.Image
    generator: str
    distorted: bool | None
    """Whether its anatomy is clearly wrong; None where the annotator could not tell."""


def generated() -> list[Face]:
    """The faces of faces.csv, in its order.

    Raises:
        SystemExit: a face is not the one that was labelled.
    """
    torch.manual_seed(SEED)
    made = [(package, image) for package in FACES for image in faces(package, EACH)]
    with LABELS.open(newline="") as file:
        rows = list(csv.DictReader(file))
    out: list[Face] = []
    for row, (package, image) in zip(rows, made, strict=True):
        if imagehash.phash(image) - imagehash.hex_to_hash(row["phash"]) > FAR:
            raise SystemExit(f"{LABELS}: face {row['face']} of {package} looks otherwise here; label the faces anew")
        large = image.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        out.append(Face(large, package, {"1": True, "0": False}.get(row["distorted"])))
    return out
