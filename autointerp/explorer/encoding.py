"""What encodes an image that somebody drops onto a page; the work is the transcoders', which bring torch."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from autointerp.transcoder.fired import FiredOn


class ImageEncoder(Protocol):
    """Runs one image at a time through a backbone and a coder."""

    @property
    def name(self) -> str:
        """Returns what it is, in words."""
        ...

    @property
    def directions(self) -> npt.NDArray[np.float32] | None:
        """Returns the decoder's vectors, [n_latents, d], each of length 1 or 0; None where latents write nothing."""
        ...

    def encode(self, data: bytes, /, *, above: float, most: int) -> FiredOn:
        """Says which latents fire on an image.

        Args:
            data: its file.
            above: a latent fires when its activation is greater than this.
            most: how many are given, the strongest ones.

        Raises:
            ImageError: it cannot be decoded.
            SettingsError: an activation is not finite.
        """
        ...
