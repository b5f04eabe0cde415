"""What the embedded model can do for whoever answers a question with it: look at pictures, weigh texts, explain."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from autointerp.images.picture import Tile
from autointerp.lmm.local.windows import cut, windows
from autointerp.lmm.request import ImagePart, Request, Role
from autointerp.replies import ExplainReply, Fit
from autointerp.schema import Box

if TYPE_CHECKING:
    from autointerp.lmm.local.vision_encoder import View

SIDE = 224
"""Tiles are rendered at no more than what the network reads."""
CROP_SHARE, WHOLE_SHARE = 0.35, 0.65
"""Weights of the region alone and of the whole image where a request shows both."""

TileKey = tuple[str, int]


class LocalModel:
    """The pictures of one request as the embedded model sees them, and its judgement of texts.

    Args:
        request: the question.
        seen: a view for each key that `looked_at` gives.
    """

    def __init__(self, request: Request, seen: "Mapping[TileKey, View]") -> None:
        self._parts = image_parts(request)
        self._seen = seen

    def numbered(self, role: Role) -> "dict[int, View]":
        """One view for each number of a role, in order; the crop and the whole image of one number are blended."""
        from autointerp.lmm.local.vision_encoder import blend

        found: dict[int, list[tuple[View, bool]]] = {}
        for part in self._parts:
            if part.role != role:
                continue
            for number, (tile, side) in zip(part.numbers, _tiles(part), strict=True):
                found.setdefault(number, []).append((self._seen[_key(tile, side)], tile.rendering != "crop"))
        blended: dict[int, View] = {}
        for number, views in found.items():
            whole = [is_whole for _, is_whole in views]
            shares = [WHOLE_SHARE if is_whole else CROP_SHARE for is_whole in whole]
            blended[number] = blend([view for view, _ in views], shares, whole)
        return blended

    def windows(self) -> "list[tuple[Box, View]]":
        """The places of the request's whole image, in thousandths of its width and height, with what is seen there."""
        views = [self._seen[_key(tile, side)] for part in self._parts for tile, side in _windows(part)]
        return list(zip(windows(), views, strict=True))

    def beliefs(self, text: str, views: "Collection[View]") -> list[float]:
        """How well a text holds for each view, 0 to 1."""
        from autointerp.lmm.local.judge import beliefs
        from autointerp.lmm.local.tables import tables
        from autointerp.lmm.local.text import text_encoder

        return beliefs(text, list(views), tables(), text_encoder().encode)

    def fits(self, text: str, views: "Collection[View]") -> list[Fit]:
        """Whether a text holds for each view, in one of three words."""
        from autointerp.lmm.local.judge import judge
        from autointerp.lmm.local.tables import tables
        from autointerp.lmm.local.text import text_encoder

        return judge(text, list(views), tables(), text_encoder().encode)

    def likeness(self, first: str, second: str) -> float:
        """How near two texts are in meaning: the cosine of their vectors."""
        from autointerp.lmm.local.sentences import meaning_of

        return float(meaning_of(first) @ meaning_of(second))

    def explained(self, active: "Sequence[View]", silent: "Sequence[View]", weak: Sequence[bool]) -> ExplainReply:
        """What the active views have in common; `explainer.explain` says more."""
        from autointerp.lmm.local.explainer import explain
        from autointerp.lmm.local.tables import tables

        return explain(active, silent, tables(), weak=weak)


@dataclass(frozen=True, slots=True)
class LocalAnswerer:
    """How the embedded model answers one kind of question."""

    reply: Callable[[Request, LocalModel], Mapping[str, object]]
    """Gives the reply as a JSON object. Its source is part of the model's name, by which answers are cached, so that
    the body holds all that it decides by."""
    searches: bool = False
    """Whether it looks through windows of the whole image, to find a place."""


def looked_at(request: Request, *, searches: bool) -> dict[TileKey, tuple[Tile, int]]:
    """The tiles of a request that are looked at, each with its longest side in pixels, by a key that names both."""
    choose = _windows if searches else _tiles
    return {_key(tile, side): (tile, side) for part in image_parts(request) for tile, side in choose(part)}


def image_parts(request: Request) -> list[ImagePart]:
    """The pictures of a request, in order."""
    return [p for m in request.messages for p in m.parts if isinstance(p, ImagePart)]


def unmarked(tile: Tile) -> Tile:
    """The tile without marks: those of `outline` and `mask` are drawn for other readers."""
    if tile.rendering in ("outline", "mask"):
        return replace(tile, rendering="full", box=None, heat=None, grid=None)
    return tile


def _tiles(part: ImagePart) -> list[tuple[Tile, int]]:
    side = min(SIDE, part.picture.side)
    return [(unmarked(tile), side) for tile in part.picture.tiles]


def _windows(part: ImagePart) -> list[tuple[Tile, int]]:
    return [(window, SIDE) for tile in part.picture.tiles for window in cut(tile)]


def _key(tile: Tile, side: int) -> TileKey:
    return json.dumps(tile.recipe()), side
