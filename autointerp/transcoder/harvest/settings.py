"""What a harvest keeps of each latent: every default in one place, with its bounds and one sentence."""

from typing import Annotated, ClassVar

from annotated_types import Ge
from pydantic import AllowInfNan, Field, NonNegativeInt, PositiveInt

from autointerp.options import Option, Settings
from autointerp.transcoder.settings import number_or


class HarvestSettings(Settings):
    """Which images become evidence for a latent."""

    panel: ClassVar[str] = "Evidence"

    n_top: Annotated[PositiveInt, Option("--top")] = 24
    """How many images of highest activation are kept of each latent: stratum `top`."""
    n_bands: Annotated[int, Option("--bands")] = Field(default=4, ge=1, le=9)
    """Into how many bands the other images that fire a latent are cut by activation: strata `q1`, `q2`, …"""
    n_per_band: Annotated[PositiveInt, Option("--per-band")] = 5
    """How many images are drawn in each band."""
    n_silent: Annotated[NonNegativeInt, Option("--silent")] = 60
    """How many images are drawn for all latents at once; a latent keeps those on which it is silent."""
    n_guided: Annotated[NonNegativeInt, Option("--guided")] = 40
    """How many silent look-alikes are drawn of each latent, on the mean."""
    active_above: Annotated[
        Annotated[float, Ge(0), AllowInfNan(False)] | None,
        number_or("auto"),
        Option(default="auto", metavar="auto|NUMBER"),
    ] = None
    """The activation above which a latent fires on an image; `auto` finds it by --density."""
    density: float = Field(default=0.02, gt=0, lt=1)
    """Half of the latents fire on this share of the images or more, where --active-above is found."""
    n_reservoir: Annotated[PositiveInt, Option("--reservoir")] = 64
    """From how many images below the top the bands are cut, at least; it is raised to a multiple of the bands."""
    n_pool: Annotated[PositiveInt, Option("--pool")] = 2048
    """Among how many images look-alikes and parents are sought."""
    attribute: str = Field(default="physical error", min_length=1)
    """The name of what the labels are about."""
    seed: NonNegativeInt = 0
    """The seed of every draw."""
    shard: PositiveInt = 512
    """How many images lie between two checkpoints."""

    @property
    def reservoir(self) -> int:
        """Size of a latent's reservoir: a multiple of the bands, so that each holds the same number of it."""
        return self.n_bands * max(self.n_per_band, -(-self.n_reservoir // self.n_bands))
