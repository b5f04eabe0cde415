"""The embedded model as an embedder: crops and texts as vectors of its sentence space."""

import asyncio
from contextlib import AbstractAsyncContextManager
from threading import Lock
from typing import TYPE_CHECKING

from autointerp.lmm.embedding import RENDERING, VectorReply, encoded
from autointerp.lmm.local.client import require_extra
from autointerp.lmm.local.model import SIDE, unmarked
from autointerp.lmm.local.sentences import meaning_of
from autointerp.lmm.request import Completion, Images, Request, TextPart

if TYPE_CHECKING:
    from PIL.Image import Image

    from autointerp.lmm.local.tables import Floats


class LocalEmbeddings:
    """Answers the task `embed`: a crop by what the eye makes of it, a text by the sentence encoder, centred."""

    def __init__(self) -> None:
        """Keeps the settings; nothing is loaded yet.

        Raises:
            AutointerpError: the extra is not installed.
        """
        require_extra()
        self._busy = Lock()
        self._looking = asyncio.Semaphore(RENDERING)

    async def complete(self, request: Request, images: Images, slot: AbstractAsyncContextManager[object]) -> Completion:
        """One vector, as a `VectorReply`; the work is done in a thread."""
        (part,) = request.messages[0].parts
        async with self._looking:
            if isinstance(part, TextPart):
                what: str | Image = part.text
            else:
                (tile,) = part.picture.tiles
                what = await images.tile(unmarked(tile), min(SIDE, part.picture.side))
            async with slot:
                vector = await asyncio.to_thread(self._embed, what)
        return Completion(VectorReply(vector=encoded(vector)).model_dump_json(), 0, 0, 0, "stop", None, request.model)

    def _embed(self, what: "str | Image") -> "Floats":
        # One at a time: torch already uses every core for one.
        with self._busy:
            return meaning_of(what) if isinstance(what, str) else _seen(what)


def _seen(picture: "Image") -> "Floats":
    from autointerp.lmm.local.network import network
    from autointerp.lmm.local.tables import tables
    from autointerp.lmm.local.vision_encoder import meanings

    return meanings(network().look([picture]), tables())[0]
