"""What a report needs to know, whichever folders it comes from."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autointerp.dump.format import Population
from autointerp.images.picture import Picture, Rendering
from autointerp.schema import Explanation, FailureRecord, Feature, ImageRow, Score
from autointerp.scoring.control_tests import Separation
from autointerp.settings import RegionSettings


@dataclass(frozen=True, slots=True, eq=False)
class Kin:
    """Pairs of a feature and one of its parents; arrays of one length."""

    child: NDArray[np.int64]
    """Ascending; a feature comes once for each of its parents."""
    parent: NDArray[np.int64]
    """The closest of a child first."""


@dataclass(frozen=True, slots=True)
class ReportData:
    """A run and its dump as the report sees them. Texts may hold anything: the templates escape them."""

    title: str
    facts: Mapping[str, str]
    """What stands under the title, in this order: the dump, the models, the prompt digests, the seed, …"""
    notes: tuple[str, ...]
    """Warnings that stand above all figures, e.g. what the embedded model cannot do."""
    separations: tuple[Separation, ...]
    """The run's controls against its own scores: the first thing on the page."""
    attribute: str | None
    """Name of the dump's attribute."""
    n_features: int
    """Features of the dump; those without an explanation or a failure count as not yet explained."""
    widths: tuple[int, ...]
    """Nested prefixes of the dictionary, ascending."""
    n_images: int
    """Size of the image population, the denominator of a density."""
    active_above: float
    """A feature fires on an image when its activation is greater."""
    patch_grid: tuple[int, int] | None
    """Rows and columns of the heat maps."""
    shown_as: Rendering
    """How the explainer saw its active images."""
    region: RegionSettings
    """Where it saw a feature fire; `side` and `quality` are not looked at."""
    explanations: Callable[[], Iterable[Explanation]]
    """Each call reads them all again; where a feature comes twice the last one holds."""
    scores: Callable[[], Iterable[Score]]
    """As `explanations`; where a feature and scorer come twice the last one holds."""
    failures: Callable[[], Iterable[FailureRecord]]
    """As `explanations`; every record, also of features that were answered later, but for those of `unexplainable`."""
    unexplainable: Callable[[], Mapping[int, str]]
    """Why a feature can never be explained, for every one found so; they count in no other figure."""
    kin: Callable[[], Iterable[Kin]]
    """All pairs that the dump states, in parts of ascending children; each call reads them again."""
    feature: Callable[[int], Feature]
    image: Callable[[int], ImageRow]
    jpeg: Callable[[Picture], bytes]
    """Pixels; ImageError for an image that cannot be decoded. Called from several threads."""
    population: Population = "complete"
    """Whether `n_images` and the counts speak of all images that were run; there is no density where nobody knows."""


@dataclass(frozen=True, slots=True)
class ReportInfo:
    """What was written."""

    path: Path
    size: int
    """Bytes of the file."""
    features: int
    """Features with an explanation or an open failure: all of them are in the summary's figures."""
    cards: int
    """Those of them that have a row and a card."""
    pictures: int
    """Distinct pictures embedded."""
    broken: int
    """Pictures that could not be made and are marked so."""
