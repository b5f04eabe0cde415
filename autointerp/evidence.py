"""Splits a feature's exemplars into what the explainer is shown and what is held out for the judge."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
import numpy.typing as npt

from autointerp.arrays import LOT
from autointerp.schema import BAND_STRATA, Counterfactual, Exemplar, Feature, ImageRow
from autointerp.settings import ExplainSettings

Images = Mapping[int, ImageRow]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Shown:
    """What the explainer sees, in the order of the prompt."""

    active: tuple[Exemplar, ...]
    contrast: tuple[Exemplar, ...]
    pairs: tuple[Counterfactual, ...] = ()
    """Active images that are shown without a region too, in the order of `active`."""


def duplicate_keys(image: ImageRow) -> frozenset[str]:
    """What an image shares with its near-duplicates: its group, and the digest of its file, grouped or not."""
    own = f"sha256 {image.sha256}"
    return frozenset((own, f"group {image.group}") if image.group is not None else (own,))


def all_duplicate_keys(shown: Sequence[int], images: Images) -> frozenset[str]:
    """What the near-duplicates of any of these images share with it; an image without a row has no key."""
    return frozenset().union(*(duplicate_keys(images[i]) for i in shown if i in images))


def draw_shown(feature: Feature, images: Images, settings: ExplainSettings) -> Shown:
    """Draws the shown exemplars by seed and feature alone, so that every run over the same dump draws the same.

    With `refill` places for which the bands have no image go to the top ones, unless none of these was asked for.

    Exemplars without a row in `images`, such as those whose files cannot be read, are passed over: the next one in the
    order of drawing stands in. Of each stratum at most half is shown, so that the judge always has held-out images of
    the same kind; of a near-duplicate group at most one image is shown. Silent images near the threshold
    are no contrast.
    """
    chance = Random(f"shown:{settings.seed}:{feature.id}")
    taken: set[str] = set()
    by_stratum = strata([e for e in feature.exemplars if not feature.in_margin(e, settings.silent_below)])

    def drawn(stratum: str) -> list[Exemplar]:
        return _there(_shuffled(by_stratum.get(stratum, []), chance), images)

    if settings.shown == "highest":
        order = sorted(_there(by_stratum.get("top", []), images), key=lambda e: (-e.activation, e.image))
    else:
        order = drawn("top")
    top = _take(order, settings.n_top, images, taken)
    bands = [drawn(b) for b in reversed(BAND_STRATA) if b in by_stratum]
    shares = spread(settings.n_bands, [_half(b) for b in bands])
    lower = [e for band, share in zip(bands, shares, strict=True) for e in _take(band, share, images, taken)]
    if top and settings.refill:
        unused = settings.n_bands - len(lower)
        top += _take(order, min(unused, _half(order) - len(top)), images, taken)
    contrast = _take(drawn("guided"), settings.n_contrast, images, taken)
    contrast += _take(drawn("silent"), settings.n_contrast - len(contrast), images, taken)
    return Shown(active=tuple(_shuffled([*top, *lower], chance)), contrast=tuple(_shuffled(contrast, chance)))


def held_out(feature: Feature, images: Images, shown: Sequence[int]) -> tuple[Exemplar, ...]:
    """The exemplars that neither were shown nor are near-duplicates of a shown image; those without a row are not."""
    seen = all_duplicate_keys(shown, images)
    left = (e for e in _there(feature.exemplars, images) if e.image not in shown)
    return tuple(e for e in left if not duplicate_keys(images[e.image]) & seen)


def strata(exemplars: Sequence[Exemplar]) -> dict[str, list[Exemplar]]:
    """Exemplars by stratum, each in stored order."""
    out: dict[str, list[Exemplar]] = {}
    for exemplar in exemplars:
        out.setdefault(exemplar.stratum, []).append(exemplar)
    return out


def _there(exemplars: Sequence[Exemplar], images: Images) -> list[Exemplar]:
    return [e for e in exemplars if e.image in images]


def _half(stratum: Sequence[Exemplar]) -> int:
    return len(stratum) // 2


def _take(order: Sequence[Exemplar], n: int, images: Images, taken: set[str]) -> list[Exemplar]:
    out: list[Exemplar] = []
    for exemplar in order:
        if len(out) >= min(n, _half(order)):
            break
        keys = duplicate_keys(images[exemplar.image])
        if not keys & taken:
            taken |= keys
            out.append(exemplar)
    return out


def spread(n: int, room: Sequence[int]) -> list[int]:
    """Shares of `n` over places with that much room, as even as the room allows, the first ones first."""
    shares = [0] * len(room)
    while sum(shares) < min(n, sum(room)):
        for i, most in enumerate(room):
            if shares[i] < most and sum(shares) < n:
                shares[i] += 1
    return shares


def _shuffled(items: Sequence[Exemplar], chance: Random) -> list[Exemplar]:
    out = sorted(items, key=lambda e: e.image)
    chance.shuffle(out)
    return out


def lowest_hashed(features: Ints, n: int, seed: int) -> Ints:
    """At most `n` of the features, ascending: those whose number hashes lowest, by seed.

    A hash, unlike a draw, hardly changes when more features come in later.
    """
    # In Python's integers: NumPy warns of a single product that leaves 64 bits, though not of an array's.
    step = np.uint64(seed * 0x9E3779B97F4A7C15 % 2**64)
    lowest, hashes = features[:0], np.zeros(0, np.uint64)
    for start in range(0, len(features) if n else 0, LOT):
        own = features[start : start + LOT]
        several, mixed = np.append(lowest, own), np.append(hashes, _mixed(own.astype(np.uint64) + step))
        order = np.argsort(mixed, kind="stable")[:n]
        lowest, hashes = several[order], mixed[order]
    return np.sort(lowest)


def _mixed(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """SplitMix64's finaliser (Steele, Lea & Flood 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
