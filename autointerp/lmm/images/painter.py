"""Has pictures made through a gateway, and finds their bytes again."""

from collections.abc import Mapping
from typing import NamedTuple

from autointerp.lmm.gateway import Gateway
from autointerp.lmm.images.request import PictureReply, picture_request
from autointerp.lmm.images.store import PictureStore, picture_file
from autointerp.lmm.outcomes import Answer, Failure
from autointerp.lmm.request import Request
from autointerp.schema import Usage


class Painted(NamedTuple):
    """A picture that was made; its bytes lie in the store."""

    sha256: str
    size: tuple[int, int]
    """Width and height in pixels, as it came."""
    usage: Usage


class Painter:
    """Has pictures made through a gateway, which remembers, paces and retries.

    Args:
        gateway: to a client that answers requests for pictures.
        store: where that client puts them.
        model: which model of it.
        fields: what is sent beside the prompt of each, such as `size`.
    """

    def __init__(self, gateway: Gateway, store: PictureStore, model: str, fields: Mapping[str, str]) -> None:
        self.name = model
        self.store = store
        self.gateway = gateway
        self.fields = fields

    async def picture(self, prompt: str, seed: int) -> Painted | Failure:
        """Gives the picture of some words and a seed, made now or before, or why there is none.

        Raises:
            EndpointError: no request of this run can succeed.
        """
        return await self.made(picture_request(self.name, prompt, seed, self.fields))

    async def made(self, request: Request) -> Painted | Failure:
        """Gives the picture that a request asks for; one that is lost from the store is made again.

        Raises:
            EndpointError: no request of this run can succeed.
        """
        answer = await self.gateway.ask(request, PictureReply)
        if isinstance(answer, Answer) and self._lacks(answer.value.sha256, whole=answer.cached):
            await self.gateway.cache.drop(request.key)
            answer = await self.gateway.ask(request, PictureReply)
        if isinstance(answer, Failure):
            return answer
        found = answer.value
        return Painted(found.sha256, (found.width, found.height), answer.usage)

    def _lacks(self, sha256: str, *, whole: bool) -> bool:
        """Whether a picture is lost from the store, or, where it was not made just now, damaged."""
        return self.store.read(sha256) is None if whole else picture_file(self.store.folder, sha256) is None
