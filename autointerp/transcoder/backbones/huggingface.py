"""Vision models of the package transformers, by name on the Hugging Face hub or by folder."""

import math
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, cast

import torch
from torch import Tensor, nn

from autointerp.errors import SettingsError, excerpt
from autointerp.extras import need
from autointerp.transcoder.backbones.module import ModuleBackbone, from_a_library
from autointerp.transcoder.backbones.names import name_of
from autointerp.transcoder.backbones.stated import preparation
from autointerp.transcoder.backbones.taps import Grid, Tap, block_taps, stages_of

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel  # pyright: ignore[reportMissingImports]

_VISION = {
    "clip": "CLIPVisionModelWithProjection",
    "clip_vision_model": "CLIPVisionModelWithProjection",
    "siglip": "SiglipVisionModel",
    "siglip2": "Siglip2VisionModel",
}
"""Of models that also read text, the class that sees; by the configuration's `model_type`."""
_TOWER = {r"^(model\.)?(vision_tower|vision_model|vision_encoder|visual)\.(vision_model\.)?": ""}
"""Where the weights of the part that sees stand among those of a model that writes."""
_UNUSED = "pooler"
"""In the names of weights that nothing here reads, and that many files lack."""
_OUT_OF_ORDER = {"hiera": "Hiera keeps its patches in windows"}
"""Models whose tokens are not row by row, and why; by `model_type`."""


class _Pooled(nn.Module):
    """A model whose output is one vector an image.

    That is CLIP's projected image vector, the paper's h2; else the class token after the last layer; else, in models
    without one, what they pool themselves.
    """

    def __init__(self, model: nn.Module, grid: Grid | None) -> None:
        super().__init__()
        self.model = model
        self.n_patches = None if grid is None else math.prod(grid)

    def forward(self, batch: Tensor) -> Tensor:
        """Maps [n, 3, side, side] to [n, width]."""
        said = self.model(**self.inputs(batch))
        projected, tokens = getattr(said, "image_embeds", None), said.last_hidden_state
        if projected is not None:
            return projected
        if self.n_patches is not None and tokens.shape[1] > self.n_patches:
            return tokens[:, 0]
        pooled = getattr(said, "pooler_output", None)
        if pooled is not None:
            return pooled.flatten(1)
        return tokens.mean(dim=1) if tokens.ndim == 3 else tokens.mean(dim=(2, 3))

    def inputs(self, batch: Tensor) -> dict[str, Tensor]:
        """Returns what the model takes, by name."""
        return {"pixel_values": batch}


class _InOrder(_Pooled):
    """A masked autoencoder's encoder, which sees all patches and keeps their order."""

    def inputs(self, batch: Tensor) -> dict[str, Tensor]:
        """Returns the pictures, and as noise the patches' numbers, by which they are sorted."""
        assert self.n_patches is not None
        order = torch.arange(self.n_patches, dtype=batch.dtype, device=batch.device)
        return {"pixel_values": batch, "noise": order.expand(len(batch), -1)}


class _NaFlex(_Pooled):
    """SigLIP 2 for pictures of any shape, which takes patches and how many rows and columns they have."""

    def inputs(self, batch: Tensor) -> dict[str, Tensor]:
        """Returns patches row by row, each its rows of pixels of three colours."""
        assert self.n_patches is not None
        n, side = len(batch), math.isqrt(self.n_patches)
        patch = batch.shape[-1] // side
        cut = batch.reshape(n, 3, side, patch, side, patch).permute(0, 2, 4, 3, 5, 1)
        shapes = torch.full((n, 2), side, device=batch.device)
        mask = torch.ones(n, self.n_patches, dtype=torch.int64, device=batch.device)
        return {"pixel_values": cut.flatten(3).flatten(1, 2), "pixel_attention_mask": mask, "spatial_shapes": shapes}


_FEEDS = {"vit_mae": _InOrder, "siglip2": _NaFlex, "siglip2_vision_model": _NaFlex}
"""What brings pictures to a model, where that is more than handing them over; by `model_type` of the part that sees."""


class _Loaded(NamedTuple):
    """A model and what its files say of it."""

    model: nn.Module
    vision: "PretrainedConfig"
    """The configuration of the part that sees."""
    stated: Mapping[str, object]
    """The content of preprocessor_config.json."""


def huggingface_backbone(name: str, *, crop: bool, random: bool, seed: int, device: str) -> ModuleBackbone:
    """Loads a vision model, or the part that sees of one that also reads or writes text.

    It has its own input size, resampling and normalisation. A name is such as `openai/clip-vit-large-patch14`, or a
    folder that `save_pretrained` wrote; the other arguments are those of `load_backbone`.

    Raises:
        SettingsError: transformers is not installed, the model cannot be had or is of a kind it does not know, or it
            has neither square patches nor stages, or no blocks.
    """
    need(f"--backbone hf:{name}", ("transformers",), "backbones")
    full = name_of(f"hf:{name}", crop=crop, random=random)
    loaded = _loaded(name, full, random=random, seed=seed)
    prepare = preparation(loaded.stated, loaded.vision, crop=crop)
    grid = None if len(stages_of(loaded.model)) > 1 else _grid(full, loaded.vision, prepare.side)
    feeds = _FEEDS.get(loaded.vision.model_type, _Pooled)(loaded.model, grid)
    full = name_of(f"hf:{name}", crop=prepare.shortest is not None, random=random)
    with from_a_library(full):
        return ModuleBackbone(
            full,
            feeds,
            prepare,
            taps={**block_taps(full, feeds), "pooled": Tap("", "output", "pooled")},
            side=prepare.side,
            patch_grid=grid,
            device=device,
        )


def _grid(full: str, vision: "PretrainedConfig", side: int) -> Grid:
    patch = getattr(vision, "patch_size", None)
    if isinstance(patch, list | tuple) and len(set(patch)) == 1:
        patch = patch[0]
    if not isinstance(patch, int) or side % patch:
        raise SettingsError(f"--backbone {full}: no square patches that tile its input; wrap it with ModuleBackbone")
    return side // patch, side // patch


def _loaded(name: str, full: str, *, random: bool, seed: int) -> _Loaded:
    import transformers  # pyright: ignore[reportMissingImports]

    try:
        # Without a word it would ask on the terminal whether code that the model brings is to be run.
        config = transformers.AutoConfig.from_pretrained(name, trust_remote_code=False)
        vision = _vision(config)
        _check_kind(full, config, vision)
        with torch.random.fork_rng(devices=[]), quiet():
            torch.manual_seed(seed)
            model = _fresh(config, vision) if random else _trained(name, full, config, vision)
        stated, _ = transformers.image_processing_utils.BaseImageProcessor.get_image_processor_dict(name)
    except (OSError, ValueError, RuntimeError) as e:
        raise SettingsError(f"--backbone {full}: {excerpt(str(e))}; hf:FOLDER is a model that lies here") from e
    return _Loaded(model, vision, stated)


def _vision(config: "PretrainedConfig") -> "PretrainedConfig":
    """Returns the configuration of the part that sees, whole, as the class that loads it alone takes it."""
    vision = getattr(config, "vision_config", config)
    if vision is not config and vision.model_type == "clip_vision_model" and hasattr(config, "projection_dim"):
        # A full model states it once, for both parts.
        vision.projection_dim = config.projection_dim
    if vision.model_type == "vit_mae":
        vision.mask_ratio = 0.0
    return vision


def _check_kind(full: str, config: "PretrainedConfig", vision: "PretrainedConfig") -> None:
    """Stops where the part that sees cannot be loaded alone, or has its patches in another order than the picture."""
    import transformers  # pyright: ignore[reportMissingImports]

    problem = None
    if (why := _OUT_OF_ORDER.get(vision.model_type)) is not None:
        problem = f"{why}, not row by row, so that heat maps would lie wrong"
    elif config.model_type not in _VISION and type(vision) not in transformers.MODEL_MAPPING:
        problem = f"transformers cannot load the part that sees of a model of type {config.model_type} alone"
    if problem is not None:
        raise SettingsError(f"--backbone {full}: {problem}; wrap the module that you want with ModuleBackbone")


def _kind(model_type: str) -> "type[PreTrainedModel]":
    import transformers  # pyright: ignore[reportMissingImports]

    return getattr(transformers, _VISION.get(model_type, "AutoModel"))


def _fresh(config: "PretrainedConfig", vision: "PretrainedConfig") -> nn.Module:
    import transformers  # pyright: ignore[reportMissingImports]

    kind = _kind(config.model_type)
    return kind.from_config(vision) if kind is transformers.AutoModel else kind(vision)


def _trained(name: str, full: str, config: "PretrainedConfig", vision: "PretrainedConfig") -> nn.Module:
    """Loads weights, of a model that writes only those of the part that sees.

    Raises:
        SettingsError: the files lack weights that matter.
    """
    tower = vision is not config and config.model_type not in _VISION
    kind = _kind(config.model_type)
    mapping = _TOWER if tower else None
    loaded = kind.from_pretrained(
        name, config=vision, dtype=torch.float32, output_loading_info=True, key_mapping=mapping
    )
    model, info = cast("tuple[PreTrainedModel, Mapping[str, Collection[str]]]", loaded)
    lacking = sorted(k for k in info["missing_keys"] if _UNUSED not in k)
    if lacking == ["visual_projection.weight"]:
        # Saved without it, so that the vector of an image is the class token.
        return model.get_submodule("vision_model")
    if lacking:
        raise SettingsError(
            f"--backbone {full}: its files lack {len(lacking)} weights of the part that sees, such as {lacking[0]}; "
            "wrap the model that you have with ModuleBackbone"
        )
    return model


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps what transformers tells of weights that are not needed from the screen."""
    from transformers.utils import logging  # pyright: ignore[reportMissingImports]

    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()
