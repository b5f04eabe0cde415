"""The places of pictures on the explorer's pages: a crop that can be changed for the whole image, with its heat map."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from autointerp.explorer.pictures import CROP, QUALITY, WHOLE, address_of, heat_address_of
from autointerp.explorer.viewed import Viewed
from autointerp.images.alteration import NO_IMAGE, Alteration, Source
from autointerp.images.picture import Picture, Rendering
from autointerp.images.region import tells
from autointerp.images.render import picture_size
from autointerp.reports.image_rows import ImageRows, Most, PictureRow
from autointerp.reports.labels import number, plural
from autointerp.reports.pictures import Thumb, outline_path, stored_source
from autointerp.schema import Exemplar, Feature, ImageRow, Scored, Verdict
from autointerp.tiles import region_box, tile_of

MOST = Most(top=48, band=24, silent=24, error=24)


@dataclass(frozen=True, slots=True)
class Shot(Thumb):
    """Is one picture in its place: `key` is its image's number, `width` and `height` are its crop's."""

    whole_width: int = 0
    whole_height: int = 0
    """Pixels of the whole image as it is served."""
    heat: bool = False
    """Whether there is a heat map."""
    heat_address: str = ""
    """Where the heat map of such a picture is; empty where there is none."""
    address: str = ""
    """Where the picture is, of one that was made of an image; empty for an image's own."""
    whole: bool = False
    """Whether it shows the whole image whatever the page's switch says, since no region fires."""


@dataclass(frozen=True)
class Gallery:
    """Hands out places for pictures of one feature."""

    viewed: Viewed
    feature: Feature

    @property
    def shown_as(self) -> Rendering:
        """How the explainer saw its active images."""
        runs = self.viewed.runs
        renderings = runs[0].info.explain.settings.renderings if runs else ("crop",)
        return "crop" if "crop" in renderings else first if (first := renderings[0]) != "auto" else "outline"

    @cached_property
    def _images(self) -> dict[int, ImageRow]:
        """The feature's images, which cost less together than one by one."""
        return {row.image: row for row in self.viewed.dump.images([e.image for e in self.feature.exemplars])}

    def image(self, number: int) -> ImageRow:
        """An image of the dump."""
        return self._images.get(number) or self.viewed.dump.image(number)

    def thumb(self, exemplar: Exemplar, rendering: Rendering, alt: str, caption: str, flag: str = "") -> Shot:
        """The place for one exemplar."""
        row, grid = self.image(exemplar.image), self.viewed.dump.info.patch_grid
        box = region_box(exemplar, row, grid, self.viewed.evidence.region)
        crop = Picture((tile_of(exemplar, row, "crop", box, grid),), CROP, QUALITY)
        whole = Picture((tile_of(exemplar, row, "full", None, None),), WHOLE, QUALITY)
        size = picture_size(whole)
        return Shot(
            str(exemplar.image),
            *picture_size(crop),
            alt,
            caption,
            flag,
            outline_path(exemplar, row, box, grid, size) if box is not None else "",
            *size,
            heat=grid is not None and tells(exemplar.heat),
            whole=box is None,
        )

    def altered(self, what: Alteration, alt: str, caption: str, heat: bytes | None = None) -> Shot:
        """The place for a picture that was made of an image, or of words."""
        width, height = what.shown
        scale = min(1.0, CROP / max(width, height))
        size = max(1, round(scale * width)), max(1, round(scale * height))
        image = (what.into or what.source).image
        key = "" if image == NO_IMAGE else str(image)
        return Shot(key, *size, alt, caption, address=address_of(what), heat_address=heat_address_of(heat))

    def stored(self, sha256: str, size: tuple[int, int], image: int = NO_IMAGE) -> Source:
        """A picture of the runs' folders."""
        return stored_source(self.viewed.picture_folders, sha256, size, image)

    @cached_property
    def rows(self) -> ImageRows:
        """Chooses the pictures of each row."""
        return ImageRows(self.feature, self, MOST)

    def judged(self, score: Scored) -> list[PictureRow]:
        """Where the judge was wrong, unsure or without an answer, and images near the threshold.

        Each picture states the number of images that it stands for, the heaviest first. A row without any is left out.
        """
        silent = [v for v in score.verdicts if not v.active]
        active = [v for v in score.verdicts if v.active]
        rows = (
            _Judged("Silent, but the judge said yes", "wrong", silent, ("yes",)),
            _Judged("Active, but the judge said no", "wrong", active, ("no",)),
            _Judged("Unsure", "unsure", score.verdicts, ("unsure",)),
            _Judged("No usable answer", "unsure", score.verdicts, ("no answer",)),
            _Judged("Near the threshold, no part of the value", "silent", score.margin, tuple(_ANSWERS)),
        )
        return [self._row(row) for row in rows if row.found]

    def _row(self, row: "_Judged") -> PictureRow:
        found = row.found
        stands = sum(v.weight for v in found)
        note = (
            f"{len(found)} of {plural(len(row.asked), 'image')} asked, standing for about {number(stands)}"
            f"{f' · {MOST.error} shown' if len(found) > MOST.error else ''} · × says how many images one stands for"
        )
        shown = found[: MOST.error]
        exemplars = self.rows.exemplars([v.image for v in shown])
        told = [f"{_answer(v)} ×{number(v.weight)}" for v in shown]
        thumbs = tuple(self.rows.thumb(e, "outline", text) for e, text in zip(exemplars, told, strict=True))
        return PictureRow(row.title, note, thumbs, row.tone, len(found))


_ANSWERS = ("yes", "no", "unsure", "no answer")


@dataclass(frozen=True, slots=True)
class _Judged:
    """Is a row of judged images before its pictures are chosen."""

    title: str
    tone: str
    asked: Sequence[Verdict]
    answers: tuple[str, ...]
    """Those that stand in the row."""

    @property
    def found(self) -> list[Verdict]:
        """Returns the verdicts of the row, those that stand for most images first."""
        return sorted((v for v in self.asked if _answer(v) in self.answers), key=lambda v: -v.weight)


def _answer(verdict: Verdict) -> str:
    if verdict.belief is None:
        return "no answer"
    return "unsure" if verdict.belief == 0.5 else "yes" if verdict.belief > 0.5 else "no"
