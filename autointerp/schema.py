"""The records that stages hand to each other: features with their evidence, explanations, scores, failures."""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, FiniteFloat

from autointerp.candidates import Sampled
from autointerp.interactive import Here, Shown
from autointerp.record import Record, Several
from autointerp.steered import Steered


@dataclass(frozen=True, slots=True)
class Box:
    """A pixel rectangle of one image, half open: x0 <= x < x1, y0 <= y < y1."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def width(self) -> int:
        """Returns the width in pixels."""
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        """Returns the height in pixels."""
        return self.y1 - self.y0

    @property
    def corners(self) -> tuple[int, int, int, int]:
        """Returns left, top, right and bottom, as Pillow takes them."""
        return self.x0, self.y0, self.x1, self.y1


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One image as evidence for one feature: a row of exemplars.parquet."""

    image: int
    activation: float
    """Raw units of the dump's model; at or below `active_above` for silent images."""
    stratum: str
    """`top`; `q1`…`q9` from low to high activation; `silent`; `guided`."""
    probability: float
    """Chance in (0, 1] that this image had of entering this feature's rows."""
    box: Box | None
    heat: bytes | None
    """rows·cols bytes, row-major, 0–255 of the image's maximum."""
    silent_activation: float | None = None
    """For a silent image, what the feature reached on it, in raw units; None where that is not known."""

    @property
    def silent(self) -> bool:
        """Whether the feature does not fire on the image."""
        return self.stratum in SILENT_STRATA

    def share_reached(self, active_above: float) -> float | None:
        """Computes what the feature reached on a silent image as a share of its threshold, 0 to 1.

        Returns:
            The share, with an activation below 0 as 0. It is None where the feature fires, where what it reached is not
            known, and where the threshold `active_above` is not above 0.
        """
        if not self.silent or self.silent_activation is None or active_above <= 0:
            return None
        return min(1.0, max(0.0, self.silent_activation / active_above))


SILENT_STRATA = ("silent", "guided")
BAND_STRATA = tuple(f"q{i}" for i in range(1, 10))
STRATA = ("top", *BAND_STRATA, *SILENT_STRATA)


@dataclass(frozen=True, slots=True)
class FeatureRow:
    """What a dump says of a feature as a whole: a row of features.parquet."""

    feature: int
    width: int
    """Smallest nested prefix that holds the feature."""
    n_active: int
    """Images of the population on which it fires."""
    max_activation: float
    n_active_attribute: int | None
    """Those of them that carry the dump's attribute; None where the dump has no attribute."""
    histogram: tuple[int, ...] | None
    """Counts in 50 equal bins from `active_above` to `max_activation`."""
    parents: tuple[int, ...] | None = None
    """Features of smaller prefixes that fire where this one does, the closest first; None where not computed."""
    duplicates: tuple[int, ...] | None = None
    """Features of smaller prefixes that fire where this one does and nowhere else; None where not computed."""


@dataclass(frozen=True, slots=True)
class Feature(Shown):
    """A latent with its evidence."""

    row: FeatureRow
    exemplars: tuple[Exemplar, ...]
    active_above: float = 0.0
    """The feature fires on an image when its activation is greater than this; raw units."""
    origin: Here | None = field(default=None, compare=False, repr=False)
    """The dump that it was read from, whose images a notebook shows."""

    @property
    def id(self) -> int:
        """Index of the latent in the dictionary."""
        return self.row.feature

    @property
    def active(self) -> tuple[Exemplar, ...]:
        """Exemplars on which it fires, as stored."""
        return tuple(e for e in self.exemplars if not e.silent)

    @property
    def negatives(self) -> tuple[Exemplar, ...]:
        """Exemplars on which it is silent, as stored."""
        return tuple(e for e in self.exemplars if e.silent)

    def reached_text(self, exemplars: Iterable[Exemplar]) -> str:
        """Says how near to firing it came on some silent images, as shares of its threshold; empty where unknown."""
        shares = [share for e in exemplars if (share := e.share_reached(self.active_above)) is not None]
        if not shares:
            return ""
        low, high = f"{100 * min(shares):.0f}", f"{100 * max(shares):.0f}"
        return f"{low} % of the threshold" if low == high else f"{low} to {high} % of the threshold"

    def in_margin(self, exemplar: Exemplar, silent_below: float) -> bool:
        """Says whether a silent image came so near the threshold that it counts neither as active nor as silent.

        Args:
            exemplar: one of the feature's.
            silent_below: the share of the threshold, in (0, 1], above which the margin begins; 1 leaves no margin.
        """
        if silent_below >= 1:
            return False
        share = exemplar.share_reached(self.active_above)
        return share is not None and share > silent_below


@dataclass(frozen=True, slots=True)
class PoolRow:
    """What a feature does on the images of a dump's pool, a uniform draw from the population."""

    activations: Mapping[int, float]
    """By image, in raw units: each that fires it or comes near. On the others it reaches half its threshold at most."""
    alike: tuple[int, ...]
    """Images on which it is silent, those first that are most like the images that fire it."""


@dataclass(frozen=True, slots=True)
class ImageRow:
    """One image of a dump without its bytes: a row of images.parquet."""

    image: int
    width: int
    """Pixels as displayed, after any EXIF orientation."""
    height: int
    sha256: str
    """Hex digest of the file's bytes."""
    attribute: bool | None
    group: str | None
    """Images of one group are near-duplicates."""
    label: str | None


class Usage(Record):
    """What one or several calls used."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    """Part of the input that the endpoint read from its own prefix cache."""
    calls: int = 0
    """Answers behind this figure, whether asked now or found in the cache."""
    dollars: float | None = None
    """None where the model's price is not known."""

    def __add__(self, other: "Usage") -> "Usage":
        """Field by field; dollars stay None only if both are."""
        known = [d for d in (self.dollars, other.dollars) if d is not None]
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            calls=self.calls + other.calls,
            dollars=sum(known) if known else None,
        )


class DomainFinding(Record):
    """What the second pass of an explanation found in its domain, e.g. a shared physical error."""

    domain: str
    """Name of the template in prompts/domains/."""
    found: bool
    text: str
    """The shared error in words; empty where none was found."""
    category: str
    """One of the domain's checklist, or `none`."""
    images: Several[int]
    """Image ids on which the error was seen."""
    observations: str = ""
    """What was seen before the checklist, in the explainer's words; empty in runs of earlier versions."""


Erasure = Literal["mean", "blur", "inpaint"]
"""How a region is taken away: filled with the mean of what borders it; with the image blurred by half the region's
shorter side, which leaves its broad colours; or with the smoothest surface that meets what borders it."""


class Counterfactual(Record):
    """An image that was shown as active, without a region: the feature is silent on it, as the network says."""

    image: int
    box: tuple[int, int, int, int]
    """The region that was taken away: x0, y0, x1, y1 in pixels of the image."""
    how: Erasure | Literal["edited"]
    """What it was filled with; `edited` where an image model painted it anew."""
    activation: FiniteFloat
    """Of the feature on the image without the region, in raw units."""
    picture: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$", exclude_if=lambda value: value is None)
    """Where it was painted: SHA-256 of the picture that was shown, which lies in the run's folder `pictures`."""
    size: tuple[int, int] | None = Field(default=None, exclude_if=lambda value: value is None)
    """Width and height of that picture in pixels."""


class Explanation(Record, Shown):
    """A line of explanations.jsonl: text about a feature, and how it came about."""

    feature: int
    text: str
    """Empty exactly where `none` is true."""
    concepts: Several[str]
    none: bool
    """The explainer saw no common property."""
    mixed: bool = False
    """The explainer saw several unrelated properties; `concepts` lists them."""
    candidates: Several[str] = ()
    lookalikes: str = ""
    """What looks alike but does not fire it, in the explainer's words."""
    misfits: Several[int] = ()
    """Shown image ids that the explainer says do not fit."""
    domain: DomainFinding | None = None
    shuffled: DomainFinding | None = None
    """What the same second pass found in a set of images of as many other features, which share nothing."""
    parents: Several[int] = ()
    """Broader features whose explanations the explainer was told."""
    model: str
    prompt: str
    """First 12 hex digits of the SHA-256 over the templates used."""
    images: Several[int]
    """Image ids shown as active, in the order of the prompt."""
    contrast: Several[int] = ()
    """Image ids shown as silent, in the order of the prompt."""
    cropped: tuple[int, ...] | None = Field(default=None, exclude_if=lambda value: value is None)
    """With the rendering `auto`: those of `images` that were shown as crops, since these alone fire the feature."""
    counterfactuals: tuple[Counterfactual, ...] | None = Field(default=None, exclude_if=lambda value: value is None)
    """With the contrast `erased` or `edited`: those of `images` that were shown without a region too, in order."""
    sampled: Sampled | None = None
    """Where several explanations were sampled: all of them, and how `text` was chosen."""
    steered: Steered | None = Field(default=None, exclude_if=lambda value: value is None)
    """Where a model said it while its vision tower was steered: how, and what it said under the controls."""
    usage: Usage
    created: str
    """ISO 8601, UTC."""

    @property
    def seen(self) -> tuple[int, ...]:
        """Image ids on which it must not be scored: those shown, and those by which it was chosen."""
        return (*self.images, *self.contrast, *(self.sampled.judged_on if self.sampled else ()))

    @property
    def parts(self) -> tuple[str, ...]:
        """Each explanation where several were told apart, of which `text` is the disjunction; else none."""
        kept = self.sampled.kept if self.sampled else ()
        return tuple(c.text for c in kept) if len(kept) > 1 else ()


Details = dict[str, float | int | str | bool | None]
"""Further figures of a score, by name."""


class Control(Record):
    """The same measure under a hypothesis that should lose."""

    value: float
    low: float | None = None
    high: float | None = None
    n: int = 0


class Verdict(Record):
    """The judge's word on one held-out image."""

    model_config = ConfigDict(allow_inf_nan=False)

    image: int
    active: bool
    stratum: str
    activation: float | None = None
    """As in the dump; None in runs of version 0.1."""
    screened: float | None = None
    """Where images were screened first: the belief on the contact sheet, by which this one was chosen."""
    likeness: int | None = None
    """Where silent images were drawn by likeness to the text: the class of this one, 0 for the likest."""
    belief: float | None
    """0 no, 0.5 unsure, 1 yes; None where no usable answer came."""
    weight: float
    """Inverse of the chance that the image was judged for this feature."""

    @property
    def cell(self) -> tuple[str, float | None, int | None]:
        """The images among which it was drawn as one of equals."""
        return self.stratum, self.screened, self.likeness


class PartScore(Record):
    """How one explanation of several does by itself, on the same images as all of them together."""

    text: str
    adds: bool = True
    """False in earlier versions, which also scored alternatives that are no part of the whole."""
    value: float
    """The scorer's own measure."""
    low: float
    high: float
    """`low` and `high` bound a 95 % interval."""
    precision: float
    """Share of the images it fits that fire the feature, 0 to 1."""
    recall: float
    """Share of the images that fire the feature which it fits, 0 to 1: what this explanation accounts for."""


UNDETERMINED = 0.5
"""A score whose interval is wider holds a good explanation and a useless one at once."""


def is_undetermined(low: float, high: float, form: object) -> bool:
    """`Scored.undetermined`, of the bounds and of the detail `form`."""
    return high - low > UNDETERMINED + 1e-9 and form != "lmm"


def finite(value: object) -> float | None:
    """A finite number as a float; None of anything else."""
    return float(value) if isinstance(value, float | int) and abs(value) <= sys.float_info.max else None


class Reencoded(Record):
    """What a feature does on pictures that were made from one of its images; activations in raw units."""

    image: int
    box: tuple[int, int, int, int]
    """The region: x0, y0, x1, y1 in pixels of the image."""
    elsewhere: tuple[int, int, int, int] | None = None
    """A region of the same size elsewhere in the image; None where there is no room."""
    activation: FiniteFloat
    """On the image itself, as in the dump."""
    crop: FiniteFloat
    """On the region alone."""
    mean: FiniteFloat
    blur: FiniteFloat
    inpaint: FiniteFloat
    """On the image without the region, which was filled in these ways."""
    into: int | None = None
    """The silent image into which the region was put; None where there was none."""
    at: tuple[int, int, int, int] | None = None
    """Where it was put there."""
    pasted: FiniteFloat | None = None
    """On that image with the region."""


class Generated(Record):
    """A picture that was made of an explanation, and what the feature does on it."""

    picture: str = Field(pattern=r"^[0-9a-f]{64}$")
    """SHA-256 of its file, which lies in the run's folder `pictures`."""
    width: int
    height: int
    """Pixels as it came."""
    prompt: str
    style: str
    activation: FiniteFloat
    """In raw units."""
    fires: bool
    heat: Annotated[str, Field(pattern=r"^([0-9a-f]{2})*$")] | None = None
    """The bytes of an exemplar's heat map, in hex; None where the picture fires nothing, or is read as one vector."""


class Scored(Record, Shown):
    """A verdict on one explanation."""

    status: Literal["scored"] = "scored"
    feature: int
    scorer: str
    value: FiniteFloat
    low: FiniteFloat
    high: FiniteFloat
    """`low` and `high` bound a 95 % interval."""
    n: int
    """Judgements (or images) behind the value."""
    details: Details
    controls: dict[str, Control]
    verdicts: Several[Verdict] = ()
    margin: Several[Verdict] = ()
    """Those on images near the threshold, which count neither as active nor as silent and are no part of the value."""
    parts: Several[PartScore] = ()
    """Where the explanation is a disjunction of several: each by itself, in its order."""
    reencoded: Several[Reencoded] = ()
    """Where the network was asked again: what the feature did on pictures made from its images."""
    generated: Several[Generated] = ()
    """Where pictures were made of the explanation: what the feature did on each."""
    judge: str
    judging: str = ""
    """Which judging of the run it is of, by its name in run.json; empty for the first one."""
    prompt: str
    usage: Usage = Usage()
    created: str

    @property
    def undetermined(self) -> bool:
        """Whether the interval is too wide to say anything, wider than `UNDETERMINED`: no rank and no headline.

        A model's yes or no has no interval, and is never undetermined.
        """
        return is_undetermined(self.low, self.high, self.details.get("form"))

    def number(self, detail: str) -> float | None:
        """A detail that is a finite number; None where the score does not have it, or has something else there."""
        return finite(self.details.get(detail))


class Unscored(Record, Shown):
    """No verdict, and why: never a zero."""

    status: Literal["unscored"] = "unscored"
    feature: int
    scorer: str
    reason: str
    judge: str
    judging: str = ""
    """As that of `Scored`."""
    created: str


Score = Annotated[Scored | Unscored, Field(discriminator="status")]


class FailureRecord(Record):
    """A line of failures.jsonl: a feature that stays pending, or, of kind `unexplainable`, one that is settled."""

    feature: int
    stage: str
    """`explain`, `explain:domain`, `explain:shuffled`, `explain:edit`, `explain:image` (another image was shown),
    `score:<scorer>` (`score:<scorer>@<judging>` of a judging after the first), `tune:judge` or `tune:same`."""
    kind: str
    """refused | malformed | rate_limited | timeout | http_<code> | connection | over_budget | image | unexplainable."""
    message: str
    attempts: int
    created: str
