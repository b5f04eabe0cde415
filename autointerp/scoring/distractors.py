"""Finds explanations of other features, which a feature's own explanation has to beat."""

import re
from dataclasses import dataclass
from functools import cached_property
from random import Random

import numpy as np

from autointerp.arrays import ints
from autointerp.dump.reader import Dump
from autointerp.evidence import lowest_hashed
from autointerp.runs.index import ExplanationIndex
from autointerp.schema import SILENT_STRATA, Explanation, Feature
from autointerp.statistics.rates import Floats, Ints

MAX_POOL = 5000
"""The most explained features among which distractors are looked for."""
N_NEIGHBOURS = 11


@dataclass(frozen=True, slots=True)
class Distractors:
    """Explanations of other features, for one feature."""

    other: str | None = None
    """The explanation of a feature drawn at random; None where the run has no other text than this feature's."""
    neighbours: tuple[str, ...] = ()
    """Those of the features most like it, the nearest first; those of the feature's very own text stand last."""


def normal(text: str) -> str:
    """Strips a text of what makes no difference: case, spaces and punctuation."""
    return " ".join(re.findall(r"\w+", text.casefold()))


class DistractorFinder:
    """Finds the distractors of each feature among the explained ones of a run.

    They are looked for among at most 5000 features, drawn by a hash of their numbers; all where the run has fewer. The
    pool is made when first asked for: one pass over the row groups of the dump that hold its features, of which only
    the columns feature, image and stratum are read. 5000 features of 45 active exemplars take 9 MB (24 bytes for each
    exemplar and each word of a text, and the texts), 32 while they are read, and a query one or two milliseconds.

    Args:
        dump: the run's dump.
        index: its explanations.
        seed: the seed of the pool and of every draw.
    """

    def __init__(self, dump: Dump, index: ExplanationIndex, *, seed: int) -> None:
        self._dump = dump
        self._index = index
        self._seed = seed

    def of(self, feature: Feature, explanation: Explanation) -> Distractors:
        """Gives the distractors of one feature, the same in every run over the same explanations.

        Raises:
            RunError: an explanation of the pool is broken.
            DumpError: the dump is damaged.
        """
        pool, own = self._pool, normal(explanation.text)
        others = np.flatnonzero(pool.ids != feature.id)
        differ = [i for i in others.tolist() if pool.normals[i] != own]
        chance = Random(f"rivals:{self._seed}:{feature.id}")
        other = pool.texts[chance.choice(differ)] if differ else None
        return Distractors(other, self._neighbours(pool, others, feature, own))

    def _neighbours(self, pool: "_Pool", others: Ints, feature: Feature, own: str) -> tuple[str, ...]:
        """Finds the nearest by images in common and, among equals, by words in common."""
        images = pool.images.likeness(np.array(sorted({e.image for e in feature.active}), np.int64))[others]
        known = {pool.vocabulary[word] for word in own.split() if word in pool.vocabulary}
        words = pool.words.likeness(np.array(sorted(known), np.int64))[others]
        nearest = others[np.lexsort((pool.ids[others], -words, -images))].tolist()
        different: dict[str, str] = {}
        twins: list[str] = []
        for i in nearest:
            text = pool.normals[i]
            # At least one that is different, wherever there is one: a control needs it.
            if text == own and len(twins) < N_NEIGHBOURS - 1:
                twins.append(pool.texts[i])
            elif text != own:
                different.setdefault(text, pool.texts[i])
            if len(different) and len(different) + len(twins) >= N_NEIGHBOURS:
                break
        return (*different.values(), *twins)

    @cached_property
    def _pool(self) -> "_Pool":
        # A hash of its own: features that carry the controls are no likelier to stand in the pool.
        drawn = lowest_hashed(self._index.features, MAX_POOL, self._seed + 1)
        said = [e for e in (self._index[int(f)] for f in drawn) if not e.none]
        ids = np.array([e.feature for e in said], np.int64)
        normals = tuple(normal(e.text) for e in said)
        vocabulary = {word: i for i, word in enumerate(sorted({word for text in normals for word in text.split()}))}
        pairs = [(vocabulary[word], i) for i, text in enumerate(normals) for word in set(text.split())]
        images, holders = _fired(self._dump, ids)
        return _Pool(
            ids,
            tuple(e.text for e in said),
            normals,
            vocabulary,
            _Inverted(images, holders, np.ones(len(images)), len(ids)),
            _rare_first(np.array(pairs, np.int64).reshape(-1, 2), len(ids)),
        )


class _Inverted:
    """An inverted index: who of a pool has which keys, looked up by key.

    Args:
        keys: the keys in ascending order, shape [pairs].
        holders: the place in the pool of who has the key, shape [pairs]; each pair once.
        weights: what a key counts, the same for all that have it, shape [pairs].
        n: the size of the pool.
    """

    def __init__(self, keys: Ints, holders: Ints, weights: Floats, n: int) -> None:
        self._keys, self._holders, self._weights = keys, holders, weights
        self._totals = np.bincount(holders, weights, n)

    def likeness(self, own: Ints) -> Floats:
        """Computes the weighted Jaccard index of a set of keys with each of the pool's, 0 to 1; shape [pool]."""
        first, last = (np.searchsorted(self._keys, own, side) for side in ("left", "right"))
        met = last > first
        total = float(self._weights[first[met]].sum())
        spans = [np.arange(a, b) for a, b in zip(first[met], last[met], strict=True)]
        rows = np.concatenate(spans) if spans else np.zeros(0, np.int64)
        shared = np.bincount(self._holders[rows], self._weights[rows], len(self._totals))
        # Keys that nobody has count nowhere: they would lower every index alike.
        return shared / np.maximum(total + self._totals - shared, np.finfo(float).tiny)


@dataclass(frozen=True)
class _Pool:
    """Explained features among which distractors are looked for; those without a common property are left out."""

    ids: Ints
    """The features in ascending order."""
    texts: tuple[str, ...]
    normals: tuple[str, ...]
    vocabulary: dict[str, int]
    images: _Inverted
    """The images on which each fires, as far as the dump holds them."""
    words: _Inverted
    """The words of each by number in the vocabulary; a word counts ln(texts / texts that have it) (Spärck Jones
    1972)."""


def _rare_first(pairs: Ints, n: int) -> _Inverted:
    """Makes an index of words from pairs of word and holder, shape [pairs, 2]."""
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    held = np.bincount(pairs[:, 0]) if len(pairs) else np.zeros(0)
    return _Inverted(pairs[:, 0], pairs[:, 1], np.log(n / held[pairs[:, 0]]), n)


def _fired(dump: Dump, ids: Ints) -> tuple[Ints, Ints]:
    """Reads the active exemplars of features, as pairs of image and place among `ids`; images ascend."""
    index = dump.exemplar_parts.index
    begun, ended = np.searchsorted(ids, index.first, "left"), np.searchsorted(ids, index.last, "right")
    found = [np.zeros((0, 2), np.int64)]
    for at in np.flatnonzero(ended > begun).tolist():
        table = dump.exemplar_parts.read(at, ["feature", "image", "stratum"])
        features, images = ints(table["feature"]), ints(table["image"])
        strata = table["stratum"].combine_chunks().dictionary_encode()
        fires = np.array([name not in SILENT_STRATA for name in strata.dictionary.to_pylist()], bool)
        wanted = np.isin(features, ids) & fires[ints(strata.indices)]
        found.append(np.stack([images[wanted], np.searchsorted(ids, features[wanted])], axis=1))
    pairs = np.unique(np.concatenate(found), axis=0)
    return pairs[:, 0], pairs[:, 1]
