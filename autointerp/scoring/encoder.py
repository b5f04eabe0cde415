"""What scoring asks of the network that is explained: what a feature does on pictures made from the dump's images."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from autointerp.images.alteration import Alteration
from autointerp.schema import Exemplar, Feature, ImageRow
from autointerp.statistics.rates import Floats


class Fired(Protocol):
    """What of a dictionary fires on a picture; arrays of one length."""

    @property
    def latents(self) -> npt.NDArray[np.int32]:
        """The numbers of the latents, ascending."""
        ...

    @property
    def values(self) -> npt.NDArray[np.float32]:
        """How strongly each fires, above 0, raw units."""
        ...

    def of(self, latent: int) -> float:
        """Gives the activation of a latent, 0 where it is not above 0."""
        ...


class PictureEncoder(Protocol):
    """Encodes pictures by the coder and the backbone that made the dump."""

    name: str
    """The coder and the backbone, for the record."""

    def seen(self, size: tuple[int, int]) -> tuple[float, float, float, float]:
        """Gives left, top, right and bottom of what the backbone sees of an image of that size, in its pixels."""
        ...

    async def activations(self, pictures: Sequence[Alteration], feature: int) -> Floats:
        """Gives the feature's activation on each picture in raw units, [n]; NaN where it cannot be made."""
        ...

    def rendered(self, picture: Alteration, side: int) -> Image.Image:
        """Makes a picture whose longest side has at most so many pixels; raises ImageError where it cannot be made."""
        ...

    async def peaks(self, pictures: Sequence[Alteration]) -> Sequence[Fired | None]:
        """Gives what fires on each picture, of all latents; None for one that cannot be made."""
        ...

    async def heats(self, pictures: Sequence[Alteration], feature: int) -> Sequence[bytes | None]:
        """Gives the feature's heat map over each picture, as a dump holds it; None where there is none."""
        ...


class Donor(NamedTuple):
    """Another feature whose regions are shown to the network as a control."""

    feature: Feature
    exemplars: tuple[Exemplar, ...]
    """Images that fire it and, as far as the dump tells, not the feature that is scored."""
    images: Mapping[int, ImageRow]
