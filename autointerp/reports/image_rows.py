"""The rows of pictures on a feature's card: its bands, what the explainer saw, where the judge disagreed."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from autointerp.evidence import strata
from autointerp.images.picture import Rendering
from autointerp.reports.arithmetic import even_ranks
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
class PictureRow:
    """Is a titled row of pictures."""

    title: str
    note: str
    thumbs: tuple[Thumb, ...]
    tone: str
    """`active`, `silent`, `wrong`: colours the row's edge."""
    n: int = 0
    """Images that could stand here, shown or not."""


class ImageRows:
    """Chooses the pictures of one feature; it asks the book for them without making them."""

    def __init__(self, feature: Feature, book: PictureBook) -> None:
        self._feature = feature
        self._book = book
        self._known = {e.image: e for e in feature.exemplars}

    def bands(self) -> Iterator[PictureRow]:
        """Yields the top activations, the other bands from strong to weak, and silent images, if there are any."""
        by_stratum = strata(self._feature.exemplars)
        if "top" in by_stratum:
            top = descending(by_stratum["top"])
            yield self._band("Top activations", top, top[:PER_TOP])
        bands = [s for s in reversed(BAND_STRATA) if s in by_stratum]
        for stratum in bands:
            which = {bands[0]: " (strongest)", bands[-1]: " (weakest)"}.get(stratum, "") if len(bands) > 1 else ""
            ordered = descending(by_stratum[stratum])
            chosen = [ordered[i] for i in even_ranks(len(ordered), PER_BAND)]
            yield self._band(f"Band {stratum}{which}", ordered, chosen)
        for stratum, title in (("guided", "Silent look-alikes"), ("silent", "Silent, drawn uniformly")):
            if found := by_stratum.get(stratum):
                thumbs = tuple(self.thumb(e, "full") for e in found[:PER_SILENT])
                level = self._feature.reached_text(found)
                note = f"{len(thumbs)} of {len(found)} shown" + (f" · reached {level}" if level else "")
                yield PictureRow(title, note, thumbs, "silent")

    def seen(self, explanation: Explanation | None) -> Iterator[PictureRow]:
        """Yields what the explainer saw, in the order of the prompt."""
        if explanation is None:
            return
        shown_as, misfits = self._book.data.shown_as, set(explanation.misfits)
        if active := self._exemplars(explanation.images):
            thumbs = tuple(self.thumb(e, shown_as, flag="misfit" * (e.image in misfits)) for e in active)
            regions = any(e.box is not None or e.heat is not None for e in active)
            note = f"{AS_SHOWN[shown_as if regions else 'full']}, in the order of the prompt"
            if n_misfits := sum(bool(t.flag) for t in thumbs):
                note += f" · the explainer says {n_misfits} of {len(thumbs)} do not fit"
            yield PictureRow("Shown as active", note, thumbs, "active")
        if contrast := self._exemplars(explanation.contrast):
            thumbs = tuple(self.thumb(e, "full") for e in contrast)
            yield PictureRow("Shown as silent, for contrast", "whole, in the order of the prompt", thumbs, "silent")

    def errors(self, scores: Iterable[Score]) -> Iterator[PictureRow]:
        """Yields where the judge disagrees with the feature, by the first scorer that asked of both kinds of images."""
        verdicts = next((s.verdicts for s in scores if isinstance(s, Scored) and _two_sided(s)), ())
        if verdicts:
            silent, active = [v for v in verdicts if not v.active], [v for v in verdicts if v.active]
            yield self._wrong("Silent, but the judge said yes", silent, 1.0, "judge: yes")
            yield self._wrong("Active, but the judge said no", active, 0.0, "judge: no")

    def face(self, explanation: Explanation | None, n: int, rendering: Rendering) -> tuple[Thumb, ...]:
        """Returns the `n` strongest of what the explainer saw; of what the feature fires on where it saw nothing."""
        seen = self._exemplars(explanation.images) if explanation is not None else []
        return tuple(self.thumb(e, rendering) for e in descending(seen or self._feature.active)[:n])

    def thumb(self, exemplar: Exemplar, rendering: Rendering, told: str = "", flag: str = "") -> Thumb:
        """Returns one picture with its words."""
        label = self._book.data.image(exemplar.image).label
        known = not math.isnan(exemplar.activation)
        alt = f"Image {exemplar.image}"
        alt += f", labelled {label}" if label else ""
        alt += f", activation {number(exemplar.activation)}" if known else ""
        alt += f", {told}" if told else ""
        level = self._feature.reached_text([exemplar])
        caption = told or (
            number(exemplar.activation) if known and not exemplar.silent else level or f"#{exemplar.image}"
        )
        return self._book.thumb(exemplar, rendering, alt, caption, flag)

    def _exemplars(self, images: Sequence[int]) -> list[Exemplar]:
        """Returns those of the feature, or bare ones for images that the dump does not list with it."""
        return [self._known.get(i) or Exemplar(i, math.nan, "", 1.0, None, None) for i in images]

    def _band(self, title: str, ordered: list[Exemplar], chosen: list[Exemplar]) -> PictureRow:
        span = f"activation {number(ordered[-1].activation)} to {number(ordered[0].activation)}"
        note = f"{span} · {len(chosen)} of {len(ordered)} shown"
        return PictureRow(title, note, tuple(self.thumb(e, "outline") for e in chosen), "active")

    def _wrong(self, title: str, asked: list[Verdict], mistaken: float, told: str) -> PictureRow:
        """Shows images of one side where the belief is nearer to `mistaken`, 0 or 1, than to what is true."""
        wrong = [v.image for v in asked if v.belief is not None and abs(v.belief - mistaken) < 0.5]
        note = f"{len(wrong)} of {plural(len(asked), 'image')} asked"
        if unanswered := sum(v.belief is None for v in asked):
            note += f", {unanswered} unanswered"
        if len(wrong) > PER_ERROR:
            note += f", {PER_ERROR} shown"
        thumbs = tuple(self.thumb(e, "outline", told) for e in self._exemplars(wrong[:PER_ERROR]))
        return PictureRow(title, note, thumbs, "wrong", len(wrong))


def descending(exemplars: Iterable[Exemplar]) -> list[Exemplar]:
    """Sorts exemplars by activation, the strongest first."""
    return sorted(exemplars, key=lambda e: -e.activation)


def _two_sided(score: Scored) -> bool:
    """Says whether both active and silent images were judged, as only then both kinds of error can be seen."""
    return len({v.active for v in score.verdicts}) == 2
