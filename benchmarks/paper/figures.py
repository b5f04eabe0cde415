"""The recipe's figures: records of table.json, and how a coder's are gathered from its activations."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from autointerp.record import Record
from autointerp.statistics.rates import Bools
from autointerp.transcoder.attribute_association import Association, association
from autointerp.transcoder.classification_metrics import Quality
from autointerp.transcoder.coder_io import load_coder
from autointerp.transcoder.evaluation import Estimate
from autointerp.transcoder.harvest.encode import Peaks, threshold
from autointerp.transcoder.losses import HeldOut
from autointerp.transcoder.pair_figures import CoderPairs, PairFigures
from benchmarks.paper.judged import Judged, facts_of, judge
from benchmarks.paper.population import UNSEEN, Image
from benchmarks.paper.truths import Best, Told, best_latents, means_of_bands, relevance, shares_of

DENSITY = 0.03
"""Half of the latents fire on so many of the images."""
LEVEL = 0.05
"""The false discovery rate of the latents that go with errors."""
OFTEN = 20
"""Unseen images from which a latent can be told to be relevant or not: 95 % of 20 is 19."""


class Share(Record):
    """A share of `n` latents."""

    value: float
    n: int
    shuffled: float
    """The same when labels are dealt at random among the images."""


class Band(Record):
    """The latents that a prefix adds to the one before."""

    width: int
    """Of the prefix."""
    fires: float | None
    """Mean over these latents of the share of unseen images on which one fires; those that never do are left out."""
    generality: float | None
    """Mean over those that are explained of the share of unseen images of which the text is true."""
    associated: float
    """Share of those that fire which go with errors."""


class Row(Record):
    """All figures of one dictionary."""

    name: str
    """Network, form and seed, or `raw-units`."""
    n_latents: int
    held_out: HeldOut | None
    """None for the layer's own units."""
    relevance: Share
    """As published, of all latents that fire on an unseen image."""
    relevance_often: Share
    """Of those that fire on `OFTEN` or more."""
    associated: Share
    """Those that fire on unseen images with an error more often than chance explains."""
    n_judged: int
    names_error: float | None
    """Share of the judged latents whose text names an error: relevance in the form of the published scripts' second
    pass; None where none is judged, as for the next three."""
    accuracy: float | None
    f1: float | None
    other_f1: float | None
    """F1 of another latent's text."""
    bands: tuple[Band, ...]
    best: tuple[Best, ...]


class OnPairs(Record):
    """What the coalition of a prefix does on held-out pairs of one kind of error."""

    kind: str
    width: int
    selectivity: float
    """As `train evaluate --pairs` has it; 0 where no latent was chosen."""
    found: bool


class PairsOf(Record):
    """What one dictionary does on pairs, and its controls."""

    name: str
    own: tuple[OnPairs, ...]
    untrained: tuple[OnPairs, ...]
    """Of a coder of the same form that learned nothing."""
    raw: tuple[OnPairs, ...]
    """Of the units that the coder reads."""
    above_untrained: tuple[Estimate, ...]
    """Mean selectivity over the kinds less that of the untrained coder, of each prefix."""


class Figures(Record):
    """table.json."""

    settings: dict[str, int | str]
    machine: str
    images: dict[str, int]
    """By what is wrong with them."""
    n_unseen: int
    """Images of unseen things."""
    classifiers: dict[str, Quality]
    """On the frozen and on the tuned network, on unseen things."""
    by_kind: dict[str, tuple[Told, ...]]
    """The same for each kind of error, by network."""
    rows: tuple[Row, ...]
    pairs: tuple[PairsOf, ...]
    n_pairs: int
    """Held-out pairs of one kind."""
    wall: dict[str, float]
    """Seconds by stage."""
    cpu: dict[str, float]
    """Likewise, of the processor."""


class _Seen(NamedTuple):
    """What a dictionary does on images, and what is known of them."""

    peaks: Peaks
    """Shape [n, n_latents]."""
    rows: list[Image]
    hidden: Bools
    """Whether an image shows unseen things, [n]."""
    labelled: Bools
    """Those of them whose label is known, [n]."""
    above: float
    """Activation above which a latent fires."""
    widths: tuple[int, ...]

    @property
    def wrong(self) -> Bools:
        """Returns whether each labelled unseen image has an error."""
        return np.array([r.label == "1" for r in self.rows])[self.labelled]


def row_of(name: str, peaks_file: Path, coder: Path | None, images: Sequence[Image], seed: int) -> Row:
    """Gathers the figures of one dictionary.

    Args:
        name: of it.
        peaks_file: its strongest activations, with the names of the images.
        coder: its folder; None for raw units.
        images: all there are.
        seed: of intervals, shuffles and draws.
    """
    loaded = None if coder is None else load_coder(coder)
    seen = _seen(peaks_file, images, None if loaded is None else loaded.coder.widths)
    fires, wrong = seen.peaks[seen.labelled] > np.float32(seen.above), seen.wrong
    tested = association(seen.peaks[seen.labelled], wrong, density=DENSITY, level=LEVEL, seed=seed, widths=seen.widths)
    said = judge(seen.peaks, seen.above, facts_of(seen.rows), seen.hidden, seed)
    return Row(
        name=name,
        n_latents=seen.peaks.shape[1],
        held_out=loaded.info.training.held_out if loaded and loaded.info.training else None,
        relevance=_relevance(fires, wrong, seed, 1),
        relevance_often=_relevance(fires, wrong, seed, OFTEN),
        associated=Share(value=tested.share, n=tested.n_firing, shuffled=tested.shuffled),
        n_judged=len(said.latents),
        names_error=_mean(said.names_error),
        accuracy=_mean(said.accuracy),
        f1=_mean(said.f1),
        other_f1=_mean(said.other_f1),
        bands=_bands(seen, said, tested),
        best=best_latents(seen.peaks, seen.rows, seen.widths, seed),
    )


def _seen(peaks_file: Path, images: Sequence[Image], widths: tuple[int, ...] | None) -> _Seen:
    by_name = {image.path: image for image in images}
    with np.load(peaks_file) as held:
        rows, peaks = [by_name[n] for n in held["names"].tolist()], held["peaks"]
    hidden = np.array([r.part == UNSEEN for r in rows])
    labelled = hidden & np.array([r.label != "" for r in rows])
    return _Seen(peaks, rows, hidden, labelled, threshold(peaks[~hidden], DENSITY), widths or (peaks.shape[1],))


def _relevance(fires: Bools, wrong: Bools, seed: int, least: int) -> Share:
    found = relevance(fires, wrong, seed, least=least)
    return Share(value=found.n_relevant / max(1, found.n_firing), n=found.n_firing, shuffled=found.shuffled)


def _mean(values: npt.NDArray[np.float32] | Bools) -> float | None:
    return float(values.mean(dtype=np.float64)) if len(values) else None


def _bands(seen: _Seen, said: Judged, tested: Association) -> tuple[Band, ...]:
    shares = shares_of(seen.peaks[seen.hidden] > np.float32(seen.above))
    firing = np.flatnonzero(shares)
    fires = means_of_bands(shares[firing], firing, seen.widths)
    generality = means_of_bands(said.generality.astype(np.float64), said.latents, seen.widths)
    bands = zip(tested.prefixes, fires, generality, strict=True)
    return tuple(Band(width=t.width, fires=f, generality=g, associated=t.share) for t, f, g in bands)


def pairs_of(name: str, found: CoderPairs) -> PairsOf:
    """Takes what the tables say out of the figures of one coder."""
    assert found.untrained is not None, "controls stand beside a coder of the store"
    assert found.raw is not None, "controls stand beside a coder of the store"
    own, untrained, raw = (_on_pairs(side) for side in (found.own, found.untrained, found.raw))
    return PairsOf(name=name, own=own, untrained=untrained, raw=raw, above_untrained=found.above_untrained)


def _on_pairs(found: PairFigures) -> tuple[OnPairs, ...]:
    out: list[OnPairs] = []
    for prefix in found.prefixes:
        for one in prefix.attributes:
            made = one.coalition
            value, is_found = (0.0, False) if made is None else (made.selectivity.value, made.found)
            out.append(OnPairs(kind=one.attribute, width=prefix.width, selectivity=value, found=is_found))
    return tuple(out)
