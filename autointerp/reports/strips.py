"""What the network did on pictures made of a feature's images (the region alone, taken away, elsewhere) or of words."""

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from autointerp.dump.pictures import source_pixels
from autointerp.dump.reader import Dump
from autointerp.errors import ImageError
from autointerp.images.alteration import Alteration, Source, altered, crop, erased, pasted, whole
from autointerp.reports.image_rows import Book, PictureRow
from autointerp.reports.labels import number, plural
from autointerp.reports.pictures import Thumb
from autointerp.reports.unfired import CAUSAL
from autointerp.schema import Box, Feature, Generated, Reencoded, Score, Scored

GENERATION = "generation"
MOST = 4
"""Images whose pictures are shown: those that the region alone fires least come first."""
QUALITY = 55


@dataclass(frozen=True, slots=True)
class Strips:
    """Makes the strips of one feature."""

    feature: Feature
    book: Book

    def rows(self, scores: Mapping[str, Score]) -> Iterator[PictureRow]:
        """Yields a row for each of some images; none where the network was not asked."""
        score = scores.get(CAUSAL)
        if not isinstance(score, Scored):
            return
        ordered = sorted(score.reencoded, key=lambda one: one.crop / one.activation)
        for one in ordered[:MOST]:
            thumbs = tuple(self._thumbs(one))
            level = f"activation {number(one.activation)}, fires above {number(self.feature.active_above)}"
            yield PictureRow(f"Image {one.image}", level, thumbs, "active", len(score.reencoded))

    def made(self, scores: Mapping[str, Score]) -> Iterator[PictureRow]:
        """Yields the pictures that were made of the explanation; none where nobody made any."""
        score = scores.get(GENERATION)
        if not isinstance(score, Scored) or not score.generated:
            return
        fires = sum(one.fires for one in score.generated)
        note = (
            f"{fires} of {plural(len(score.generated), 'picture')} fire it, above {number(self.feature.active_above)}"
        )
        thumbs = tuple(map(self._generated, score.generated))
        yield PictureRow("Made of the explanation alone", note, thumbs, "active", len(thumbs))

    def _generated(self, one: Generated) -> Thumb:
        said = "fires" if one.fires else "silent"
        level = f"{said}, activation {number(one.activation)}"
        heat = bytes.fromhex(one.heat) if one.heat is not None else None
        source = self.book.stored(one.picture, (one.width, one.height))
        alt, caption = f"{one.style}: {level}. {one.prompt}", f"{one.style}: {said}, {number(one.activation)}"
        return self.book.altered(whole(source), alt, caption, heat)

    def _thumbs(self, one: Reencoded) -> Iterator[Thumb]:
        source, box = Source.of(self.book.image(one.image)), Box(*one.box)
        yield self._thumb(crop(source, box), "alone", one.crop)
        yield self._thumb(erased(source, box, "mean"), "taken away", one.mean)
        if one.into is not None and one.at is not None and one.pasted is not None:
            into = Source.of(self.book.image(one.into))
            yield self._thumb(pasted(source, box, into, Box(*one.at)), f"put into image {one.into}", one.pasted)

    def _thumb(self, what: Alteration, words: str, level: float) -> Thumb:
        said = "fires" if level > self.feature.active_above else "silent"
        return self.book.altered(
            what, f"The region {words}: {said}, activation {number(level)}", f"{words}: {said}, {number(level)}"
        )


def altered_jpegs(dump: Dump) -> Callable[[Alteration, int], bytes]:
    """Gives what makes pictures of a dump's images, as a JPEG whose longest side is at most so many pixels.

    It raises ImageError for an image that cannot be decoded, and where a package is missing.
    """

    def made(what: Alteration, side: int) -> bytes:
        try:
            picture = altered(what, partial(source_pixels, dump), lambda _: 2 * side)
        except ModuleNotFoundError as e:
            raise ImageError(f"image {what.source.image}: filling its region takes {e.name}") from e
        picture.thumbnail((side, side))
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=QUALITY)
        return buffer.getvalue()

    return made
