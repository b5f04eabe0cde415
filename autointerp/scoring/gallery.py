"""Pictures of texts: made once each, in several styles, and encoded as the dump's images were."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from autointerp.images.alteration import NO_IMAGE, Source, whole
from autointerp.lmm.images.painter import Painted
from autointerp.lmm.images.request import seed_of
from autointerp.lmm.images.store import PictureStore, picture_file
from autointerp.lmm.outcomes import DEFERRED, Failure
from autointerp.lmm.request import TextPart
from autointerp.prompts import Prompt, plain
from autointerp.schema import Usage
from autointerp.scoring.encoder import Fired, PictureEncoder
from autointerp.scoring.generation_statistics import Pictures
from autointerp.scoring.judge import SETTLED
from autointerp.settings import PictureSettings

TEMPLATE = "picture"
"""The name of the template that makes prompts."""
STYLES = ("photograph", "snapshot", "plain", "drawing")
"""What the template knows; pictures of one text take turns, so that no style stands for the text."""
GENERIC = "a photograph"
"""The text that says nothing."""


class Painter(Protocol):
    """Whoever makes pictures of words."""

    name: str
    """The name of the model, for the record."""
    store: PictureStore
    """Where the pictures lie."""

    async def picture(self, prompt: str, seed: int) -> Painted | Failure:
        """Gives the picture of some words and a seed; raises EndpointError where no request can succeed."""
        ...


class Shot(NamedTuple):
    """One picture of a text, encoded."""

    prompt: str
    style: str
    painted: Painted
    fired: Fired


@dataclass(frozen=True, slots=True)
class Album:
    """The pictures of one text."""

    shots: tuple[Shot, ...]
    gaps: tuple[Failure, ...]
    """Why others were not made: each would fail again."""

    @property
    def usage(self) -> Usage:
        """What making them took."""
        return sum((shot.painted.usage for shot in self.shots), Usage())

    def of(self, feature: int) -> Pictures:
        """The columns of a feature on these pictures."""
        level = np.array([shot.fired.of(feature) for shot in self.shots], np.float64)
        return Pictures(level, np.array([STYLES.index(shot.style) for shot in self.shots], np.int64))


class Gallery:
    """Has pictures made and encoded; those of the texts that serve many features are kept in memory.

    Args:
        painter: who makes them.
        encoder: who encodes them.
        template: makes a prompt of a text and a style.
        settings: how many, and how.
        seed: of the run.
    """

    def __init__(
        self, painter: Painter, encoder: PictureEncoder, template: Prompt, settings: PictureSettings, seed: int
    ) -> None:
        self.name = painter.name
        self.template = template
        self._painter, self._encoder = painter, encoder
        self._settings, self._seed = settings, seed
        self._shared: dict[str, Album | Failure] = {}
        self._turns: dict[str, asyncio.Lock] = {}

    async def of(self, texts: Sequence[str]) -> Album | Failure:
        """Gives the pictures of one explanation, or a failure that may pass.

        Args:
            texts: the explanation, or its parts, which then take turns.

        Raises:
            EndpointError: no request of this run can succeed.
        """
        asked = [self._asked(texts, i) for i in range(self._settings.n)]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._painter.picture(prompt, seed)) for prompt, _, seed in asked]
        made = [task.result() for task in tasks]
        if passing := [m for m in made if isinstance(m, Failure) and m.kind not in SETTLED]:
            # What a batch job is to make may wait behind what it is not asked for.
            return min(passing, key=lambda failure: failure.kind == DEFERRED)
        there = [(a, m) for a, m in zip(asked, made, strict=True) if not isinstance(m, Failure)]
        encoded = await self._encoder.peaks([whole(self._source(painted)) for _, painted in there])
        shots = [
            Shot(prompt, style, painted, fired)
            for ((prompt, style, _), painted), fired in zip(there, encoded, strict=True)
            if fired is not None
        ]
        return Album(tuple(shots), tuple(m for m in made if isinstance(m, Failure)))

    async def shared(self, text: str) -> Album | Failure:
        """Gives the pictures of a text that serves many features; whoever comes first has them made."""
        async with self._turns.setdefault(text, asyncio.Lock()):
            known = self._shared.get(text) or await self.of((text,))
            if isinstance(known, Album) or known.kind == DEFERRED:
                self._shared[text] = known
            return known

    async def heats(self, album: Album, feature: int) -> Sequence[bytes | None]:
        """Gives the heat map of a feature over each of some pictures; None where there is none."""
        return await self._encoder.heats([whole(self._source(shot.painted)) for shot in album.shots], feature)

    def keep(self, sha256: str, folder: Path) -> None:
        """Puts a picture that was made into another folder of pictures; raises SettingsError where it cannot."""
        self._painter.store.copy_to(folder, sha256)

    def _asked(self, texts: Sequence[str], i: int) -> tuple[str, str, int]:
        """The prompt, the style and the seed of a picture."""
        turn, place = divmod(i, len(STYLES))
        style, text = STYLES[place], texts[(turn + place) % len(texts)]
        parts = self.template.fill({"text": plain(text).rstrip("."), "style": style}, ())[-1].parts
        prompt = "\n".join(part.text for part in parts if isinstance(part, TextPart))
        return prompt, style, seed_of(self._seed, text, style, turn)

    def _source(self, painted: Painted) -> Source:
        file = picture_file(self._painter.store.folder, painted.sha256)
        assert file is not None, "who made a picture put it into the store"
        return Source(NO_IMAGE, painted.sha256, painted.size, file)
