"""The eye: a crop becomes a vector in sentence space and a list of visual properties."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from autointerp.lmm.local.network import Seen, network
from autointerp.lmm.local.tables import Floats, Tables, tables
from autointerp.lmm.local.visual import measure_all


@dataclass(frozen=True)
class View:
    """What the eye makes of one crop."""

    meaning: Floats
    """[384], unit length, in centred sentence space."""
    visual: Floats
    """[properties], 0 to 1."""


def features(seen: Seen, class_text: Floats) -> Floats:
    """[pictures, 1664]: pooled features, then class text weighted by probability (ConSE); roots tame the peaks."""
    return np.concatenate([np.sqrt(seen.pooled), np.sqrt(seen.probabilities) @ class_text], axis=1)


def meanings(seen: Seen, weights: Tables) -> Floats:
    """Embeds pictures: [pictures, 384], of unit length."""
    raw = features(seen, weights.class_text) @ weights.head + weights.head_bias
    return raw / np.maximum(np.linalg.norm(raw, axis=1, keepdims=True), 1e-6)


def look(pictures: Sequence[Image.Image]) -> list[View]:
    """Looks at crops of any size."""
    if not pictures:
        return []
    meaning = meanings(network().look(list(pictures)), tables())
    return [View(m, measure_all(p)) for m, p in zip(meaning, pictures, strict=True)]


def blend(views: Sequence[View], shares: Sequence[float], whole: Sequence[bool]) -> View:
    """Several looks at one image as one.

    Looks are taken from whole images where there are any: the background's are, and how a region is cut says nothing.
    """
    weight = np.array(shares) / sum(shares)
    meaning = weight @ np.stack([v.meaning for v in views])
    visual = np.stack([v.visual for v, is_whole in zip(views, whole, strict=True) if is_whole or not any(whole)])
    return View((meaning / np.linalg.norm(meaning)).astype(np.float32), visual.mean(axis=0).astype(np.float32))
