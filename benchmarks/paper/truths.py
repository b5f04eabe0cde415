"""What is known of the images against what latents do: the best latent of each kind of error, on other images."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from autointerp.populations.images import read_population
from autointerp.record import Record
from autointerp.transcoder.backbones.registry import load_backbone
from autointerp.transcoder.batches import prepared_batches
from autointerp.transcoder.evaluation import Estimate, Images, area
from autointerp.transcoder.harvest.encode import Peaks, entries_of, peaks_of
from autointerp.transcoder.harvest.source import backbone_name, load_sources, stored_coders
from benchmarks.paper.population import DISTORTED, Image
from benchmarks.paper.scenes import KINDS, PAIRS

Bools = npt.NDArray[np.bool_]
BATCH = 16
N_SHUFFLES = 20


class Found(Record):
    """The latent that tells one kind of error best."""

    kind: str
    latent: int
    auroc: Estimate
    """On the half of the groups by which it was not chosen."""
    n_with: int
    n_without: int
    """Images of that half with the error, and sound ones of the same sort."""


def all_peaks(images: Path, labels: Path, specs: Sequence[str], file: Path) -> dict[str, Peaks]:
    """By coder [n, n_latents], the maximum over each image's patches, in the population's order; kept in a file."""
    if not file.exists():
        stored = stored_coders(list(specs))
        model = load_backbone(backbone_name(stored))
        sources = load_sources(list(specs), stored, model, "cpu")
        population = read_population(images, labels=labels)
        parts: dict[str, list[Peaks]] = {s.name: [] for s in sources}
        for batch, pixels in prepared_batches(model, population.images, size=BATCH):
            taken = model.run(pixels, sorted({s.reads for s in sources}))
            for s in sources:
                found = entries_of(s.encoder, s.name, taken[s.reads])
                parts[s.name].append(peaks_of(found, len(batch), s.encoder.n_latents))
        half = file.with_suffix(".part.npz")
        np.savez(half, **{name: np.concatenate(found) for name, found in parts.items()})  # pyright: ignore[reportArgumentType]
        half.replace(file)
    with np.load(file) as held:
        return {name: held[name] for name in held.files}


def best_latents(peaks: Peaks, rows: Sequence[Image], seed: int) -> tuple[Found, ...]:
    """For each kind of error the latent of highest AUROC on one half of the groups, measured on the other half.

    Args:
        peaks: [n, n_latents].
        rows: of the same images.
        seed: of the halves, and of the intervals.
    """
    names, group = np.unique([r.group for r in rows], return_inverse=True)
    first = np.random.default_rng((0x4A1F, seed)).random(len(names))[group] < 0.5
    return tuple(_best(peaks, rows, kind, first, group, seed) for kind in (*KINDS, DISTORTED))


def _best(
    peaks: Peaks, rows: Sequence[Image], kind: str, first: Bools, group: npt.NDArray[np.int64], seed: int
) -> Found:
    wrong = np.array([r.kind == kind for r in rows])
    sound = np.array([_comparable(r, kind) for r in rows])
    choosing, measuring = (wrong | sound) & first, (wrong | sound) & ~first
    latent = int(np.argmax(_aurocs(peaks[choosing], wrong[choosing])))
    images = Images(wrong[measuring], np.ones(int(measuring.sum()), np.bool_), group[measuring])
    found = area(peaks[measuring, latent].astype(np.float64), images, seed=seed)
    assert found is not None, "both halves hold images with the error and without"
    return Found(
        kind=kind,
        latent=latent,
        auroc=found,
        n_with=int((wrong & measuring).sum()),
        n_without=int((sound & measuring).sum()),
    )


def _comparable(row: Image, kind: str) -> bool:
    """Sound images of the same sort: of errors that need two things, scenes of two."""
    if row.label != "0" or (kind == DISTORTED) != (row.things == ""):
        return False
    return row.things == "2" if kind in PAIRS else True


def _aurocs(peaks: Peaks, wrong: Bools) -> npt.NDArray[np.float64]:
    """Of each latent, ties counting half (Mann & Whitney 1947); shape [n_latents]."""
    from scipy.stats import rankdata

    ranks = rankdata(peaks, axis=0)
    n_wrong, n_sound = int(wrong.sum()), int((~wrong).sum())
    return (ranks[wrong].sum(axis=0) - n_wrong * (n_wrong + 1) / 2) / (n_wrong * n_sound)


class Published(NamedTuple):
    """Relevance in the label form as published: latents of whose firing images 95 % have the error."""

    n_firing: int
    n_relevant: int
    shuffled: float
    """Mean share of relevant ones when labels are dealt at random among the images."""


def relevance(peaks: Peaks, above: float, rows: Sequence[Image], seed: int, *, least: int = 1) -> Published:
    """Counts relevant latents among those that fire on at least `least` labelled images."""
    known = np.array([r.label != "" for r in rows])
    wrong = np.array([r.label == "1" for r in rows])[known]
    fires = peaks[known] > np.float32(above)
    fires = fires[:, fires.sum(axis=0) >= least].astype(np.float32)
    active = fires.sum(axis=0)
    if not len(active):
        return Published(0, 0, 0.0)
    chance = np.random.default_rng((0x5F1, seed))
    shuffled = [_relevant(fires, active, chance.permutation(wrong)).mean() for _ in range(N_SHUFFLES)]
    return Published(len(active), int(_relevant(fires, active, wrong).sum()), float(np.mean(shuffled)))


def _relevant(fires: Peaks, active: Peaks, wrong: Bools) -> Bools:
    return wrong.astype(np.float32) @ fires >= np.float32(0.95) * active
