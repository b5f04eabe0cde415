"""What coders do on pairs of images that differ in one attribute: the part of `train evaluate` that --pairs adds."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from autointerp.counting import Counting, counted
from autointerp.errors import SettingsError
from autointerp.images.manifest import Manifest
from autointerp.places import cache_folder
from autointerp.populations.pairs import Pairs, read_pairs
from autointerp.transcoder.backbones.protocol import Backbone
from autointerp.transcoder.coder import RawUnits
from autointerp.transcoder.evaluation import CoderFigures
from autointerp.transcoder.harvest.encode import Peaks
from autointerp.transcoder.harvest.source import RAW, RAW_K
from autointerp.transcoder.image_peaks import Reading, image_peaks
from autointerp.transcoder.layer_substitution import Placing, check_placed
from autointerp.transcoder.pair_figures import AskedAttribute, AskedPairs, CoderPairs
from autointerp.transcoder.pair_matching import Matched, changes, difference, match_pairs, split_pairs
from autointerp.transcoder.pair_measures import PairTable
from autointerp.transcoder.settings import EvaluateSettings
from autointerp.transcoder.untrained import untrained


class Asking(NamedTuple):
    """Pairs that coders are asked about."""

    pairs: Pairs
    table: PairTable
    settings: EvaluateSettings


def asking(path: Path, settings: EvaluateSettings) -> Asking:
    """Reads pairs and deals them to training and held-out ones.

    Raises:
        SettingsError: they cannot be used.
    """
    pairs = read_pairs(path, manifest=Manifest(cache_folder()))
    training = split_pairs(pairs.attribute, pairs.groups, settings.seed)
    table = PairTable(pairs.attributes, pairs.attribute, pairs.groups, training)
    for a, name in enumerate(pairs.attributes):
        if not 0 < training[pairs.attribute == a].sum() < (pairs.attribute == a).sum():
            raise SettingsError(
                f"--pairs {path}: {name!r}: all of its pairs came to one side of the split; give pairs of more scenes, "
                "or another --seed"
            )
    return Asking(pairs, table, settings)


def asked_pairs(asked: Asking) -> AskedPairs:
    """Says which pairs coders were asked about."""
    table, held = asked.table, asked.table.part(~asked.table.training)
    counts = zip(table.names, table.counts(training=True), table.counts(training=False), strict=True)
    return AskedPairs(
        table=asked.pairs.root,
        n_images=len(asked.pairs.images),
        n_groups=len(np.unique(table.groups)),
        attributes=tuple(
            AskedAttribute(
                name=name,
                n_training=int(learns),
                n_held_out=int(measures),
                n_groups=len(np.unique(held.groups[held.attribute == a])),
            )
            for a, (name, learns, measures) in enumerate(counts)
        ),
    )


def on_pairs(
    model: Backbone, parts: Mapping[str, Placing], asked: Asking, progress: Counting, *, controlled: bool
) -> dict[str, CoderFigures]:
    """Adds to the figures of coders of one backbone those on pairs, in one pass over the pictures.

    Args:
        model: the backbone.
        parts: the coders by name.
        asked: the pairs.
        progress: is told pictures run.
        controlled: whether an untrained coder and raw units stand beside each.

    Raises:
        SettingsError: a coder does not fit.
    """
    encoders: dict[str, Reading] = {}
    for name, one in parts.items():
        check_placed(model, name, one.placed, None)
        encoders[name] = Reading(one.placed.coder, one.placed.reads)
        if controlled:
            encoders |= _controls(name, one, asked.settings.seed)
    tell = counted(progress, "pictures of pairs run")
    peaks = image_peaks(model, asked.pairs.images, encoders, batch=asked.settings.batch, progress=tell)
    matched = {name: _matched(peaks.pop(name), encoders[name].encoder.widths, asked) for name in encoders}
    return {
        name: one.figures.model_copy(update={"pairs": _together(name, one, matched, asked)})
        for name, one in parts.items()
    }


def _controls(name: str, one: Placing, seed: int) -> dict[str, Reading]:
    coder, reads = one.placed.coder, one.placed.reads
    assert one.figures.held_out is not None, "a coder of the store was measured on its tokens"
    nothing = untrained(coder, l0=one.figures.held_out.l0[-1], seed=seed)
    return {
        _untrained(name): Reading(nothing, reads),
        RAW + reads: Reading(RawUnits(coder.config.d_in, RAW_K), reads),
    }


def _untrained(name: str) -> str:
    return f"{name}, untrained"


def _matched(peaks: Peaks, widths: tuple[int, ...], asked: Asking) -> Matched:
    change = changes(peaks, asked.pairs.having, asked.pairs.lacking)
    return match_pairs(change, asked.table, widths, level=asked.settings.level, seed=asked.settings.seed)


def _together(name: str, one: Placing, matched: Mapping[str, Matched], asked: Asking) -> CoderPairs:
    own, seed = matched[name], asked.settings.seed
    if _untrained(name) not in matched:
        return CoderPairs(own=own.figures, untrained=None, raw=None)
    nothing, raw = matched[_untrained(name)], matched[RAW + one.placed.reads]
    above = [difference(own, nothing, asked.table, at=at, seed=seed) for at in range(len(own.means))]
    return CoderPairs(
        own=own.figures,
        untrained=nothing.figures,
        raw=raw.figures,
        above_untrained=tuple(above),
        above_raw=difference(own, raw, asked.table, seed=seed),
    )
