"""What a vision model must offer here: prepared images in, activations at named hookpoints out."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from PIL import Image
from torch import Tensor

from autointerp.errors import SettingsError

Kind = Literal["patches", "pooled"]
CLASS_TOKEN = ".class"
"""Behind a hookpoint of patches: the class token there, one vector for the image, in models that have one."""
Activations = dict[str, Tensor]
"""By hookpoint: [n, patches, width] or [n, width]."""
Swap = Callable[[Mapping[str, Tensor]], Tensor]
"""Given what was taken so far, the swapped hookpoint's own value included, what to put in its place; same shape."""


@dataclass(frozen=True, slots=True)
class Hookpoint:
    """Is one place in a model."""

    kind: Kind
    """`patches`: one vector for each patch token, row-major, class and register tokens left out; `pooled`: one vector
    for the image."""
    width: int
    """Length of the vector."""
    grid: tuple[int, int] | None = None
    """Rows and columns of its patches, where they are not the backbone's, as in the stages of Swin and of CNNs."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Says what of a picture a model sees."""

    side: int
    """Pixels of the square that it takes."""
    shortest: int | None = None
    """The shorter side in pixels to which a picture is brought before its middle is cropped; None stretches it all."""
    to_even: bool = False
    """Whether half a pixel beside the middle is rounded to the even number, as torchvision does, and not down."""

    def first(self, size: int) -> int:
        """Returns where the middle begins, of that many pixels."""
        return round((size - self.side) / 2) if self.to_even else (size - self.side) // 2

    @property
    def least(self) -> int:
        """Returns the pixels of the shorter side below which a picture is enlarged."""
        return self.side if self.shortest is None else self.shortest

    def resized(self, size: tuple[int, int]) -> tuple[int, int]:
        """Returns width and height, in pixels, of a picture of that size before its middle is cropped."""
        assert self.shortest is not None
        least = min(size)
        width, height = (self.shortest if n == least else int(self.shortest * n / least) for n in size)
        return width, height

    def grid(self, size: tuple[int, int], usual: tuple[int, int]) -> tuple[int, int]:
        """Returns rows and columns of the patches of a picture of that width and height; `usual` are those of most."""
        return usual

    def seen(self, size: tuple[int, int]) -> tuple[float, float, float, float]:
        """Returns left, top, right and bottom of what is seen of a picture of that width and height, in its pixels."""
        if self.shortest is None:
            return 0.0, 0.0, float(size[0]), float(size[1])
        edges = []
        for whole, resized in zip(size, self.resized(size), strict=True):
            first = self.first(resized)
            edges.append((first * whole / resized, (first + self.side) * whole / resized))
        (left, right), (top, bottom) = edges
        return left, top, right, bottom


@runtime_checkable
class Framed(Protocol):
    """Describes a backbone that says what of a picture it sees."""

    @property
    def frame(self) -> Frame:
        """Returns what of a picture it sees."""
        ...


class Backbone(Protocol):
    """Describes what a frozen vision model can do.

    Usual hookpoints of a transformer, i counting its blocks from 0: `blocks.i.mlp.in` (what the MLP reads, after its
    layer norm), `blocks.i.mlp.hidden` (its units, after the nonlinearity), `blocks.i.mlp.out` (what it writes, before
    any layer scale), likewise `blocks.i.attn.in`, `.attn.z` (all heads' outputs) and `.attn.out`, `blocks.i.resid` (the
    residual stream after the block), `blocks.i.resid.mid` (between attention and MLP), `embed` (before the first block)
    and `pooled`; `stages.s` in networks of stages; under a trained classifier also `head.0` and `head`. The class token
    is left out of all patch hookpoints: it has no place in the image, so what fires on it has no region to show; it is
    a hookpoint of its own, such as `blocks.i.resid.class`.
    """

    @property
    def name(self) -> str:
        """Returns the name, as `load_backbone` takes it."""
        ...

    @property
    def digest(self) -> str:
        """Returns the SHA-256, hex, of all that activations depend on but the image: weights and preparation."""
        ...

    @property
    def side(self) -> int:
        """Returns the width and height of a prepared image, pixels."""
        ...

    @property
    def patch_grid(self) -> tuple[int, int]:
        """Returns how many rows and columns the patches have, which tile the whole image.

        A hookpoint may have a grid of its own.
        """
        ...

    @property
    def hookpoints(self) -> Mapping[str, Hookpoint]:
        """Returns all hookpoints by name, in the order in which the model passes them."""
        ...

    def prepare(self, image: Image.Image) -> Tensor:
        """Returns [3, side, side]: an RGB image as the model takes it."""
        ...

    def run(self, batch: Tensor, hookpoints: Sequence[str], swap: Mapping[str, Swap] | None = None) -> Activations:
        """Runs a batch and returns its activations, without gradients.

        Args:
            batch: prepared images, [n, 3, side, side].
            hookpoints: names of those to give; what lies beyond the last of them is not computed where that can be
                avoided.
            swap: by hookpoint, what its value is replaced with before the model goes on. A swap sees those of
                `hookpoints` that come before it. Class and register tokens keep their own values.

        Raises:
            SettingsError: there is no such hookpoint.
        """
        ...


def frame_of(backbone: Backbone) -> Frame:
    """Returns what of a picture a backbone sees: all of it, where it does not say."""
    return backbone.frame if isinstance(backbone, Framed) else Frame(backbone.side)


def grid_of(backbone: Backbone, name: str) -> tuple[int, int]:
    """Returns how many rows and columns the patches of a hookpoint have.

    Raises:
        SettingsError: there is no such hookpoint.
    """
    return hookpoint_of(backbone, name).grid or backbone.patch_grid


def check_tokens(backbone: Backbone, reads: str, writes: str) -> None:
    """Sees that two hookpoints have the same tokens, as those of a transcoder must.

    Raises:
        SettingsError: they have not, or one is not there.
    """
    said = []
    for name in (reads, writes):
        kind, (rows, columns) = hookpoint_of(backbone, name).kind, grid_of(backbone, name)
        said.append(f"of {rows} x {columns} patches" if kind == "patches" else "of the image")
    if said[0] != said[1]:
        raise SettingsError(
            f"--writes {writes!r}: is {said[1]}, and {reads!r} is {said[0]}; "
            "a transcoder's two hookpoints have the same tokens"
        )


def hookpoint_of(backbone: Backbone, name: str) -> Hookpoint:
    """Returns the hookpoint of that name.

    Raises:
        SettingsError: there is none.
    """
    if name not in backbone.hookpoints:
        there = hookpoints_in_words(backbone)
        raise SettingsError(f"hookpoint {name!r}: {backbone.name} has none of that name; it has {there}")
    return backbone.hookpoints[name]


def hookpoints_in_words(backbone: Backbone) -> str:
    """Lists hookpoints of a backbone for a message, those of its blocks by kind, without those of class tokens."""
    known = [n for n in backbone.hookpoints if not n.endswith(CLASS_TOKEN)]
    of_blocks = [found for n in known if (found := _OF_BLOCK.fullmatch(n))]
    if len(known) <= 6 or not of_blocks:
        return ", ".join(known if len(known) <= 6 else [*known[:3], "…", *known[-3:]])
    kinds = ", ".join(dict.fromkeys(f".{found[2]}" for found in of_blocks))
    others = [n for n in known if not _OF_BLOCK.fullmatch(n)]
    return "; ".join([f"blocks.0 to blocks.{of_blocks[-1][1]} with {kinds}", *others])


_OF_BLOCK = re.compile(r"blocks\.(\d+)\.(.+)")
