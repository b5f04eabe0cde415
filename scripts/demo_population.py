"""The demo dump's image population: the demo half of the public pictures, and images newly made by small generators."""

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from generators import FACES, eyes, faces
from picture_sources import all_pictures, load_rgb
from PIL import Image

SIDE = 224
"""Drawings are stored as squares of so many pixels, padded with white: exactly what the transformer sees."""
SMALL_SIDE = 128
"""Emoji and generated images have 64 or 128 pixels of their own and are stored at this size."""
QUALITY = 80
IMAGES, LABELS, WORDS = "images", "labels.csv", "words.json"
"""What `lay_out` writes."""
EYES = "omniart-eye-generator"
GENERATORS = (*FACES, EYES)
N_FACES = 120
N_EYES = 80
MAX_PER_GROUP = 2
"""Near-duplicates beyond the second add nothing."""


@dataclass(frozen=True, slots=True)
class DemoImage:
    """One image of the population, encoded once; everything else works on the decoded bytes."""

    data: bytes
    """WebP."""
    label: str
    group: str
    source: str
    tags: tuple[str, ...] = ()
    """Further words of the source: keywords, category, folder."""

    def decoded(self) -> Image.Image:
        """Its RGB pixels."""
        with Image.open(io.BytesIO(self.data)) as image:
            return image.convert("RGB")

    @property
    def sha256(self) -> str:
        """Hex digest of the bytes."""
        return hashlib.sha256(self.data).hexdigest()


def population(work: Path, seed: int) -> list[DemoImage]:
    """All images in a fixed order; the ids of the dump are the positions in this list."""
    seen: Counter[str] = Counter()
    images: list[DemoImage] = []
    for p in all_pictures(work):
        seen[p.group] += p.half == "demo"
        if p.half == "demo" and seen[p.group] <= MAX_PER_GROUP:
            images.append(DemoImage(_encoded(load_rgb(p, work), p.source), p.name, p.group, p.source, p.tags))
    images.extend(generated(seed))
    unique = {image.sha256: image for image in reversed(images)}
    return [image for image in images if unique[image.sha256] is image]


def lay_out(images: Sequence[DemoImage], folder: Path) -> None:
    """Writes the images as the commands take them: files in folders named after their labels, and a CSV file.

    `images/LABEL/NUMBER.webp`, numbered as the dump numbers them; `labels.csv`, whose labels are empty, since no image
    has an attribute; and `words.json`, what the choice of latents goes by, written last.
    """
    rows = [(f"{image.label.replace('/', ' ')}/{i:05d}.webp", "", image.group) for i, image in enumerate(images)]
    for image, (path, _, _) in zip(images, rows, strict=True):
        (folder / IMAGES / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / IMAGES / path).write_bytes(image.data)
    with (folder / LABELS).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "label", "group"), *rows])
    said = [{k: v for k, v in asdict(image).items() if k != "data"} for image in images]
    paths = [path for path, _, _ in rows]
    words = [{"path": path, **of_image} for path, of_image in zip(paths, said, strict=True)]
    (folder / WORDS).write_text(json.dumps(words, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")


def laid_out(folder: Path) -> list[DemoImage]:
    """The images that `lay_out` wrote, in their order."""
    found: list[DemoImage] = []
    for said in json.loads((folder / WORDS).read_text(encoding="utf-8")):
        data = (folder / IMAGES / said.pop("path")).read_bytes()
        found.append(DemoImage(**{**said, "data": data, "tags": tuple(said["tags"])}))
    return found


def regrouped(images: Sequence[DemoImage], table: Path) -> list[DemoImage]:
    """The same images in the groups of an activation store's images.csv, which joins near-duplicates of its own."""
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["sha256"] for row in rows] == [image.sha256 for image in images], "the store is of these images"
    return [replace(image, group=row["group"]) for image, row in zip(images, rows, strict=True)]


def _encoded(image: Image.Image, source: str) -> bytes:
    side = SIDE if source == "openclipart" else SMALL_SIDE
    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    square = Image.new("RGB", (side, side), "white")
    square.paste(image.resize(size, Image.Resampling.LANCZOS), ((side - size[0]) // 2, (side - size[1]) // 2))
    buffer = io.BytesIO()
    square.save(buffer, "WEBP", quality=QUALITY, method=6)
    return buffer.getvalue()


def generated(seed: int) -> Iterator[DemoImage]:
    """New faces and eyes from the generators; another seed gives other images."""
    torch.manual_seed(seed)
    for source in FACES:
        for i, image in enumerate(faces(source, N_FACES // len(FACES))):
            yield DemoImage(_encoded(image, source), "generated face", f"{source}:{i}", source)
    for i, (colour, image) in enumerate(eyes(N_EYES)):
        yield DemoImage(_encoded(image, EYES), f"generated eye, {colour}", f"{EYES}:{i}", EYES)
