"""How large a dump may become, told before a harvest begins."""

from collections.abc import Sequence
from dataclasses import dataclass

from autointerp.errors import ImageError, SettingsError
from autointerp.populations.images import PopulationImage
from autointerp.transcoder.settings import HarvestSettings

N_LOOKED_AT = 1000
"""Files whose sizes are asked for."""
ROW, SILENT_ROW, POOL_ENTRY, IMAGE_ROW = 40, 16, 8, 200
"""Bytes of a row without its heat map, of a silent one, of an activation on the pool, and of an image's row."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """The most that the dumps of a harvest take, about."""

    n_images: int
    """Of the largest dump."""
    paths: int
    """Bytes of all dumps that hold paths."""
    files: int
    """Bytes of all dumps that hold the files."""

    def __str__(self) -> str:
        return (
            f"a dump will hold at most {self.n_images:,} images and take {_megabytes(self.paths)} with --store paths, "
            f"which leaves the images where they are, or {_megabytes(self.files)} with --store bytes; it is much "
            "smaller where most latents fire seldom"
        )


def forecast(
    images: Sequence[PopulationImage], n_latents: Sequence[int], settings: HarvestSettings, n_patches: int
) -> Forecast:
    """Forecasts the size of the dumps of several coders of L latents each.

    Of N images a dump holds the pool of C, and of the others as many as L · A uniform draws meet on the mean, A the
    active rows of a latent: (N - C)(1 - (1 - 1/N)^(L·A)). Real latents share images, and some never fire, so that it
    becomes smaller.

    Args:
        images: the population.
        n_latents: of each coder.
        settings: what is kept.
        n_patches: of a heat map.

    Raises:
        SettingsError: an image is not there any more.
    """
    n_all, n_active = len(images), settings.n_top + settings.n_bands * settings.n_per_band
    pool = min(n_all, max(settings.n_pool, settings.n_silent))
    met = [pool + (n_all - pool) * (1 - (1 - 1 / n_all) ** (n * n_active)) for n in n_latents]
    silent = (settings.n_silent + settings.n_guided) * SILENT_ROW
    of_latent = min(n_all, n_active) * (ROW + n_patches) + silent + pool * POOL_ENTRY
    paths = sum(n * of_latent for n in n_latents) + sum(met) * IMAGE_ROW
    return Forecast(round(max(met)), round(paths), round(paths + sum(met) * _mean_size(images)))


def _mean_size(images: Sequence[PopulationImage]) -> float:
    some = images[:: -(-len(images) // N_LOOKED_AT)]
    try:
        return sum(_size(image) for image in some) / len(some)
    except OSError as e:
        raise SettingsError(f"{e.filename}: cannot be read any more: {e.strerror}; put it back and go on") from e
    except ImageError as e:
        raise SettingsError(f"{e}; it could be read before; put it back and go on") from e


def _size(image: PopulationImage) -> int:
    return len(image.content.read()) if image.path is None else image.path.stat().st_size


def _megabytes(n: float) -> str:
    return f"{n / 1e6:,.1f} MB" if n < 1e9 else f"{n / 1e9:,.1f} GB"
