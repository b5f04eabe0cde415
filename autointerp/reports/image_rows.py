"""The rows of pictures on a feature's card: its bands, what the explainer saw, where the judge disagreed."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from autointerp.evidence import strata
from autointerp.images.alteration import NO_IMAGE, Alteration, Source, erased, whole
from autointerp.images.picture import Rendering
from autointerp.reports.arithmetic import even_ranks
from autointerp.reports.labels import number, plural
from autointerp.reports.pictures import Thumb
from autointerp.schema import (
    BAND_STRATA,
    Box,
    Counterfactual,
    Exemplar,
    Explanation,
    Feature,
    ImageRow,
    Score,
    Scored,
    Verdict,
)


class Most(NamedTuple):
    """Says how many pictures a row has at most."""

    top: int = 8
    band: int = 4
    silent: int = 6
    error: int = 6


class Book(Protocol):
    """Hands out pictures."""

    @property
    def shown_as(self) -> Rendering:
        """Returns how the explainer saw its active images."""
        ...

    def image(self, number: int, /) -> ImageRow:
        """Returns an image of the dump."""
        ...

    def thumb(self, exemplar: Exemplar, rendering: Rendering, alt: str, caption: str, flag: str = "") -> Thumb:
        """Returns the place for one exemplar."""
        ...

    def altered(self, what: Alteration, alt: str, caption: str, heat: bytes | None = None) -> Thumb:
        """Returns the place for a picture that was made, perhaps with its heat map."""
        ...

    def stored(self, sha256: str, size: tuple[int, int], image: int = NO_IMAGE) -> Source:
        """Returns a picture of the run's folder, and of which image it was made."""
        ...


AS_SHOWN: Mapping[Rendering, str] = {
    "crop": "cropped to the region",
    "outline": "whole, the region outlined",
    "mask": "whole, dimmed outside the region",
    "full": "whole",
}


FILLED: Mapping[str, str] = {
    "mean": "filled with the mean of its border",
    "blur": "blurred",
    "inpaint": "filled smoothly from its border",
    "edited": "painted anew by an image model",
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

    def __init__(self, feature: Feature, book: Book, most: Most = Most()) -> None:  # noqa: B008 - it is frozen
        self._feature = feature
        self._book = book
        self._most = most
        self._known = {e.image: e for e in feature.exemplars}

    def bands(self) -> Iterator[PictureRow]:
        """Yields the top activations, the other bands from strong to weak, and silent images, if there are any."""
        by_stratum = strata(self._feature.exemplars)
        if "top" in by_stratum:
            top = descending(by_stratum["top"])
            yield self._band("Top activations", top, top[: self._most.top])
        bands = [s for s in reversed(BAND_STRATA) if s in by_stratum]
        for stratum in bands:
            which = {bands[0]: " (strongest)", bands[-1]: " (weakest)"}.get(stratum, "") if len(bands) > 1 else ""
            ordered = descending(by_stratum[stratum])
            chosen = [ordered[i] for i in even_ranks(len(ordered), self._most.band)]
            yield self._band(f"Band {stratum}{which}", ordered, chosen)
        for stratum, title in (("guided", "Silent look-alikes"), ("silent", "Silent, drawn uniformly")):
            if found := by_stratum.get(stratum):
                thumbs = tuple(self.thumb(e, "full") for e in found[: self._most.silent])
                level = self._feature.reached_text(found)
                note = f"{len(thumbs)} of {len(found)} shown" + (f" · reached {level}" if level else "")
                yield PictureRow(title, note, thumbs, "silent")

    def seen(self, explanation: Explanation | None) -> Iterator[PictureRow]:
        """Yields what the explainer saw, in the order of the prompt."""
        if explanation is None:
            return
        shown_as, misfits = self._book.shown_as, set(explanation.misfits)
        if active := self.exemplars(explanation.images):
            cropped = explanation.cropped or ()
            thumbs = tuple(
                self.thumb(e, "crop" if e.image in cropped else shown_as, flag="misfit" * (e.image in misfits))
                for e in active
            )
            regions = any(e.box is not None or e.heat is not None for e in active)
            note = f"{AS_SHOWN[shown_as if regions else 'full']}, in the order of the prompt"
            if explanation.cropped is not None:
                note += f" · {len(cropped)} cropped, since the crop alone fires the feature"
            if n_misfits := sum(bool(t.flag) for t in thumbs):
                note += f" · the explainer says {n_misfits} of {len(thumbs)} do not fit"
            yield PictureRow("Shown as active", note, thumbs, "active")
        yield from self._pairs(explanation.counterfactuals or ())
        if contrast := self.exemplars(explanation.contrast):
            thumbs = tuple(self.thumb(e, "full") for e in contrast)
            note = "whole, in the order of the prompt"
            if explanation.counterfactuals is not None:
                note += " · in the place of active images without their region, of which too few fell silent"
            yield PictureRow("Shown as silent, for contrast", note, thumbs, "silent")

    def _pairs(self, pairs: Sequence[Counterfactual]) -> Iterator[PictureRow]:
        """Yields the images that were shown without a region too, each beside itself without it."""
        if not pairs:
            return
        thumbs: list[Thumb] = []
        for exemplar, pair in zip(self.exemplars([pair.image for pair in pairs]), pairs, strict=True):
            what = self._without(pair)
            said = f"#{pair.image} without: {number(pair.activation)}"
            alt = f"Image {pair.image} without the region, {FILLED[pair.how]}, activation {number(pair.activation)}"
            own = self.thumb(exemplar, "outline")
            thumbs += [replace(own, caption=f"#{pair.image}: {own.caption}"), self._book.altered(what, alt, said)]
        filled = " or ".join(dict.fromkeys(FILLED[pair.how] for pair in pairs))
        note = f"the region {filled}; the network says that the feature is then silent"
        yield PictureRow("Shown with and without the region that fired", note, tuple(thumbs), "silent")

    def _without(self, pair: Counterfactual) -> Alteration:
        if pair.how == "edited":
            return whole(self._book.stored(pair.picture or "", pair.size or (1, 1), pair.image))
        return erased(Source.of(self._book.image(pair.image)), Box(*pair.box), pair.how)

    def errors(self, scores: Iterable[Score]) -> Iterator[PictureRow]:
        """Yields where the judge disagrees with the feature, by the first scorer that asked of both kinds of images."""
        verdicts = next((s.verdicts for s in scores if isinstance(s, Scored) and _two_sided(s)), ())
        if verdicts:
            silent, active = [v for v in verdicts if not v.active], [v for v in verdicts if v.active]
            yield self._wrong("Silent, but the judge said yes", silent, 1.0, "judge: yes")
            yield self._wrong("Active, but the judge said no", active, 0.0, "judge: no")

    def face(self, explanation: Explanation | None, n: int, rendering: Rendering) -> tuple[Thumb, ...]:
        """Returns the `n` strongest of what the explainer saw; of what the feature fires on where it saw nothing."""
        seen = self.exemplars(explanation.images) if explanation is not None else []
        return tuple(self.thumb(e, rendering) for e in descending(seen or self._feature.active)[:n])

    def thumb(self, exemplar: Exemplar, rendering: Rendering, told: str = "", flag: str = "") -> Thumb:
        """Returns one picture with its words."""
        label = self._book.image(exemplar.image).label
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

    def exemplars(self, images: Sequence[int]) -> list[Exemplar]:
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
        most = self._most.error
        if len(wrong) > most:
            note += f", {most} shown"
        thumbs = tuple(self.thumb(e, "outline", told) for e in self.exemplars(wrong[:most]))
        return PictureRow(title, note, thumbs, "wrong", len(wrong))


def descending(exemplars: Iterable[Exemplar]) -> list[Exemplar]:
    """Sorts exemplars by activation, the strongest first."""
    return sorted(exemplars, key=lambda e: -e.activation)


def _two_sided(score: Scored) -> bool:
    """Says whether both active and silent images were judged, as only then both kinds of error can be seen."""
    return len({v.active for v in score.verdicts}) == 2
