"""What fires on one image, as whoever shows it needs it; loads no torch."""

from typing import NamedTuple


class FiredLatent(NamedTuple):
    """Is one latent that fires on an image."""

    latent: int
    activation: float
    """The maximum over the image's patches; raw units."""
    heat: bytes | None
    """rows·cols bytes, row-major, 0–255 of the maximum; None where the coder reads one vector an image."""


class FiredOn(NamedTuple):
    """Holds what fires on an image."""

    size: tuple[int, int]
    """Width and height of the image in pixels, as displayed."""
    grid: tuple[int, int] | None
    """Rows and columns of the heat maps."""
    latents: tuple[FiredLatent, ...]
    """The strongest first."""
    n: int
    """How many fire, those left out of `latents` included."""
