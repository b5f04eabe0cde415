"""Images with a region that an image model painted anew, all else of them as it was."""

import asyncio
import io
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from autointerp.errors import ImageError
from autointerp.images.alteration import NO_IMAGE, Alteration, Source, pasted, whole
from autointerp.images.picture import Tile
from autointerp.lmm.images.edits import canvas_of, edit_request
from autointerp.lmm.images.painter import Painter
from autointerp.lmm.images.store import picture_file
from autointerp.lmm.outcomes import Failure
from autointerp.lmm.request import TextPart
from autointerp.prompts import Prompt
from autointerp.schema import Box, ImageRow, Usage
from autointerp.scoring.encoder import PictureEncoder
from autointerp.scoring.judge import SETTLED


class Edited(NamedTuple):
    """An image with a region painted anew."""

    picture: Alteration
    """All of it, as the network is shown it."""
    file: Path
    usage: Usage


def is_settled(failure: Failure) -> bool:
    """Whether painting would fail again."""
    return failure.kind in SETTLED


@dataclass(frozen=True, slots=True)
class Editor:
    """Has regions painted anew.

    An image model may change what it should leave alone, and answers in a size of its own. So of what it painted the
    region alone is put into the image.
    """

    painter: Painter
    template: Prompt
    seed: int

    async def edited(self, image: ImageRow, box: Box, encoder: PictureEncoder) -> Edited | Failure:
        """Gives the image with the region painted, made now or before, or why there is none.

        Args:
            image: a row of the dump.
            box: the region, in pixels of the image.
            encoder: reads the dump's images.

        Raises:
            EndpointError: no request of this run can succeed.
        """
        size = (image.width, image.height)
        tile = Tile(image.image, image.sha256, size, "full", None)
        fields, store = self.painter.fields, self.painter.store
        painted = await self.painter.made(edit_request(self.painter.name, self._prompt(), self.seed, fields, tile, box))
        if isinstance(painted, Failure):
            return painted
        canvas, file = canvas_of(fields, size), picture_file(store.folder, painted.sha256)
        source = Source(NO_IMAGE, painted.sha256, painted.size, file)
        put = pasted(source, canvas.of(box, painted.size), Source.of(image), box)
        try:
            made = await asyncio.to_thread(encoder.rendered, put, max(canvas.size))
        except ImageError as e:
            return Failure("image", str(e), 0)
        sha256 = await asyncio.to_thread(store.put, _png(made), "PNG")
        kept = picture_file(store.folder, sha256)
        assert kept is not None
        return Edited(whole(Source(NO_IMAGE, sha256, made.size, kept)), kept, painted.usage)

    def _prompt(self) -> str:
        parts = self.template.fill({}, ())[-1].parts
        return "\n".join(part.text for part in parts if isinstance(part, TextPart))


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
