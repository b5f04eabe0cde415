"""A judge that looks: a client that reads each cell of the pictures it is sent, and knows nothing else."""

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from io import BytesIO

import numpy as np
from PIL import Image

from autointerp.images.picture import Picture, Tile
from autointerp.images.render import sheet_cell, tile_size
from autointerp.lmm.request import Completion, ImagePart, Images, Request, TextPart
from benchmarks.truth.looking.pixels import Pixels, read
from benchmarks.truth.looking.things import Concept, Things, fits

DESCRIBED = "Description: "
"""What the judging prompt puts before the text."""


@dataclass(frozen=True)
class Errs:
    """How often a judge is wrong about what it has seen."""

    name: str
    misses: float = 0.0
    """The share of fitting pictures that it denies."""
    false_yes: float = 0.0
    sight: float = 0.0
    """The pixels that a thing must have on a side to be seen; its dot and its stripes must have half as many."""

    def sees(self, things: Things, side: int) -> Things:
        """What it makes of the things of a cell of so many pixels on its longer side."""
        if not self.sight:
            return things
        pixels = things.side * side
        return replace(
            things,
            there=things.there & (pixels >= self.sight),
            dot=np.where(pixels / 3 >= self.sight / 2, things.dot, 0),
            texture=np.where(pixels / 4 >= self.sight / 2, things.texture, UNSEEN),
        )


UNSEEN = -1
"""A texture that cannot be told."""
PERFECT = Errs("perfect")
ERRING = Errs("misses 10 %, false yes 2 %", 0.1, 0.02)
SHORT_SIGHTED = Errs("sees what has 28 px", sight=28.0)
"""A token of many models stands for 28 by 28 pixels."""


@dataclass
class Looking:
    """A judge of one feature's pictures, as the client of a gateway."""

    errs: Errs
    concepts: Mapping[str, Concept]
    """What the feature's own texts mean."""
    seen: dict[str, list[Things]] = field(default_factory=dict)
    """What is on each picture, by its digest: a cell an entry."""
    cells: dict[str, list[Pixels]] = field(default_factory=dict)
    shown: dict[str, tuple[Tile, ...]] = field(default_factory=dict)
    """What each picture is of, for statistics of its cells; the judge does not read it."""

    async def complete(self, request: Request, images: Images, slot: AbstractAsyncContextManager[object]) -> Completion:
        """Reads the description from the words of the request and everything else from its pictures."""
        text = described(request)
        cells: dict[int, list[tuple[Pixels, Things]]] = {}
        for part in (p for m in request.messages for p in m.parts if isinstance(p, ImagePart)):
            picture = part.picture
            if picture.digest not in self.seen:
                sent = np.asarray(Image.open(BytesIO((await images.jpegs([picture]))[0])).convert("RGB"))
                self.cells[picture.digest] = cells_of(picture, sent)
                self.shown[picture.digest] = picture.tiles
                self.seen[picture.digest] = [read(cell) for cell in self.cells[picture.digest]]
            found = zip(self.cells[picture.digest], self.seen[picture.digest], strict=True)
            for number, cell in zip(part.numbers, found, strict=True):
                cells.setdefault(number, []).append(cell)
        async with slot:
            reply = {f"image_{i}": "yes" if self._says(text, own) else "no" for i, own in sorted(cells.items())}
            return Completion(json.dumps(reply), 0, 0, 0, "stop", None, "looking")

    def _says(self, text: str, cells: Sequence[tuple[Pixels, Things]]) -> bool:
        """Of a place, of size and of framing the first cell speaks alone; of looks also a part that is enlarged."""
        concept = self.concepts.get(text)
        looks = concept is not None and not concept.zone
        asked = cells if looks else cells[:1]
        views = [self.errs.sees(things, max(cell.shape[:2])) for cell, things in asked]
        yes = any(bool(fits(text, dict(self.concepts), view)[0]) for view in views)
        luck = int(sha256(text.encode() + cells[0][0].tobytes()).hexdigest()[:8], 16) / 2**32
        return yes != (luck < (self.errs.misses if yes else self.errs.false_yes))


def described(request: Request) -> str:
    """The text in question, as the prompt states it."""
    words = "\n".join(p.text for m in request.messages for p in m.parts if isinstance(p, TextPart))
    return words.partition(DESCRIBED)[2].partition("\n")[0].strip()


def cells_of(picture: Picture, sent: Pixels) -> list[Pixels]:
    """Cuts a picture as it was sent into what it shows of each image."""
    if not picture.columns:
        return [sent]
    out: list[Pixels] = []
    for place, tile in enumerate(picture.tiles):
        cell = sheet_cell(place, picture.columns, picture.side)
        w, h = tile_size(tile, picture.side, picture.least)
        x, y = cell.frame.x0 + (cell.frame.width - w) // 2, cell.frame.y0 + (cell.frame.height - h) // 2
        out.append(sent[y : y + h, x : x + w])
    return out
