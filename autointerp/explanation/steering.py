"""Feature → Explanation by steering: its direction is added inside a model that sees, which says what is highlighted.

After "Language Models Can Explain Visual Features via Steering" (CVPR 2026, arXiv 2603.22593): on a blank image, or at
the heat map's patches of the highest images. Controls ask the same with nothing added, with a random direction, and
with that of another feature.
"""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from autointerp.clock import now
from autointerp.evidence import Images, draw_shown
from autointerp.explanation.explainer import Explained
from autointerp.images.picture import Picture, Tile
from autointerp.images.region import region_mask, tells
from autointerp.lmm.gateway import Gateway
from autointerp.lmm.outcomes import Answer, Failure, failed
from autointerp.lmm.request import Addition, ImagePart, Request
from autointerp.lmm.task import Task
from autointerp.prompts import Prompt, Slot, plain
from autointerp.replies import SteerReply, reply_schema
from autointerp.runs.index import Ints
from autointerp.schema import Box, Exemplar, Explanation, Feature, Usage
from autointerp.scoring.distractors import normal
from autointerp.scoring.embedder import Embedder
from autointerp.settings import ExplainSettings, ModelSettings, SteerSettings
from autointerp.steered import ControlKind, Steered, SteeredControl
from autointerp.unexplainable import NEVER_FIRED, UNEXPLAINABLE

Direction = npt.NDArray[np.float32]
STEER = Task("steer", SteerReply, tokens=24)
MOST_TOKENS = 128
"""Of one answer: a model that is pushed too far may go on for ever."""
SIDE = 448
"""Pixels of the squares that are shown, which the model's own preprocessing brings to its size."""
NO_HEAT = "none of its highest images has a heat map to steer at"
STAGE = "explain"


class Directions(Protocol):
    """Gives what each latent of a coder writes."""

    name: str
    """Of the coder, and the model that it reads."""
    hookpoint: str
    """Where it writes."""

    def of(self, latent: int) -> Direction:
        """Gives the decoder direction of a latent, [width], of unit length."""
        ...


class _Control(NamedTuple):
    """Is a question that does without the feature's direction."""

    kind: ControlKind
    feature: int | None
    """Whose direction is added; None for nobody's."""
    direction: Direction | None


class NoDirections:
    """Stands for a coder that is not open yet."""

    name = hookpoint = ""

    def of(self, latent: int) -> Direction:
        """Is never called: nothing is asked before the coder is open."""
        raise AssertionError(f"the direction of latent {latent} was asked for before the coder was open")


_UNOPENED = NoDirections()


@dataclass(frozen=True)
class Steerer:
    """Explains by steering; stands where an `Explainer` would."""

    model: ModelSettings
    settings: ExplainSettings
    plan: SteerSettings
    prompt: Prompt
    grid: tuple[int, int] | None
    """Rows and columns of the dump's heat maps."""
    features: Ints
    """All features of the dump, ascending."""
    directions: Directions = _UNOPENED
    embedder: Embedder | None = None
    """Tells whether controls say the same; None leaves it to equal words."""

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """Returns the templates that are used."""
        return (self.prompt,)

    async def explain(
        self,
        feature: Feature,
        images: Images,
        gateway: Gateway,
        shuffled: tuple[Exemplar, ...] = (),
        parents: Mapping[int, str] = MappingProxyType({}),
    ) -> Explained:
        """Asks, with the controls, and makes the record; arguments as for `Explainer.explain`, the last two unused.

        Raises:
            SettingsError: the model cannot be steered by this coder.
        """
        shown = self._shown(feature, images)
        if self.plan.on == "top" and not shown:
            why = NO_HEAT if feature.active else NEVER_FIRED
            return Explained(failed(feature.id, STAGE, Failure(UNEXPLAINABLE, why, 0)))
        direction = self.directions.of(feature.id)
        answer = await gateway.ask(self.request(direction, shown, images), SteerReply)
        if isinstance(answer, Failure):
            return Explained(failed(feature.id, STAGE, answer))
        asked = self._controls(feature.id, len(direction))
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(gateway.ask(self.request(c.direction, shown, images), SteerReply)) for c in asked
            ]
        answers = [task.result() for task in tasks]
        said = [(c, a) for c, a in zip(asked, answers, strict=True) if isinstance(a, Answer)]
        lacking = tuple(failed(feature.id, STAGE, a) for a in answers if isinstance(a, Failure))
        controls = await self._compared(plain(answer.value.text), said)
        if isinstance(controls, Failure):
            return Explained(failed(feature.id, STAGE, controls))
        usage = sum((a.usage for _, a in said), answer.usage)
        return Explained(self._record(feature.id, shown, answer, direction, controls, usage), lacking)

    async def _compared(
        self, text: str, said: Sequence[tuple[_Control, Answer[SteerReply]]]
    ) -> tuple[SteeredControl, ...] | Failure:
        """What the controls said beside the text; a failure of the embedder."""
        texts = [plain(a.value.text) for _, a in said]
        likeness = await self._likeness(text, texts)
        if isinstance(likeness, Failure):
            return likeness
        return tuple(
            SteeredControl(kind=c.kind, feature=c.feature, text=own, likeness=like, same=self._same(text, own, like))
            for (c, _), own, like in zip(said, texts, likeness, strict=True)
        )

    def _record(
        self,
        feature: int,
        shown: Sequence[Exemplar],
        answer: Answer[SteerReply],
        direction: Direction,
        controls: tuple[SteeredControl, ...],
        usage: Usage,
    ) -> Explanation:
        text = plain(answer.value.text)
        steered = Steered(
            coefficient=self.plan.coefficient,
            on=self.plan.on,
            hookpoint=self.directions.hookpoint,
            coder=self.directions.name,
            direction=hashlib.sha256(_bytes(direction)).hexdigest()[:12],
            controls=controls,
        )
        return Explanation(
            feature=feature,
            text=text,
            concepts=(text,),
            none=False,
            model=answer.model,
            prompt=self.prompt.digest[:12],
            images=tuple(e.image for e in shown),
            steered=steered,
            usage=usage,
            created=now(),
        )

    def _shown(self, feature: Feature, images: Images) -> tuple[Exemplar, ...]:
        """The highest images, as `draw_shown` draws them, that have a heat map; none where the image is blank."""
        if self.plan.on == "blank":
            return ()
        alone = self.settings.model_copy(update={"n_bands": 0, "n_contrast": 0})
        return tuple(e for e in draw_shown(feature, images, alone).active if self._has_cells(e))

    def _has_cells(self, exemplar: Exemplar) -> bool:
        heat, grid = exemplar.heat, self.grid
        return heat is not None and grid is not None and tells(heat) and bool(region_mask(heat, grid).any())

    def _controls(self, feature: int, width: int) -> list[_Control]:
        """The controls of a feature, which do not hang on the other features of a run."""
        random = random_direction(feature, width, self.settings.seed)
        made = [_Control("nothing", None, None), _Control("random", None, random)]
        # The far half of all features, as the paper's code permutes them, so that no feature stands for itself.
        at, n = int(np.searchsorted(self.features, feature)), len(self.features)
        other = int(self.features[(at + n // 2) % n])
        return [*made, _Control("other", other, self.directions.of(other))] if other != feature else made

    def request(self, direction: Direction | None, shown: Sequence[Exemplar], images: Images) -> Request:
        """The question what is highlighted.

        Args:
            direction: what is added, [width], of unit length; None adds nothing.
            shown: images with heat maps; none for a blank image.
            images: rows of them.
        """
        tiles = [self._tile(e, images) for e in shown]
        pictures = [Picture(tiles=(tile,), side=SIDE, quality=self.settings.region.quality) for tile in tiles]
        parts = [ImagePart(picture=p, role="active", numbers=(i,)) for i, p in enumerate(pictures, 1)]
        slots = [Slot(i, "mask") for i in range(len(parts))]
        added = None
        if direction is not None and self.plan.coefficient:
            added = Addition(self.directions.hookpoint, _bytes(direction), self.plan.coefficient)
        return Request(
            model=self.model.model,
            task=STEER.name,
            subject="",
            messages=self.prompt.fill({"n": len(parts), "slots": slots}, parts),
            reply_schema=reply_schema(SteerReply),
            temperature=self.model.temperature,
            max_tokens=min(self.model.max_tokens, MOST_TOKENS),
            seed=self.model.seed,
            addition=added,
        )

    def _tile(self, exemplar: Exemplar, images: Images) -> Tile:
        row = images[exemplar.image]
        size = row.width, row.height
        return Tile(row.image, row.sha256, size, "mask", Box(0, 0, *size), exemplar.heat, self.grid)

    async def _likeness(self, text: str, others: Sequence[str]) -> Sequence[float | None] | Failure:
        """Cosines of the embeddings of texts with that of one; None each where nobody embeds."""
        if self.embedder is None:
            return [None] * len(others)
        vectors = await self.embedder.texts([text, *others])
        if isinstance(vectors, Failure):
            return vectors
        return [round(float(v), 4) for v in vectors[1:] @ vectors[0]]

    def _same(self, text: str, other: str, likeness: float | None) -> bool:
        return normal(text) == normal(other) or (likeness is not None and likeness >= self.plan.same)


def random_direction(feature: int, width: int, seed: int) -> Direction:
    """Draws a direction of unit length uniformly, [width]; for one feature and seed always the same."""
    drawn = np.random.default_rng((seed, feature)).standard_normal(width)
    return (drawn / np.linalg.norm(drawn)).astype(np.float32)


def _bytes(direction: Direction) -> bytes:
    return direction.astype("<f4").tobytes()
