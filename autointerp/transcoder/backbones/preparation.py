"""Brings pictures to what a model takes: the usual way, and checks on functions that somebody else wrote for it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from autointerp.errors import SettingsError, one_line
from autointerp.transcoder.backbones.protocol import Frame

Channels = tuple[float, float, float]
Prepare = Callable[[Image.Image], object]
"""From an RGB picture to what a model takes: [3, side, side] or [1, 3, side, side], floats, of torch or numpy; or a
mapping that has it as `pixel_values`, as processors of transformers give it."""

IMAGENET_MEAN: Channels = (0.485, 0.456, 0.406)
IMAGENET_STD: Channels = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class Preparation:
    """Brings a picture to a square, by stretching all of it or by cropping its middle, and normalises it."""

    side: int
    """Pixels of the square."""
    mean: Channels = IMAGENET_MEAN
    std: Channels = IMAGENET_STD
    """Of red, green and blue on a scale of 0 to 1."""
    resample: Image.Resampling = Image.Resampling.BICUBIC
    shortest: int | None = None
    """The shorter side in pixels, at least `side`, to which the picture is brought before its middle is cropped; None
    stretches all of it."""
    to_even: bool = False
    """How the middle of an odd number of pixels is found, as `Frame` has it."""

    @property
    def frame(self) -> Frame:
        """Returns what of a picture it shows."""
        return Frame(self.side, self.shortest, self.to_even)

    def __call__(self, image: Image.Image) -> Tensor:
        """Returns the prepared picture, [3, side, side], float32."""
        framed, square = image.convert("RGB"), (self.side, self.side)
        if self.shortest is None:
            framed = framed.resize(square, self.resample)
        else:
            framed = framed.resize(self.frame.resized(image.size), self.resample)
            left, top = (self.frame.first(n) for n in framed.size)
            framed = framed.crop((left, top, left + self.side, top + self.side))
        pixels = np.asarray(framed, dtype=np.float32)
        normal = (pixels / 255 - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        return torch.from_numpy(normal.transpose(2, 0, 1).copy())


def probe_picture() -> Image.Image:
    """Makes a picture with a gradient each way, 64 x 48 pixels, by which two preparations can be told apart."""
    y, x = np.mgrid[0:48, 0:64]
    return Image.fromarray(np.stack([x * 4, y * 5, (x * y) % 256], axis=-1).astype(np.uint8), "RGB")


def prepared_by(prepare: Prepare, image: Image.Image) -> Tensor:
    """Prepares a picture and returns it as [3, side, side], float32.

    Raises:
        SettingsError: what the function gives is nothing that a picture can be read from.
    """
    made = prepare(image)
    if isinstance(made, Mapping):
        made = made.get("pixel_values")
    if isinstance(made, list | tuple | np.ndarray):
        made = _as_tensor(made)
    if not isinstance(made, Tensor):
        raise SettingsError(f"prepare: gives a {type(made).__name__}, not a tensor; let it give [3, side, side]")
    made = made[0] if made.ndim == 4 and len(made) == 1 else made
    shape = list(made.shape)
    if len(shape) != 3 or shape[0] != 3 or shape[1] != shape[2]:
        raise SettingsError(f"prepare: gives {shape} of a picture, not [3, side, side] of a square; change it so")
    if not made.is_floating_point():
        what = str(made.dtype).removeprefix("torch.")
        raise SettingsError(f"prepare: gives {what}, not floats; let it scale and normalise as the module was trained")
    return made.detach().float().cpu()


def _as_tensor(made: object) -> Tensor:
    """Returns an array, or a list of one, as a tensor."""
    if isinstance(made, list | tuple) and len(made) == 1:
        made = made[0]
    try:
        return made if isinstance(made, Tensor) else torch.from_numpy(np.ascontiguousarray(made))
    except (TypeError, ValueError) as e:
        raise SettingsError(f"prepare: gives nothing that a tensor can be made of: {one_line(str(e))[:120]}") from e


def check_prepare(prepare: Prepare, side: int | None, shortest: int | None) -> Frame:
    """Tries a function that prepares pictures, and returns what of a picture it shows.

    Args:
        prepare: the function.
        side: pixels that it is said to give each way; None takes what it gives.
        shortest: the shorter side that it is said to bring a picture to before it crops the middle; None where it is
            said to show all of it.

    Raises:
        SettingsError: it gives another size, another result each time, or shows another part of a picture.
    """
    first, again = (prepared_by(prepare, probe_picture()) for _ in range(2))
    if side is not None and first.shape[1] != side:
        raise SettingsError(f"prepare: gives pictures of {first.shape[1]} pixels a side, and side is {side}")
    if not torch.equal(first, again):
        raise SettingsError("prepare: gives another result each time; take what is random out of it")
    frame = Frame(first.shape[1], shortest)
    if (fault := _misframed(prepare, frame)) is not None:
        raise SettingsError(f"prepare: {fault}")
    return frame


def _misframed(prepare: Prepare, frame: Frame) -> str | None:
    """Says how the part of a picture that a function shows differs from what is said of it.

    It looks at a wide picture that is grey, and at two whose columns are black and white: those just inside the edge
    of the frame, which must show, and those outside it, which must not.
    """
    size = (768, 384)
    left = frame.seen(size)[0]
    pixel = max(1.0, size[1] / frame.least)
    grey = prepared_by(prepare, _striped(size, 0, 0))
    if grey.shape[1] != frame.side:
        return f"gives {frame.side} pixels a side of one picture and {grey.shape[1]} of another; let it crop or stretch"
    inside = _striped(size, round(left), round(left + 1.5 * pixel))
    if torch.equal(grey, prepared_by(prepare, inside)):
        if frame.shortest is None:
            return (
                "shows the middle of a picture only, so that heat maps would lie wrong; give shortest=PIXELS, "
                "the shorter side before it crops, or let it stretch the whole"
            )
        return f"shows less of a picture than shortest={frame.shortest} says; give the shorter side before it crops"
    # A filter may look at three pixels beyond the edge.
    outside = _striped(size, 0, max(0, round(left - 3 * pixel)))
    if not torch.equal(grey, prepared_by(prepare, outside)):
        return f"shows more of a picture than shortest={frame.shortest} says; give the shorter side before it crops"
    return None


def _striped(size: tuple[int, int], first: int, end: int) -> Image.Image:
    """Makes a grey picture whose columns from `first` to before `end` are black and white, in blocks of rows."""
    pixels = np.full((size[1], size[0], 3), 128, np.uint8)
    pixels[: size[1] // 2, first:end] = 0
    pixels[size[1] // 2 :, first:end] = 255
    return Image.fromarray(pixels, "RGB")
