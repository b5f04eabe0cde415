"""What of an image a tool showed its model, where that is not the whole: where heat maps lie."""

from dataclasses import dataclass

from autointerp.transcoder.backbones.protocol import Frame


@dataclass(frozen=True, slots=True)
class Squeezed(Frame):
    """The image is squeezed to a square of `shortest` pixels, of which the middle is cropped."""

    def resized(self, size: tuple[int, int]) -> tuple[int, int]:
        """Returns width and height, in pixels, of a picture of that size before its middle is cropped."""
        assert self.shortest is not None
        return self.shortest, self.shortest


@dataclass(frozen=True, slots=True)
class Flexible(Frame):
    """The image is squeezed to as many patches as always, in rows and columns that are nearest to its proportions.

    This is saev's `resize_to_patch_grid`, to the letter. `side` counts the patches.
    """

    def grid(self, size: tuple[int, int], usual: tuple[int, int]) -> tuple[int, int]:
        """Returns rows and columns of the patches of a picture of that width and height."""
        n, aspect = self.side, size[0] / size[1]
        small = [i for i in range(1, int(n**0.5 + 1)) if n % i == 0]
        # Of two that are as near the first one counts, the smaller divisor before the greater.
        columns = min((d for i in small for d in (i, n // i)), key=lambda d: abs(d / (n // d) - aspect))
        return n // columns, columns

    def seen(self, size: tuple[int, int]) -> tuple[float, float, float, float]:
        """Returns all of the picture: left, top, right and bottom."""
        return 0.0, 0.0, float(size[0]), float(size[1])


def cropped(text: str) -> Frame:
    """Returns the frame of a text such as `256:224` (torchvision's Resize and CenterCrop) or `256x256:224`."""
    resize, side = text.split(":")
    shortest, squeezed, _ = resize.partition("x")
    return (Squeezed if squeezed else Frame)(int(side), int(shortest))
