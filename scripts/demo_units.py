"""Which units of the layer the demo dump shows: a fixed rule that knows nothing of how well anything explains them."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from demo_population import GENERATORS, DemoImage

Floats = npt.NDArray[np.float32]

DENSITY = (0.008, 0.05)
"""Shares of the population; at least 20 images fire every unit, so that it can be both explained and scored."""
N_STRONGEST = 24
"""The rule looks at so many of the images that fire a unit most."""
MIN_GROUPS = 12
"""Different near-duplicate groups among the images that fire a unit; among its strongest at least half so many."""
N_OBJECT = 24
N_GENERATED = 3
N_VISUAL = 5
MIN_PURITY = 0.45
"""Share of the strongest images that bear the unit's word, near-duplicates weighing as one; also among all that fire,
weighted by activation."""
MIN_WORD_GROUPS = 6
"""Near-duplicate groups among the strongest images that bear the word."""
MIN_LIFT = 4.0
"""Purity over the word's share of the population."""
MAX_PER_WORD = 2
"""Units of one word; else a third of them would be about flags."""
MANY_GENERATED = 0.5
"""Share of generated pictures among the strongest from which a unit counts as one of theirs."""
MAX_OVERLAP = 0.2
"""Shared firing images over all firing images (Jaccard) of two chosen units."""

STYLE_WORDS = frozenset((
    "a", "action", "aiga", "an", "and", "application", "applications", "art", "at", "av", "b", "big", "black",
    "blue", "bordered", "brown", "by", "cartoon", "clip", "color", "colored", "colour", "coloured", "computer",
    "contour", "country", "dark", "default", "domain", "down", "end", "etiquette", "filesystem", "filesystems",
    "flat", "for", "from", "general", "generated", "generic", "geometry", "glossy", "gnome", "gray", "green", "grey",
    "hash", "icon", "icons", "ii", "iii", "in", "kde", "large", "left", "lemon", "light", "line", "magick", "mapsym",
    "media", "medium", "mimetype", "mimetypes", "misc", "new", "object", "objects", "of", "old", "on", "one", "open",
    "or", "orange", "other", "outline", "package", "pattern", "patterns", "pink", "public", "purple", "red", "remix",
    "remixed", "right", "s", "set", "shadow", "shape", "shapes", "sign", "signs", "simple", "small", "special",
    "symbol", "symbols", "the", "theme", "three", "to", "tool", "tools", "top", "two", "unsorted", "up", "v",
    "various", "w", "white", "with", "without", "x", "yellow",
))  # fmt: skip
"""Words of collections, styles, colours and grammar: no kind of thing."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A unit in the density range, with what the rule goes by."""

    unit: int
    fires: npt.NDArray[np.bool_]
    word: str
    """The word that marks it best; empty where none is frequent enough."""
    purity: float
    """Mean of the word's share among the strongest images and its weighted share among all that fire."""
    likeness: float
    """Mean cosine of colour and texture statistics over pairs of its strongest images, near-duplicates left out."""
    generated: float
    """Share of generated pictures among the strongest."""


class Choice(NamedTuple):
    """The chosen units by what they were chosen for."""

    objects: list[Candidate]
    generated: list[Candidate]
    visual: list[Candidate]


def words_of(image: DemoImage) -> frozenset[str]:
    """The words that the source has for an image, in the singular, without those that name no kind of thing."""
    found = re.findall(r"[a-z]{2,}", " ".join((image.label, *image.tags)).lower())
    return frozenset(_singular(word) for word in found if word not in STYLE_WORDS)


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def unit_rows(vectors: Floats) -> Floats:
    """Centred and scaled to unit length."""
    centred = vectors - vectors.mean(axis=0)
    return centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-6)


def candidates(images: Sequence[DemoImage], peak: Floats, threshold: float) -> list[Candidate]:
    """All units that fire often enough, rarely enough, and on enough different pictures."""
    words = [words_of(image) for image in images]
    frequent = Counter(word for of_image in words for word in of_image)
    statistics = colour_statistics(images)
    looks = unit_rows(statistics / np.maximum(statistics.std(axis=0), 1e-6))
    found: list[Candidate] = []
    for unit in range(peak.shape[1]):
        fires = peak[:, unit] > threshold
        members = np.flatnonzero(fires)
        members = members[np.argsort(-peak[members, unit], kind="stable")]
        strongest = members[:N_STRONGEST]
        groups = len({images[i].group for i in members}), len({images[i].group for i in strongest})
        if not DENSITY[0] <= fires.mean() <= DENSITY[1] or groups[0] < MIN_GROUPS or groups[1] < MIN_GROUPS // 2:
            continue
        first = {images[i].group: i for i in strongest[::-1]}
        # Squared excess: what fires it strongly says more of a unit than what barely does.
        excess = (peak[members, unit] - threshold) ** 2
        word, purity = _best_word(images, words, members, excess, frequent)
        generated = float(np.mean([images[i].source in GENERATORS for i in strongest]))
        found.append(Candidate(unit, fires, word, purity, _coherence(looks[list(first.values())]), generated))
    return found


def _best_word(
    images: Sequence[DemoImage],
    words: Sequence[frozenset[str]],
    members: npt.NDArray[np.int64],
    excess: Floats,
    frequent: Counter[str],
) -> tuple[str, float]:
    """The word of highest purity that passes the bounds, the more special one of equals; `members` strongest first."""
    strong = _shares(images, words, members[:N_STRONGEST], np.ones(N_STRONGEST, dtype=np.float32))
    whole = _shares(images, words, members, excess)
    bearing: dict[str, set[str]] = defaultdict(set)
    for i in members[:N_STRONGEST]:
        for word in words[i]:
            bearing[word].add(images[i].group)
    best = ("", 0.0)
    for word, share in sorted(strong.items(), key=lambda item: (frequent[item[0]], item[0])):
        purity = (share + whole[word]) / 2
        enough = min(share, whole[word]) >= MIN_PURITY and len(bearing[word]) >= MIN_WORD_GROUPS
        if enough and purity >= MIN_LIFT * frequent[word] / len(images) and purity > best[1]:
            best = (word, purity)
    return best


def _shares(
    images: Sequence[DemoImage], words: Sequence[frozenset[str]], members: npt.NDArray[np.int64], weight: Floats
) -> dict[str, float]:
    """The weighted share of the members that bear each word, near-duplicates weighing as one."""
    sizes = Counter(images[i].group for i in members)
    shares: dict[str, float] = defaultdict(float)
    each = [float(w) / sizes[images[i].group] for i, w in zip(members, weight, strict=False)]
    for i, w in zip(members, each, strict=True):
        for word in words[i]:
            shares[word] += w / sum(each)
    return shares


def _coherence(vectors: Floats) -> float:
    """Mean cosine over pairs of different rows of unit length."""
    count = len(vectors)
    return (float((vectors.sum(axis=0) ** 2).sum()) - count) / (count * (count - 1))


def choose(found: Sequence[Candidate]) -> Choice:
    """Object-like units, some that fire on generated pictures, and visual ones.

    The first two bear a word and are ranked by its purity; visual ones bear none and are ranked by the likeness of
    their colours and textures. Each list is walked from its best; a unit that shares too many images with one already
    chosen, or a word with two of them, is passed over.
    """
    by_purity = sorted((c for c in found if c.word), key=lambda c: -c.purity)
    objects = _distinct([c for c in by_purity if c.generated < MANY_GENERATED], [], N_OBJECT)
    generated = _distinct([c for c in by_purity if c.generated >= MANY_GENERATED], objects, N_GENERATED)
    plain = [c for c in found if not c.word and c.generated < MANY_GENERATED]
    by_looks = sorted(plain, key=lambda c: -c.likeness)
    return Choice(objects, generated, _distinct(by_looks, [*objects, *generated], N_VISUAL))


def _distinct(ranked: Sequence[Candidate], taken: Sequence[Candidate], count: int) -> list[Candidate]:
    chosen: list[Candidate] = []
    for one in ranked:
        if len(chosen) == count:
            break
        same_word = sum(one.word == other.word for other in chosen) if one.word else 0
        if same_word < MAX_PER_WORD and all(_overlap(one, o) <= MAX_OVERLAP for o in (*taken, *chosen)):
            chosen.append(one)
    return chosen


def _overlap(a: Candidate, b: Candidate) -> float:
    return float((a.fires & b.fires).sum() / (a.fires | b.fires).sum())


def colour_statistics(images: Sequence[DemoImage]) -> Floats:
    """[images, 8]: mean, spread and share of white of simple channels."""
    rows: list[list[float]] = []
    for image in images:
        rgb = np.asarray(image.decoded().resize((48, 48)), dtype=np.float32) / 255
        grey, spread = rgb.mean(axis=2), np.ptp(rgb, axis=2)
        edge = np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean()
        fine = np.median(np.abs(np.diff(grey, axis=1)))
        rows.append(
            [*rgb.mean(axis=(0, 1)), grey.std(), spread.mean(), float((grey > 0.95).mean()), float(edge), float(fine)]
        )
    return np.array(rows, dtype=np.float32)
