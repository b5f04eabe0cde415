"""A client of vLLM servers that sends each picture once and names it by its digest from then on."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial

from PIL import Image

from autointerp.images.picture import Picture, Tile
from autointerp.lmm.body import build_body
from autointerp.lmm.cache import Cache
from autointerp.lmm.openai_client import OpenAIClient
from autointerp.lmm.outcomes import CallError
from autointerp.lmm.request import Completion, Images, Request

REMEMBERED = 200_000
"""Digests kept in memory, some 30 MB; those not used for longest go first."""
GIVE_UP = 3
"""Refusals in a row, with no named picture accepted between, after which bytes are sent for the rest of the run."""
UNKNOWN = "image_uuid"
"""Kind of the failure, which is tried again with the bytes."""


class UuidClient(OpenAIClient):
    """Answers over HTTP; a picture that the server has seen is neither made nor sent again.

    vLLM keeps what it made of a picture under the `uuid` that came with it, and takes null for the picture itself as
    long as it has it. Its store is bounded: what it has dropped it refuses, and then the bytes are sent again. The uuid
    is the digest of the picture's recipe, so that equal ones are equal pixels. A server that takes null for a picture
    that it never had would answer blindly: for vLLM only.

    Args:
        base_url: as for `OpenAIClient`, like all others.
        timeout: seconds for one call.
        connections: most connections open at once.
        cache: where the endpoint's dialect is remembered.
        say: told where it answers.
    """

    _build = staticmethod(partial(build_body, uuids=True))

    def __init__(
        self,
        base_url: str | None,
        *,
        timeout: float,
        connections: int,
        cache: Cache,
        say: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__(base_url, timeout=timeout, connections=connections, cache=cache, say=say)
        self._there: OrderedDict[str, None] = OrderedDict()
        self._refusals = 0

    async def complete(self, request: Request, images: Images, slot: AbstractAsyncContextManager[object]) -> Completion:
        """Asks once, naming the pictures that the server should have.

        Raises:
            CallError: the call failed; where pictures were named it may be tried again, and then sends their bytes.
            ImageError: a picture cannot be made.
        """
        digests = [p.digest for p in request.pictures]
        named = frozenset(d for d in digests if d in self._there) if self._refusals < GIVE_UP else frozenset()
        try:
            completion = await super().complete(request, _Unnamed(images, named), slot)
        except CallError as e:
            if not named or e.remedy is not None or not _about_pictures(e):
                raise
            self._refusals += 1
            for digest in named:
                self._there.pop(digest, None)
            raise CallError(UNKNOWN, e.message, again=True, retry_after=0.0) from e
        self._refusals = 0 if named else self._refusals
        for digest in digests:
            self._there[digest] = None
            self._there.move_to_end(digest)
        while len(self._there) > REMEMBERED:
            self._there.popitem(last=False)
        return completion


class _Unnamed:
    """Makes the pictures that are not named; those that are stand as no bytes."""

    def __init__(self, images: Images, named: frozenset[str]) -> None:
        self._images = images
        self._named = named

    async def jpeg(self, picture: Picture) -> bytes:
        return (await self.jpegs([picture]))[0]

    async def jpegs(self, pictures: Sequence[Picture]) -> list[bytes]:
        made = iter(await self._images.jpegs([p for p in pictures if p.digest not in self._named]))
        return [b"" if p.digest in self._named else next(made) for p in pictures]

    async def tile(self, tile: Tile, side: int) -> Image.Image:
        return await self._images.tile(tile, side)


def _about_pictures(error: CallError) -> bool:
    """A refusal that the bytes may mend: to an unknown uuid vLLM says 400, or 500 as to other errors of its input."""
    return error.kind in ("http_400", "http_422", "http_500")
