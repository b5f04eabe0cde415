"""A vision transformer as DINOv2 has it: pre-norm blocks, layer scale, a class token before the patches."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

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
