"""Makes pictures by a diffusers pipeline in this process, one after the other."""

import asyncio
import io
import json
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Protocol

from autointerp.errors import SettingsError, one_line
from autointerp.extras import GENERATE, need
from autointerp.lmm.images.request import PictureReply, fields_of, prompt_of
from autointerp.lmm.images.store import PictureStore
from autointerp.lmm.outcomes import CallError
from autointerp.lmm.request import Completion, Images, Request
from autointerp.settings import PIPELINE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL import Image


class _Output(Protocol):
    """What a pipeline gives."""

    images: "Sequence[Image.Image]"


class Pipeline(Protocol):
    """What is used of `diffusers.DiffusionPipeline`."""

    def __call__(self, prompt: str, **options: object) -> _Output:
        """Makes pictures of a prompt."""
        ...


class PipelineClient:
    """Answers requests for pictures by a pipeline, which is loaded for the first of them.

    Args:
        name: a folder, or a name on the hub.
        store: where pictures are put.
        device: that torch works on.

    Raises:
        ExtraError: a package is missing.
    """

    def __init__(self, name: str, store: PictureStore, device: str = "cpu") -> None:
        need(f"--image-model {PIPELINE}{name}", GENERATE, "generate")
        self._name, self._store, self._device = name, store, device
        self._pipeline: Pipeline | None = None
        self._turn = asyncio.Lock()

    async def complete(self, request: Request, images: Images, slot: AbstractAsyncContextManager[object]) -> Completion:
        """Makes one picture, and keeps it.

        Raises:
            CallError: the pipeline cannot make it, or its safety checker stopped it.
            SettingsError: the pipeline cannot be loaded, or the picture cannot be written.
        """
        async with slot, self._turn:
            reply = await asyncio.to_thread(self._made, request)
        text = json.dumps(reply.model_dump(exclude_defaults=True))
        return Completion(text, 0, 0, 0, "stop", None, request.model)

    def _made(self, request: Request) -> PictureReply:
        import torch

        self._pipeline = self._pipeline or loaded(self._name, self._device)
        width, height = map(int, fields_of(request)["size"].split("x"))
        try:
            made = self._pipeline(
                prompt_of(request),
                width=width,
                height=height,
                generator=torch.Generator("cpu").manual_seed(request.seed),
                output_type="pil",
            )
        except ValueError as e:
            said = f"{PIPELINE}{self._name} cannot make a picture ({one_line(str(e))})"
            remedy = f"{said}; give another --image-size, or another --image-model"
            raise CallError("http_400", said, again=False, remedy=remedy) from e
        if any(getattr(made, "nsfw_content_detected", None) or ()):
            raise CallError("refused", "stopped by the safety checker of the pipeline", again=False)
        buffer = io.BytesIO()
        picture = made.images[0].convert("RGB")
        picture.save(buffer, "PNG")
        sha256 = self._store.put(buffer.getvalue(), "PNG")
        return PictureReply(sha256=sha256, width=picture.width, height=picture.height)


def loaded(name: str, device: str) -> Pipeline:
    """Loads a pipeline from safetensors files; nothing of it is unpickled, and none of its own code is run.

    Raises:
        SettingsError: it cannot be loaded.
    """
    from diffusers import DiffusionPipeline  # pyright: ignore[reportMissingImports] - of the extra generate

    try:
        pipeline = DiffusionPipeline.from_pretrained(name, use_safetensors=True)
    except (OSError, ValueError) as e:
        raise SettingsError(f"--image-model {PIPELINE}{name}: cannot be loaded ({one_line(str(e))[:300]})") from e
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device)
