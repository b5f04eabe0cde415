"""What scoring asks of an embedder: it turns crops and texts into vectors of one space."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from autointerp.images.picture import Picture
from autointerp.lmm.outcomes import Failure

Vectors = npt.NDArray[np.float32]


class Embedder(Protocol):
    """Embeds pictures and texts; vectors are of unit length.

    Raises:
        EndpointError: no request of this run can succeed.
    """

    name: str
    """The name of the model, for the record."""

    async def pictures(self, pictures: Sequence[Picture]) -> Vectors | Failure:
        """Gives one vector for each picture, [n, d]."""
        ...

    async def texts(self, texts: Sequence[str]) -> Vectors | Failure:
        """Gives one vector for each text, [n, d]."""
        ...
