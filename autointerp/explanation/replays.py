"""What became of a feature, kept beside its answers: asked for again, it is found without composing a question.

A question follows from the dump, the settings, the templates and the program; so does its key in the cache. To find the
key, a feature is read, drawn, cut out and written into the template, which costs ten times what its answer does.
"""

import asyncio
import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL
import pyarrow as pa
from pydantic import VERSION

from autointerp.clock import now
from autointerp.dump.reader import Dump
from autointerp.explanation.explainer import Explainer
from autointerp.lmm.cache import Cache, Json
from autointerp.lmm.exchanges import Heard
from autointerp.runs.exchanges import LINE, ExchangeLine
from autointerp.runs.index import EXPLANATION, Ints
from autointerp.schema import Explanation

_PACKAGE = Path(__file__).parent.parent
_OTHERS = (platform.python_version(), version("jinja2"), np.__version__, PIL.__version__, pa.__version__, VERSION)
"""Versions of what else has a part in what is drawn, cut out and asked."""

_TOGETHER = 128
"""Outcomes that are written at once."""


class Outcome(NamedTuple):
    """A feature's explanation, and the line of what was asked and answered, where such are kept."""

    explanation: Explanation
    exchanges: ExchangeLine | None
    n_answers: int
    """How many answers it follows from."""


@cache
def program_digest() -> str:
    """SHA-256, hex, of the program's own source and of the versions of the packages that have a part in questions."""
    whole = hashlib.sha256(" ".join(_OTHERS).encode())
    for file in sorted(_PACKAGE.rglob("*.py")):
        whole.update(f"\n{file.relative_to(_PACKAGE)}\n".encode() + file.read_bytes())
    return whole.hexdigest()


@dataclass
class Replays:
    """Finds and keeps outcomes that follow from a feature of a dump, these settings and the answers alone.

    An outcome holds only as long as each answer that it follows from is in the cache, to the byte.
    """

    place: str
    """Digest of the dump, the model, the settings, and whether exchanges are kept."""
    made_by: str
    """Digest of the program and of the templates: an outcome of others is replaced."""
    _waiting: dict[str, Json] = field(default_factory=dict)
    """Outcomes that are written together: each by itself would cost as much as working it out."""

    @classmethod
    def of(cls, dump: Dump, explainer: Explainer, *, exchanges: bool) -> "Replays | None":
        """The outcomes of an explainer; None where its templates take in others, which may change unseen.

        Args:
            dump: whose features are explained.
            explainer: asks about them.
            exchanges: whether the run keeps what was asked.
        """
        if not all(prompt.is_whole for prompt in explainer.prompts):
            return None
        model = explainer.model.model_dump(mode="json", exclude={"base_url"})
        # Whose contrast is of another kind has no outcomes here, and outcomes of earlier versions stay where they are.
        settings = explainer.settings.model_dump(mode="json", exclude={"contrast_kind", "pictures"})
        place = json.dumps([dump.digest, model, settings, exchanges], sort_keys=True)
        by = " ".join((program_digest(), *(prompt.digest for prompt in explainer.prompts)))
        return cls(hashlib.sha256(place.encode()).hexdigest(), hashlib.sha256(by.encode()).hexdigest())

    @property
    def _prefix(self) -> str:
        return f"outcome:{self.place}:"

    def features(self, cache: Cache) -> Ints:
        """Features of which the cache holds an outcome, of this program or of another."""
        found = (key.removeprefix(self._prefix) for key in cache.keys(self._prefix))
        return np.fromiter((int(feature) for feature in found if feature.isdecimal()), np.int64)

    def find(self, feature: int, cache: Cache) -> Outcome | None:
        """The outcome that is kept of a feature, with the time of now; None where it has to be worked out."""
        stored = cache.get(f"{self._prefix}{feature}")
        if stored is None or stored.get("by") != self.made_by:
            return None
        try:
            answers: Mapping[str, str] = json.loads(str(stored["answers"]))
            explanation = EXPLANATION.validate_json(str(stored["explanation"]))
            line = LINE.validate_json(str(stored["exchanges"])) if stored["exchanges"] else None
        except (KeyError, ValueError):
            return None
        if explanation.feature != feature or (line is not None and line.feature != feature):
            return None
        if any(cache.stamp(key) != stamp for key, stamp in answers.items()):
            return None
        fresh = {"created": now()}
        line = None if line is None else line.model_copy(update=fresh)
        return Outcome(explanation.model_copy(update=fresh), line, len(answers))

    async def keep(self, explanation: Explanation, line: ExchangeLine | None, heard: Heard, cache: Cache) -> None:
        """Keeps an outcome, unless a question failed or was asked twice: it may come out otherwise the next time."""
        # The stamps are those of the answers that were heard; the cache may by now hold those that another process was
        # given to the same questions.
        if not all(heard.answers.values()):
            return
        self._waiting[f"{self._prefix}{explanation.feature}"] = {
            "by": self.made_by,
            "answers": json.dumps(heard.answers),
            "explanation": explanation.model_dump_json(),
            "exchanges": "" if line is None else line.model_dump_json(),
        }
        if len(self._waiting) >= _TOGETHER:
            await self.write(cache)

    async def write(self, cache: Cache) -> None:
        """Writes what was kept; what a kill loses of it is worked out again."""
        waiting, self._waiting = self._waiting, {}
        await asyncio.gather(*(cache.put(key, value) for key, value in waiting.items()))
