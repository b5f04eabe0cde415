"""The rows of pictures on a feature's card: its bands, what the explainer saw, where the judge disagreed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autointerp.images.picture import Rendering
from autointerp.reports.labels import number, plural
from autointerp.reports.pictures import PictureBook, Thumb
from autointerp.schema import BAND_STRATA, Exemplar, Explanation, Feature, Score, Scored, Verdict

PER_TOP = 8
PER_BAND = 4
PER_SILENT = 6
PER_ERROR = 6

AS_SHOWN: Mapping[Rendering, str] = {
    "crop": "cropped to the region",
    "outline": "whole, the region outlined",
    "mask": "whole, dimmed outside the region",
    "full": "whole",
}


@dataclass(frozen=True, slots=True)
class Strip:
    """A titled row of pictures."""

    title: str
    note: str
    thumbs: tuple[Thumb, ...]
    tone: str
    """`active`, `silent`, `wrong`: colours the strip's edge."""
    n: int = 0
    """Images that could stand here, shown or not."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """All strips of one card."""

    bands: tuple[Strip, ...]
    seen: tuple[Strip, ...]
    errors: tuple[Strip, ...]
    face: tuple[Thumb, ...]
    """Up to three for the table."""


def pictures_of(
    feature: Feature, explanation: Explanation | None, scores: Sequence[Score], book: PictureBook
) -> Pictures:
    """The strips of one feature; asks `book` for their pictures without making them."""
    maker = _Maker(feature, book)
    seen = maker.seen(explanation) if explanation is not None else ()
    if explanation is not None and explanation.images:
        face_images = _descending(maker.exemplars(explanation.images))
    else:
        face_images = _descending(feature.active)
    return Pictures(
        bands=maker.bands(),
        seen=seen,
        errors=maker.errors(scores),
        face=tuple(maker.thumb(e, book.data.shown_as) for e in face_images[:3]),
    )


@dataclass(frozen=True, slots=True)
class _Maker:
    feature: Feature
    book: PictureBook

    def thumb(self, exemplar: Exemplar, rendering: Rendering, told: str = "", flag: str = "") -> Thumb:
        row = self.book.data.image(exemplar.image)
        known = not math.isnan(exemplar.activation)
        alt = f"Image {exemplar.image}"
        if row.label:
            alt += f", labelled {row.label}"
        if known:
            alt += f", activation {number(exemplar.activation)}"
        caption = told or (number(exemplar.activation) if known and not exemplar.silent else f"#{exemplar.image}")
        return self.book.thumb(exemplar, rendering, f"{alt}{f', {told}' if told else ''}", caption, flag)

    def exemplars(self, images: Sequence[int]) -> list[Exemplar]:
        """Those of the feature, or bare ones for images that the dump does not list with it."""
        known = {e.image: e for e in self.feature.exemplars}
        return [known.get(i) or Exemplar(i, math.nan, "", 1.0, None, None) for i in images]

    def bands(self) -> tuple[Strip, ...]:
        by_stratum: dict[str, list[Exemplar]] = {}
        for exemplar in self.feature.exemplars:
            by_stratum.setdefault(exemplar.stratum, []).append(exemplar)
        bands = [s for s in reversed(BAND_STRATA) if s in by_stratum]
        top = _descending(by_stratum.get("top", []))
        strips = [self._band("Top activations", top, top[:PER_TOP])]
        for i, stratum in enumerate(bands):
            end = " (strongest)" if i == 0 and len(bands) > 1 else " (weakest)" if i == len(bands) - 1 and i else ""
            band = _descending(by_stratum[stratum])
            strips.append(self._band(f"Band {stratum}{end}", band, _spread(band, PER_BAND)))
        for stratum, title in (("guided", "Silent look-alikes"), ("silent", "Silent, drawn uniformly")):
            found = by_stratum.get(stratum, [])
            note = f"{min(len(found), PER_SILENT)} of {len(found)} shown"
            thumbs = tuple(self.thumb(e, "full") for e in found[:PER_SILENT])
            strips.append(Strip(title, note, thumbs, "silent"))
        return tuple(s for s in strips if s.thumbs)

    def _band(self, title: str, ordered: list[Exemplar], chosen: list[Exemplar]) -> Strip:
        note = ""
        if ordered:
            span = f"activation {number(ordered[-1].activation)} to {number(ordered[0].activation)}"
            note = f"{span} · {len(chosen)} of {len(ordered)} shown"
        return Strip(title, note, tuple(self.thumb(e, "outline") for e in chosen), "active")

    def seen(self, explanation: Explanation) -> tuple[Strip, ...]:
        misfits = set(explanation.misfits)
        active = tuple(
            self.thumb(e, self.book.data.shown_as, flag="misfit" if e.image in misfits else "")
            for e in self.exemplars(explanation.images)
        )
        contrast = tuple(self.thumb(e, "full") for e in self.exemplars(explanation.contrast))
        n_misfits = sum(1 for t in active if t.flag)
        note = f"{AS_SHOWN[self.book.data.shown_as]}, in the order of the prompt"
        if n_misfits:
            note += f" · the explainer says {n_misfits} of {len(active)} do not fit"
        strips = [
            Strip("Shown as active", note, active, "active"),
            Strip("Shown as silent, for contrast", "whole, in the order of the prompt", contrast, "silent"),
        ]
        return tuple(s for s in strips if s.thumbs)

    def errors(self, scores: Sequence[Score]) -> tuple[Strip, ...]:
        verdicts = next((s.verdicts for s in scores if isinstance(s, Scored) and _two_sided(s)), ())
        if not verdicts:
            return ()
        silent, active = [v for v in verdicts if not v.active], [v for v in verdicts if v.active]
        return (
            self._wrong("Silent, but the judge said yes", silent, 1.0, "judge: yes"),
            self._wrong("Active, but the judge said no", active, 0.0, "judge: no"),
        )

    def _wrong(self, title: str, asked: list[Verdict], mistaken: float, told: str) -> Strip:
        """Images of one side where the belief is nearer to `mistaken`, 0 or 1, than to what is true."""
        wrong = [v for v in asked if v.belief is not None and abs(v.belief - mistaken) < 0.5]
        note = f"{len(wrong)} of {plural(len(asked), 'image')} asked"
        if open_ones := sum(v.belief is None for v in asked):
            note += f", {open_ones} unanswered"
        if len(wrong) > PER_ERROR:
            note += f", {PER_ERROR} shown"
        exemplars = self.exemplars([v.image for v in wrong[:PER_ERROR]])
        return Strip(title, note, tuple(self.thumb(e, "outline", told) for e in exemplars), "wrong", len(wrong))


def _two_sided(score: Scored) -> bool:
    """Whether both active and silent images were judged, as only then both kinds of error can be seen."""
    return len({v.active for v in score.verdicts}) == 2


def _descending(exemplars: Sequence[Exemplar]) -> list[Exemplar]:
    return sorted(exemplars, key=lambda e: -e.activation)


def _spread(ordered: list[Exemplar], most: int) -> list[Exemplar]:
    """At most `most`, evenly over the order, both ends among them."""
    if len(ordered) <= most:
        return ordered
    return [ordered[round(i * (len(ordered) - 1) / (most - 1))] for i in range(most)]
