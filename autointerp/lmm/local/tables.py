"""The trained tables of the embedded model, as shipped in weights/, and the name that follows from them."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load

Floats: TypeAlias = npt.NDArray[np.float32]
Ints: TypeAlias = npt.NDArray[np.int64]

N_NEIGHBOURS = 6


@dataclass(frozen=True)
class Tables:
    """Holds everything that scripts/train_local_head.py writes."""

    class_text: Floats
    """[1000, 384]: the sentence vector of each ImageNet class."""
    head: Floats
    """[1664, 384]: from pooled features and expected class text to sentence space."""
    head_bias: Floats
    """[384]."""
    text_mean: Floats
    """[384]: subtracted from sentence vectors before likeness is measured."""
    phrases: tuple[str, ...]
    """What explanations are made of; the first `n_general` are general concepts."""
    n_general: int
    kinds: tuple[tuple[int, frozenset[int]], ...]
    """Places of general phrases, each with those of the narrower phrases that it covers; narrower kinds first."""
    phrase_text: Floats
    """[phrases, 384]: their sentence vectors, centred, unit length."""
    background: Floats
    """[pictures, 384]: how the eye sees pictures of all kinds; unit length."""
    background_visual: Floats
    """[pictures, properties]: their visual properties."""
    judge: tuple[float, float, float]
    """Belief = 1 / (1 + exp(-(a + b * likeness + c * z))), z the likeness in standard deviations of the background."""

    @cached_property
    def neighbours(self) -> Ints:
        """[phrases, 6]: the phrases nearest in meaning, the phrase itself left out."""
        likeness = self.phrase_text @ self.phrase_text.T
        np.fill_diagonal(likeness, -1)
        return np.argpartition(-likeness, N_NEIGHBOURS, axis=1)[:, :N_NEIGHBOURS]

    def centred(self, text: Floats) -> Floats:
        """A sentence vector as likeness is measured against: centred, unit length."""
        shifted = text - self.text_mean
        return shifted / max(float(np.linalg.norm(shifted)), 1e-6)


def _folder() -> Traversable:
    return files("autointerp.lmm.local") / "weights"


@lru_cache(maxsize=1)
def tables() -> Tables:
    """Returns the one copy of the process."""
    stored = load((_folder() / "local.safetensors").read_bytes())
    words = json.loads((_folder() / "local.json").read_text(encoding="utf-8"))
    arrays = {name: values.astype(np.float32) for name, values in stored.items()}
    return Tables(
        **arrays,
        phrases=tuple(words["phrases"]),
        n_general=words["n_general"],
        kinds=tuple((kind, frozenset(members)) for kind, members in words["kinds"]),
        judge=tuple(words["judge"]),
    )


@lru_cache(maxsize=1)
def weights_digest() -> str:
    """First 12 hex digits over the tables and this package's code, since either decides what is answered."""
    digest = hashlib.sha256()
    code = [file for file in files("autointerp.lmm.local").iterdir() if file.name.endswith(".py")]
    for file in (*sorted(code, key=lambda f: f.name), _folder() / "local.safetensors", _folder() / "local.json"):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
