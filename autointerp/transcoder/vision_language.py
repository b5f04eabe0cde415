"""Vision-language models of transformers that are steered: a direction is added in the vision tower while they look."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from autointerp.errors import SettingsError, excerpt
from autointerp.extras import need
from autointerp.transcoder.backbones.huggingface import quiet
from autointerp.transcoder.backbones.module import ModuleBackbone, hooked
from autointerp.transcoder.backbones.registry import check_device
from autointerp.transcoder.backbones.taps import Grid, Tap, block_taps, first_of, lie_of, stages_of, with_first

if TYPE_CHECKING:
    from transformers import PreTrainedModel, ProcessorMixin  # pyright: ignore[reportMissingImports]

Mask = npt.NDArray[np.bool_]
Turn = Mapping[str, object]
"""A turn of a conversation as chat templates take it: a role, and content of texts and pictures."""
NEEDED = ("torch", "transformers", "huggingface_hub")
_VERSION = 1
"""Raised whenever the same question would be answered otherwise."""
_FILES = ("*.json", "*.safetensors", "*.jinja", "*.txt", "*.model")
_GRIDS = "image_grid_thw"
"""What processors of Qwen's kind say of the patches of each picture, which then lie in one row of all pictures."""


class Said(NamedTuple):
    """What a model said."""

    text: str
    n_in: int
    """Tokens that it read."""
    n_out: int
    ended: bool
    """Whether it came to an end by itself."""


@dataclass(frozen=True, slots=True)
class Push:
    """What is added, and where."""

    hookpoint: str
    vector: npt.NDArray[np.float32]
    """[width], in the units of the hookpoint."""
    where: tuple[Mask, ...] | None
    """Of each picture the cells to whose patches it is added, [rows, columns] over the whole picture; None adds it to
    every patch."""


def folder_of(name: str) -> Path:
    """Returns the folder of a model, having fetched it where it is on the hub.

    Args:
        name: a folder, or OWNER/REPO on the hub.

    Raises:
        SettingsError: the hub does not give it.
        ExtraError: a package is missing.
    """
    need(f"--model hf:{name}", NEEDED, "backbones")
    if Path(name).is_dir():
        return Path(name).resolve()
    from huggingface_hub import snapshot_download  # pyright: ignore[reportMissingImports]
    from huggingface_hub.errors import (  # pyright: ignore[reportMissingImports]
        HFValidationError,
        HTTPError,  # pyright: ignore[reportPrivateImportUsage]
    )

    try:
        return Path(snapshot_download(name, allow_patterns=list(_FILES)))
    except (HTTPError, HFValidationError, OSError) as e:
        said = excerpt(str(e).partition("\n")[0])
        raise SettingsError(f"--model hf:{name}: {said}; name a folder, or check the name and the network") from e


def digest_of(folder: Path, device: str) -> str:
    """Computes the SHA-256, hex, over all that an answer depends on besides the question: files, numbers, program."""
    import transformers  # pyright: ignore[reportMissingImports]

    whole = hashlib.sha256(repr((_VERSION, transformers.__version__, _stored(device))).encode())
    for file in sorted(f for pattern in _FILES for f in folder.glob(pattern)):
        with file.open("rb") as opened:
            whole.update(f"{file.name} {hashlib.file_digest(opened, 'sha256').hexdigest()}\n".encode())
    return whole.hexdigest()


def _stored(device: str) -> bool:
    """Whether the numbers stay as the files have them: half of them are slow on processors, or cannot be had."""
    return not device.startswith("cpu")


def open_vision_language(name: str, device: str) -> "VisionLanguageModel":
    """Loads a model with its processor.

    Args:
        name: a folder, or OWNER/REPO on the hub.
        device: where it runs, as torch names it.

    Raises:
        SettingsError: it cannot be loaded, or has no vision tower.
        ExtraError: a package is missing.
    """
    folder, typed = folder_of(name), f"--model hf:{name}"
    import transformers  # pyright: ignore[reportMissingImports]

    check_device(device)
    try:
        with quiet():
            config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
            if getattr(config, "vision_config", None) is None:
                raise SettingsError(f"{typed}: has no vision tower; name a vision-language model")
            dtype = "auto" if _stored(device) else torch.float32
            kind = transformers.AutoModelForImageTextToText
            model = kind.from_pretrained(str(folder), dtype=dtype, trust_remote_code=False)
            processor = transformers.AutoProcessor.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError, RuntimeError, ImportError) as e:
        raise SettingsError(f"{typed}: {excerpt(str(e))}") from e
    nn.Module.to(model, device)
    return VisionLanguageModel(typed, model.eval().requires_grad_(False), processor)


class VisionLanguageModel:
    """A language model that looks through a vision tower, in which a direction can be added.

    Args:
        name: for messages.
        model: of transformers; is put into evaluation mode.
        processor: its own.

    Raises:
        SettingsError: it has no vision tower, or its processor takes no pictures or knows no conversation.
    """

    def __init__(self, name: str, model: "PreTrainedModel", processor: "ProcessorMixin") -> None:
        self.name, self.model, self.processor = name, model, processor
        tower = model.get_encoder(modality="image")
        if getattr(model.config, "vision_config", None) is None or tower in (model, model.base_model):
            raise SettingsError(f"{name}: has no vision tower; name a vision-language model")
        self.tower: nn.Module = tower
        if getattr(processor, "image_processor", None) is None or getattr(processor, "chat_template", None) is None:
            raise SettingsError(f"{name}: its processor has no image processor or no chat template")

    def tap(self, hookpoint: str) -> Tap:
        """Finds a hookpoint of patches in the tower, by the usual names or as the path of a submodule.

        Raises:
            SettingsError: it is not inside.
        """
        usual = {n: t for n, t in block_taps(self.name, self.tower).items() if t.kind == "patches"}
        if hookpoint in usual:
            return usual[hookpoint]
        if hookpoint and hookpoint in dict(self.tower.named_modules()):
            return Tap(hookpoint)
        last = list(usual)[-1]
        raise SettingsError(
            f"--steer: the hookpoint {hookpoint} of the dump is not inside the vision tower of {self.name}, which has "
            f"{next(iter(usual))} … {last}"
        )

    def inputs(self, turns: Sequence[Turn]) -> dict[str, Tensor]:
        """Returns what the model takes of a conversation."""
        made: Mapping[str, Tensor] = self.processor.apply_chat_template(  # pyright: ignore[reportAssignmentType]
            list(turns),  # pyright: ignore[reportArgumentType] - the stub knows no pictures
            tokenize=True,
            add_generation_prompt=True,
            return_dict=True,
            return_tensors="pt",
        )
        moved = {name: value.to(self.model.device) for name, value in made.items()}
        return {n: v.to(self.model.dtype) if v.is_floating_point() else v for n, v in moved.items()}

    def say(
        self,
        turns: Sequence[Turn],
        push: Push | None,
        *,
        max_tokens: int,
        temperature: float,
        seed: int,
    ) -> Said:
        """Has the model answer while something is added in its vision tower.

        Args:
            turns: the conversation, whose pictures are squares.
            push: what is added; None adds nothing.
            max_tokens: of the answer.
            temperature: of the sampling; 0 takes the likeliest token each time.
            seed: of the sampling.

        Raises:
            SettingsError: the addition does not fit the tower, or the model cannot run the picture.
        """
        drawn = {"do_sample": True, "temperature": temperature} if temperature else {"do_sample": False}
        ids, inputs = self._run(turns, push, lambda given: self._generated(given, max_tokens, seed, drawn))
        n_in = inputs["input_ids"].shape[1]
        own = ids[0, n_in:].tolist()
        text = self.processor.decode(own, skip_special_tokens=True)
        return Said(text, n_in, len(own), ended=len(own) < max_tokens or own[-1] in self._ends())

    def logits(self, turns: Sequence[Turn], push: Push | None) -> Tensor:
        """Computes the logits of the first token of an answer, [vocabulary]; arguments as for `say`."""
        return self._run(turns, push, lambda given: self.model(**given).logits[0, -1])[0]

    def _run(
        self, turns: Sequence[Turn], push: Push | None, work: Callable[[dict[str, Tensor]], Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        try:
            inputs = self.inputs(turns)
            with torch.no_grad(), quiet(), self._pushing(push, inputs):
                return work(inputs), inputs
        except (ValueError, IndexError) as e:
            # Such as another number of image tokens in the text than the tower gives patches.
            raise SettingsError(f"{self.name}: cannot run a prepared picture: {excerpt(str(e))}") from e

    def _generated(self, inputs: dict[str, Tensor], max_tokens: int, seed: int, drawn: Mapping[str, object]) -> Tensor:
        device = self.model.device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            made = self.model.generate(  # pyright: ignore[reportCallIssue] - of a class that the stub leaves out
                **inputs, max_new_tokens=max_tokens, **drawn
            )
        assert isinstance(made, Tensor)
        return made

    def _ends(self) -> Sequence[int]:
        ends = self.model.generation_config.eos_token_id
        return ends if isinstance(ends, list) else [] if ends is None else [ends]

    @contextmanager
    def _pushing(self, push: Push | None, inputs: Mapping[str, Tensor]) -> Iterator[None]:
        """Adds while it is open; the hook is gone afterwards.

        Raises:
            SettingsError: the tower never passes the hookpoint.
        """
        if push is None or not push.vector.any():
            yield
            return
        tap, n_passed = self.tap(push.hookpoint), 0

        def pass_on(value: object) -> object:
            nonlocal n_passed
            n_passed += 1
            return with_first(value, self._pushed(first_of(value), push, tap, inputs))

        # Those that transformers has put there to keep hidden states, which LLaVA reads, come after.
        handle = hooked(self.tower.get_submodule(tap.path), tap, pass_on, first=True)
        try:
            yield
        finally:
            handle.remove()
        if not n_passed:
            raise SettingsError(f"--steer: the vision tower of {self.name} never passes {push.hookpoint}")

    def _pushed(self, whole: object, push: Push, tap: Tap, inputs: Mapping[str, Tensor]) -> Tensor:
        in_a_row = _GRIDS in inputs
        if not isinstance(whole, Tensor) or (whole.ndim == 2) != in_a_row:
            raise SettingsError(f"--steer: what {self.name} passes at {push.hookpoint} is not one vector a patch")
        several = whole[None] if in_a_row else whole
        try:
            lie = lie_of(several[:1], tap, (several.shape[1], 1) if in_a_row else self._grid(inputs))
        except ValueError as e:
            raise SettingsError(f"--steer: {push.hookpoint} of {self.name} {e}") from e
        if lie.width != len(push.vector):
            raise SettingsError(
                f"--steer: the directions have {len(push.vector)} channels, and {push.hookpoint} of {self.name} has "
                f"{lie.width}: the coder was trained on another model"
            )
        seen = lie.view(several)
        made = lie.put(several, self._added(seen, push, lie.grid, inputs))
        return made[0] if in_a_row else made

    def _added(self, seen: Tensor, push: Push, grid: Grid, inputs: Mapping[str, Tensor]) -> Tensor:
        """Adds to what is seen, [pictures, patches, width]."""
        moved = seen + torch.from_numpy(push.vector).to(seen)
        if push.where is None:
            return moved
        rows = self._in_a_row(push.where, inputs) if _GRIDS in inputs else self._each(push.where, grid, len(seen))
        if rows.shape != seen.shape[:2]:
            raise SettingsError(
                f"--steer-on top: {self.name} has {seen.shape[1]} patches, not {rows.shape[1]}; use blank"
            )
        return torch.where(torch.from_numpy(rows).to(seen.device)[:, :, None], moved, seen)

    def _each(self, where: Sequence[Mask], grid: Grid, n: int) -> Mask:
        """Returns which patches of each picture are meant, [pictures, patches]."""
        if n != len(where):
            raise SettingsError(
                f"--steer-on top: {self.name} cuts {len(where)} pictures into {n} views, so that the cells of a heat "
                "map lie elsewhere; use --steer-on blank"
            )
        return np.stack([spread(mask, grid).ravel() for mask in where])

    def _in_a_row(self, where: Sequence[Mask], inputs: Mapping[str, Tensor]) -> Mask:
        """Returns which patches are meant where those that are merged lie together, [1, patches of all pictures]."""
        vision = self.model.config.vision_config
        if getattr(vision, "window_size", None) is not None:
            raise SettingsError(f"--steer-on top: {self.name} keeps its patches in windows; use --steer-on blank")
        merged, rows = vision.spatial_merge_size, []
        for mask, (_, high, wide) in zip(where, inputs[_GRIDS].tolist(), strict=True):
            cells = spread(mask, (high, wide)).reshape(high // merged, merged, wide // merged, merged)
            rows.append(cells.transpose(0, 2, 1, 3).ravel())
        return np.concatenate(rows)[None]

    def _grid(self, inputs: Mapping[str, Tensor]) -> Grid | None:
        patch = getattr(self.model.config.vision_config, "patch_size", None)
        high, wide = inputs["pixel_values"].shape[-2:]
        return (high // patch, wide // patch) if isinstance(patch, int) else None

    def check_inside(self, backbone: object, hookpoint: str) -> None:
        """Makes sure that the explained backbone sits inside: its blocks up to the hookpoint have the same weights.

        Raises:
            SettingsError: they differ, or the backbone does not show its weights.
        """
        if not isinstance(backbone, ModuleBackbone):
            raise SettingsError("--steer: the backbone does not show its weights; wrap it as autointerp.ModuleBackbone")
        own, theirs = (
            [block.module for stage in stages_of(module) for block in stage] for module in (backbone.module, self.tower)
        )
        number = hookpoint.split(".")[1] if hookpoint.startswith("blocks.") else ""
        n = int(number) + 1 if number.isdecimal() else len(own)
        different = next((i for i, pair in enumerate(zip(own[:n], theirs, strict=False)) if not _same(*pair)), None)
        if different is not None or not own or len(theirs) < n:
            at = len(theirs) if different is None else different
            raise SettingsError(
                f"--steer: the explained encoder {backbone.name} is not the vision tower of {self.name}: "
                f"block {at} has other weights"
            )


def _same(one: nn.Module, other: nn.Module) -> bool:
    """Whether two modules have the same weights, as exactly as the coarser of the two holds them."""
    left, right = one.state_dict(), other.state_dict()
    if left.keys() != right.keys():
        return False
    return all(
        a.shape == right[n].shape and torch.equal(a.cpu().to(right[n].dtype), right[n].cpu()) for n, a in left.items()
    )


def spread(mask: Mask, grid: Grid) -> Mask:
    """Returns the cells of another grid over the same picture that the marked cells of one touch."""
    made = np.zeros(grid, np.bool_)
    for cell in np.argwhere(mask).tolist():
        touched = (slice(i * n // m, -(-(i + 1) * n // m)) for i, n, m in zip(cell, grid, mask.shape, strict=True))
        made[tuple(touched)] = True
    return made
