"""Steering for one command: the model that is steered as a client, and the directions of the dump's coder."""

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from autointerp.dump.reader import Dump
from autointerp.errors import SettingsError
from autointerp.explanation.steering import SIDE, Direction, Steerer
from autointerp.extras import need
from autointerp.images.picture import Tile
from autointerp.images.region import region_mask
from autointerp.lmm.outcomes import CallError
from autointerp.lmm.request import Addition, Completion, Images, Message, Request, TextPart
from autointerp.prompts import load_prompt
from autointerp.session.encoding import DumpEncoder
from autointerp.settings import TRANSFORMERS, ExplainSettings, ModelName, ModelSettings

if TYPE_CHECKING:
    from autointerp.lmm.embedding import GatewayEmbedder
    from autointerp.transcoder.harvest.reencode import Encoding
    from autointerp.transcoder.vision_language import Push, VisionLanguageModel

_RESOLVED = re.compile(r"@[0-9a-f]{12}$")


def steered_model(model: ModelSettings, settings: ExplainSettings, device: str) -> ModelSettings:
    """The settings with the full name of a model that is steered: its files are part of it, so of every cache key.

    Raises:
        SettingsError: it cannot be steered, something is asked for besides that it cannot do, or its files are not
            those that the name states.
        ExtraError: a package is missing.
    """
    if not model.model.is_transformers:
        raise SettingsError(
            f"--steer with --model {model.model}: the addition is made inside the model, which no endpoint offers; "
            f"name a vision-language model of transformers, --model {TRANSFORMERS}NAME"
        )
    for option, asked in (
        ("--candidates or --diverse", settings.candidates),
        ("--hierarchy", settings.hierarchy),
        ("--domain", settings.domain),
    ):
        if asked:
            raise SettingsError(f"--steer with {option}: a steered model is asked one question alone; leave one out")
    need("--steer", ("torch", "transformers", "huggingface_hub"), "backbones")
    from autointerp.transcoder.vision_language import digest_of, folder_of

    base, stated = base_name(model.model), _RESOLVED.search(model.model)
    # A folder by its whole path, so that the name holds in any working folder.
    base = str(Path(base).resolve()) if Path(base).is_dir() else base
    name = f"{TRANSFORMERS}{base}@{digest_of(folder_of(base), device)[:12]}"
    if stated is not None and name != model.model:
        raise SettingsError(f"--model {model.model}: its files are others now; leave what follows @ out")
    return model.of(name).model_copy(update={"base_url": None})


def base_name(model: ModelName) -> str:
    """The folder of a model of transformers, or its name on the hub."""
    return _RESOLVED.sub("", model.removeprefix(TRANSFORMERS))


def make_steerer(dump: Dump, model: ModelSettings, settings: ExplainSettings, prompts: Path | None) -> Steerer:
    """Loads the template and makes who explains; the directions come with the coder, once that is open.

    Raises:
        PromptError: the template is missing or broken.
        SettingsError: no image would be shown, or the dump has no heat maps.
    """
    plan = settings.steer
    assert plan is not None
    if plan.on == "top" and (dump.info.patch_grid is None or not settings.n_top):
        lacks = f"{dump.path} has no heat maps" if settings.n_top else "--top 0 shows no image"
        raise SettingsError(f"--steer-on top: {lacks}; use --steer-on blank")
    prompt = load_prompt("steer", prompts)
    return Steerer(model, settings, plan, prompt, dump.info.patch_grid, dump.feature_ids)


def with_directions(steerer: object, encoder: DumpEncoder, embedder: "GatewayEmbedder | None") -> Steerer:
    """The same who explains, with the coder and the embedder that are open now.

    Raises:
        SettingsError: the coder writes nothing.
    """
    assert isinstance(steerer, Steerer)
    return replace(steerer, directions=CoderDirections(encoder), embedder=embedder)


class CoderDirections:
    """What the latents of an open coder write.

    Raises:
        SettingsError: it writes nothing that is kept.
    """

    def __init__(self, encoder: DumpEncoder) -> None:
        source = encoder.encoding.source
        if source.decoder is None:
            raise SettingsError(
                f"--steer: {source.name} has no decoder directions; name the whole coder with --coder, no part of one "
                "and no units of the model"
            )
        self.name = encoder.name
        self.hookpoint = source.hookpoint.rpartition(" -> ")[2]
        self._rows = source.decoder

    def of(self, latent: int) -> Direction:
        """Gives a latent's direction, [width], of unit length.

        Raises:
            SettingsError: it has none: all its numbers are 0.
        """
        row = self._rows[latent].astype(np.float64)
        length = float(np.linalg.norm(row))
        if not length:
            raise SettingsError(f"--steer: latent {latent} of {self.name} writes nothing; leave it out with --features")
        return (row / length).astype(np.float32)


class SteeredClient:
    """Answers by a model of transformers in this process, one question after the other.

    It is loaded when the first question is asked; then it is made sure that the explained encoder sits inside, and
    that what is added reaches what the model says.

    Args:
        model: its full name.
        device: where it runs.
    """

    def __init__(self, model: ModelName, device: str) -> None:
        self.encoding: Encoding | None = None
        """The coder and the backbone of the dump, once they are open."""
        self._name, self._device = base_name(model), device
        self._model: VisionLanguageModel | None = None
        self._checked = False
        self._busy = Lock()

    async def complete(self, request: Request, images: Images, slot: AbstractAsyncContextManager[object]) -> Completion:
        """Answers once; the work is done in a thread.

        Raises:
            CallError: it said nothing, or went on without an end.
            SettingsError: it cannot be steered by this coder.
        """
        tiles = [tile for picture in request.pictures for tile in picture.tiles]
        shown = [squared(await images.tile(tile, SIDE)) for tile in tiles]
        async with slot:
            return await asyncio.to_thread(self._answer, request, tiles, shown)

    def _answer(self, request: Request, tiles: Sequence[Tile], shown: Sequence[Image.Image]) -> Completion:
        with self._busy:
            model = self._opened()
            turns, push = conversation(request.messages, shown), pushed(request.addition, tiles)
            if push is not None:
                self._check(model, turns, push)
            limit = request.max_tokens
            said = model.say(turns, push, max_tokens=limit, temperature=request.temperature, seed=request.seed)
        if not said.ended:
            why = f"went on beyond {limit} tokens, as a model does that is pushed too far; try a smaller --steer"
            raise CallError("malformed", why, again=False)
        if not said.text.strip():
            raise CallError("malformed", "the model said nothing; try a smaller --steer", again=False)
        return Completion(
            json.dumps({"text": said.text.strip()}), said.n_in, said.n_out, 0, "stop", None, request.model
        )

    def _opened(self) -> "VisionLanguageModel":
        if self._model is None:
            from autointerp.transcoder.vision_language import open_vision_language

            self._model = open_vision_language(self._name, self._device)
        return self._model

    def _check(self, model: "VisionLanguageModel", turns: Sequence[Mapping[str, object]], push: "Push") -> None:
        if self._checked:
            return
        model.tap(push.hookpoint)
        if self.encoding is not None:
            model.check_inside(self.encoding.backbone, push.hookpoint)
        if model.logits(turns, None).equal(model.logits(turns, push)):
            raise SettingsError(
                f"--steer: what is added at {push.hookpoint} reaches nothing that the language model of {model.name} "
                "reads; it reads the tower at an earlier block"
            )
        self._checked = True


def squared(picture: Image.Image) -> Image.Image:
    """Stretches a picture to the square in which the cells of a heat map and a tower's patches lie alike."""
    return picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def conversation(messages: Sequence[Message], shown: Sequence[Image.Image]) -> list[Mapping[str, object]]:
    """A conversation as chat templates take it; without a picture it is about a blank white one, which comes first.

    Args:
        messages: what is asked.
        shown: its pictures, in order.
    """
    pictures = iter(shown)
    turns: list[Mapping[str, object]] = []
    for message in messages:
        content: list[Mapping[str, object]] = [
            {"type": "text", "text": part.text}
            if isinstance(part, TextPart)
            else {"type": "image", "image": next(pictures)}
            for part in message.parts
        ]
        if not shown and not turns:
            content.insert(0, {"type": "image", "image": Image.new("RGB", (SIDE, SIDE), "white")})
        turns.append({"role": message.role, "content": content})
    return turns


def pushed(addition: Addition | None, tiles: Sequence[Tile]) -> "Push | None":
    """What is added as the model takes it: at the regions of the tiles' heat maps, or everywhere without tiles."""
    if addition is None or not addition.coefficient:
        return None
    from autointerp.transcoder.vision_language import Push

    direction = np.frombuffer(addition.direction, "<f4").astype(np.float32)
    vector = np.float32(addition.coefficient) * direction
    return Push(addition.hookpoint, vector, tuple(map(_cells, tiles)) if tiles else None)


def _cells(tile: Tile) -> "np.ndarray[tuple[int, int], np.dtype[np.bool_]]":
    assert tile.heat is not None
    assert tile.grid is not None
    return region_mask(tile.heat, tile.grid)
