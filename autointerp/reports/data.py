"""What a report is made from: a run's records, and what it needs of the run's dump."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from autointerp.dump.format import DumpInfo
from autointerp.errors import ImageError
from autointerp.images.alteration import Alteration
from autointerp.images.picture import Picture, Rendering
from autointerp.lmm.images.store import FOLDER as PICTURES
from autointerp.runs.exchanges import Exchange
from autointerp.schema import Explanation, FailureRecord, Feature, ImageRow, Score
from autointerp.scoring.control_tests import Separation
from autointerp.settings import RegionSettings

T_co = TypeVar("T_co", bound=Explanation | Score | FailureRecord, covariant=True)


class Lines(Protocol[T_co]):
    """Gives the records of a file: all of them in order, or one by its place."""

    def __iter__(self) -> Iterator[tuple[int, T_co]]:
        """Yields each record with its place, read from the file again at every call."""
        ...

    def __getitem__(self, place: int) -> T_co:
        """Returns the record at a place."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class ParentPairs:
    """Holds pairs of a feature and one of its parents, in arrays of one length."""

    child: NDArray[np.int64]
    """Ascending; a feature comes once for each of its parents."""
    parent: NDArray[np.int64]
    """The closest of a child first."""


def no_picture(what: Alteration, side: int) -> bytes:
    """Makes none."""
    raise ImageError(f"image {what.source.image}: no dump to make it of")


def nothing_kept(feature: int) -> Sequence[Exchange]:
    """Gives no exchange."""
    return ()


@dataclass(frozen=True, slots=True)
class ReportData:
    """Is a run and its dump as the report sees them. Texts may hold anything: the templates escape them."""

    title: str
    facts: Mapping[str, str]
    """How the run was made, in this order: the dump, the models, the prompt digests, the seed, …"""
    notes: tuple[str, ...]
    """What limits the trust in the figures, e.g. a judge that is not calibrated."""
    info: DumpInfo
    n_features: int
    """Features of the dump; those without an explanation or a failure count as not yet explained."""
    shown_as: Rendering
    """How the explainer saw its active images."""
    region: RegionSettings
    """Where the explainer saw a feature fire; `side` and `quality` are not looked at."""
    explanations: Lines[Explanation]
    """The last of a feature holds."""
    scores: Lines[Score]
    """The last of a feature and scorer holds."""
    failures: Lines[FailureRecord]
    """Every record, also of features that were answered later, but for those of `unexplainable`."""
    unexplainable: Callable[[], Mapping[int, str]]
    """Why a feature can never be explained, for each one found so; they count in no other figure."""
    separations: Callable[[Iterable[Score]], tuple[Separation, ...]]
    """Tests the run's controls against its scores, which it is given."""
    parents: Callable[[], Iterable[ParentPairs]]
    """All pairs that the dump states, in parts of ascending children; each call reads them again."""
    feature: Callable[[int], Feature]
    image: Callable[[int], ImageRow]
    jpeg: Callable[[Picture], bytes]
    """Makes a picture; raises ImageError for an image that cannot be decoded. Called from several threads."""
    altered: Callable[[Alteration, int], bytes] = no_picture
    """Makes a picture that the network was shown, of a longest side in pixels; otherwise as `jpeg`."""
    pictures: Path = Path(PICTURES)
    """The folder of the run's own pictures."""
    exchanges: Callable[[int], Sequence[Exchange]] = nothing_kept
    """What was asked about a feature and what came back, as far as the run kept it."""


@dataclass(frozen=True, slots=True)
class ReportInfo:
    """Says what was written."""

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
