"""What a harvest keeps of each latent: every default in one place, with its bounds and one sentence."""

from pydantic import Field, NonNegativeInt, PositiveInt

from autointerp.record import Record


class HarvestSettings(Record):
    """Which images become evidence for a latent."""

    n_top: PositiveInt = 24
    """Images of highest activation kept a latent: stratum `top`."""
    n_bands: int = Field(default=4, ge=1, le=9)
    """Bands into which the other images that fire it are cut by activation: strata `q1`, `q2`, …"""
    n_per_band: PositiveInt = 5
    """Images drawn in each band."""
    n_silent: NonNegativeInt = 60
    """Images drawn uniformly for all latents at once, of which a latent keeps those on which it is silent."""
    n_guided: NonNegativeInt = 40
    """Silent look-alikes drawn a latent, on the mean."""
    active_above: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """A latent fires on an image when its activation is greater than this, raw units; None finds it by `density`."""
    density: float = Field(default=0.02, gt=0, lt=1)
    """Share of the images on which half of the latents fire at least, where `active_above` is found from 256."""
    n_reservoir: PositiveInt = 64
    """Firing images below the top that the bands are cut from, at least; raised to a multiple of the bands."""
    n_pool: PositiveInt = 2048
    """Images drawn uniformly, of which every latent's activation is kept: look-alikes and parents are sought there."""
    attribute: str = Field(default="physical error", min_length=1)
    """Name of what the labels are about."""
    seed: NonNegativeInt = 0
    """Of every draw."""
    shard: PositiveInt = 512
    """Images between two checkpoints."""

    @property
    def reservoir(self) -> int:
        """Size of a latent's reservoir: a multiple of the bands, so that each holds the same number of it."""
        return self.n_bands * max(self.n_per_band, -(-self.n_reservoir // self.n_bands))
