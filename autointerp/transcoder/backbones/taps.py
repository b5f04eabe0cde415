"""Hookpoints of a torch module: where they are, how their values lie, and how they are found in networks of blocks."""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from autointerp.errors import SettingsError
from autointerp.transcoder.backbones.protocol import Kind

Grid = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Tap:
    """Says where in a module a hookpoint is."""

    path: str
    """Of the submodule, as in `named_modules()`; empty for the module itself."""
    side: Literal["input", "output"] = "output"
    """What goes into the submodule (its first argument), or what comes out (the first thing, of several)."""
    kind: Kind = "patches"
    """`patches`: of [n, tokens, width] the last rows·columns tokens, or of [n, width, rows, columns] or [n, rows,
    columns, width] all places; `pooled`: [n, width] as it is."""
    grid: Grid | None = field(default=None, repr=False)
    """Rows and columns of its patches; None where they are the backbone's, or plain from the shape."""
    optional: bool = field(default=False, repr=False)
    """Whether it is left out where the module does not pass it, or where its value is of another kind. Digests do not
    depend on such taps."""


class Lie(NamedTuple):
    """How the numbers of a hookpoint lie in what the module passes."""

    shape: tuple[int, ...]
    """Without the batch."""
    layout: Literal["pooled", "tokens", "channels first", "channels last"]
    grid: Grid = (1, 1)

    @property
    def width(self) -> int:
        """Returns the number of channels."""
        return self.shape[0] if self.layout in ("pooled", "channels first") else self.shape[-1]

    @property
    def n_before(self) -> int:
        """Returns how many tokens, of the class and registers, come before the patches."""
        return self.shape[0] - math.prod(self.grid) if self.layout == "tokens" else 0

    def view(self, whole: Tensor) -> Tensor:
        """Returns [n, patches, width] or [n, width]."""
        match self.layout:
            case "pooled":
                return whole.flatten(1)
            case "tokens":
                return whole[:, self.n_before :]
            case "channels first":
                return whole.flatten(2).transpose(1, 2)
            case "channels last":
                return whole.flatten(1, 2)

    def put(self, whole: Tensor, seen: Tensor) -> Tensor:
        """Returns `whole` with other values in place of what `view` gives."""
        seen = seen.to(whole)
        if self.layout == "tokens":
            return torch.cat([whole[:, : self.n_before], seen], dim=1)
        return (seen.transpose(1, 2) if self.layout == "channels first" else seen).reshape(whole.shape)


def first_of(value: object) -> object:
    """Returns the first thing of several, as modules give them in tuples, lists and mappings."""
    while isinstance(value, tuple | list | dict) and value:
        value = next(iter(value.values())) if isinstance(value, dict) else value[0]
    return value


def with_first(value: object, first: Tensor) -> object:
    """Returns the same with another first thing."""
    if isinstance(value, dict):
        made = copy.copy(value)
        key = next(iter(made))
        made[key] = with_first(made[key], first)
        return made
    if isinstance(value, tuple | list):
        made = [with_first(value[0], first), *value[1:]]
        return made if isinstance(value, list) else tuple(made)
    return first


def lie_of(value: object, tap: Tap, patch_grid: Grid | None) -> Lie:
    """Finds how a hookpoint's numbers lie, from what the module passed for a single picture.

    Raises:
        ValueError: it is not of the kind that the tap says; the text says what it is.
    """
    if not isinstance(value, Tensor):
        raise ValueError(f"gives a {type(value).__name__}, not a tensor; tap another place")
    shape, grid = tuple(value.shape), tap.grid or patch_grid
    lie = None if shape[:1] != (1,) else _pooled(shape) if tap.kind == "pooled" else _patches(shape, grid)
    if lie is None:
        of = "" if grid is None else f" of a {grid[0]} x {grid[1]} grid"
        remedy = "" if grid is not None or tap.kind == "pooled" else "; give patch_grid, its rows and columns"
        raise ValueError(f"has shape {list(shape)}, which is not {tap.kind}{of}{remedy}")
    return lie


def _pooled(shape: tuple[int, ...]) -> Lie | None:
    return Lie(shape[1:], "pooled") if len(shape) >= 2 and all(n == 1 for n in shape[2:]) else None


def _patches(shape: tuple[int, ...], grid: Grid | None) -> Lie | None:
    if len(shape) == 4:
        return _map(shape, grid)
    if len(shape) != 3:
        return None
    tokens = shape[1]
    if grid is None:
        # All tokens of a square, or those behind a class token.
        side = next((math.isqrt(n) for n in (tokens, tokens - 1) if n > 0 and math.isqrt(n) ** 2 == n), 0)
        grid = (side, side)
    return Lie(shape[1:], "tokens", grid) if 0 < math.prod(grid) <= tokens else None


def _map(shape: tuple[int, ...], grid: Grid | None) -> Lie | None:
    """Reads a map, of whose three sizes the two that are the grid, or else equal, are rows and columns."""
    first, last = shape[2:], shape[1:3]
    fits = (lambda two: two == grid) if grid in (first, last) else (lambda two: two[0] == two[1])
    if fits(first):
        return Lie(shape[1:], "channels first", (first[0], first[1]))
    return Lie(shape[1:], "channels last", (last[0], last[1])) if fits(last) else None


class Block(NamedTuple):
    """One of the blocks that a network is a chain of."""

    path: str
    module: nn.Module


def stages_of(model: nn.Module) -> list[list[Block]]:
    """Finds the blocks of a network, by stages between which the grid of its patches changes; empty where it has none.

    Stages are the first list of submodules each of which has a list `blocks` or `layers`, as in Swin and ConvNeXt, or
    `layer1`, `layer2`, … as in ResNet. A transformer has one stage: the first list of submodules each of which has an
    `mlp`.
    """
    for path, module in model.named_modules():
        found = _staged(path, module)
        if found:
            return found
    for path, module in model.named_modules():
        if isinstance(module, nn.ModuleList | nn.Sequential):
            members = [Block(_under(path, n), m) for n, m in module.named_children()]
            if members and all(_mlp_ends(m) for _, m in members):
                return [members]
    return []


def _staged(path: str, module: nn.Module) -> list[list[Block]]:
    if isinstance(module, nn.ModuleList | nn.Sequential):
        stages = [(_under(path, n), m) for n, m in module.named_children()]
        found = [next(_lists(p, m, ("blocks", "layers")), []) for p, m in stages]
    else:
        numbered = (f"layer{i}" for i in range(1, 10) if isinstance(getattr(module, f"layer{i}", None), nn.Sequential))
        found = list(_lists(path, module, tuple(numbered)))
    return found if len(found) > 1 and all(found) else []


def _lists(path: str, module: nn.Module, names: tuple[str, ...]) -> Iterator[list[Block]]:
    for name in names:
        inner = getattr(module, name, None)
        if isinstance(inner, nn.ModuleList | nn.Sequential) and len(inner):
            yield [Block(_under(_under(path, name), n), m) for n, m in inner.named_children()]


def _under(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def block_taps(name: str, model: nn.Module) -> dict[str, Tap]:
    """Finds the hookpoints of every block, in the order in which the model passes them.

    In a transformer, they are `blocks.i.mlp.in`, `.mlp.hidden`, `.mlp.out` and `.resid`, and, where its parts have the
    usual names, `.attn.in`, `.attn.z`, `.attn.out` and `.resid.mid`; `embed` is what the first block reads. In a
    network of stages, blocks are counted through all of them and `stages.s` is what stage s gives. The hidden units
    are what the last linear layer of the MLP reads, and `z` what that of the attention reads: all heads' outputs.

    Raises:
        SettingsError: there are no such blocks.
    """
    stages = stages_of(model)
    if not stages:
        raise SettingsError(
            f"{name}: has no list of blocks with an `mlp` each, nor stages of blocks; name its hookpoints with taps"
        )
    number, staged = 0, len(stages) > 1
    taps = {"embed": Tap(stages[0][0].path, "input", optional=True)}
    for s, blocks in enumerate(stages):
        for block in blocks:
            taps |= {f"blocks.{number}.{n}": t for n, t in _of_block(block, staged=staged).items()}
            number += 1
        if staged:
            taps[f"stages.{s}"] = Tap(blocks[-1].path)
    return taps


_ATTENTION = ("attn", "attention", "self_attn")
_SECOND_NORM = ("norm2", "layer_norm2", "layernorm_after", "ln_2")
_FIRST_LINEAR = ("pwconv1", "pointwise_conv1", "intermediate.dense")
_LAST_LINEAR = ("pwconv2", "pointwise_conv2", "output.dense")
"""The ends of an MLP that has no module of its own, as in ConvNeXt and Swin v2 of transformers."""


def _of_block(block: Block, *, staged: bool) -> dict[str, Tap]:
    """Returns the taps of one block; what windows and post-norms make unclear is left out."""
    path, taps = block.path, dict[str, Tap]()
    attention = _child(block.module, _ATTENTION)
    if attention is not None and not staged:
        where = f"{path}.{attention}"
        last = _last_linear(block.module.get_submodule(attention))
        taps["attn.in"] = Tap(where, "input", optional=True)
        if last is not None:
            taps["attn.z"] = Tap(f"{where}.{last}", "input", optional=True)
        taps["attn.out"] = Tap(where, "output", optional=True)
    norm = _child(block.module, _SECOND_NORM)
    if norm is not None and not staged and "Post" not in type(block.module).__name__:
        taps["resid.mid"] = Tap(f"{path}.{norm}", "input", optional=True)
    return taps | _of_mlp(block, optional=staged) | {"resid": Tap(path, "output")}


def _of_mlp(block: Block, *, optional: bool) -> dict[str, Tap]:
    ends = _mlp_ends(block.module)
    if ends is None:
        return {}
    first, hidden, last = ends
    taps = {"mlp.in": Tap(_under(block.path, first), "input", optional=optional)}
    if hidden is not None:
        taps["mlp.hidden"] = Tap(_under(block.path, hidden), "input", optional=optional)
    return taps | {"mlp.out": Tap(_under(block.path, last), "output", optional=optional)}


def _mlp_ends(block: nn.Module) -> tuple[str, str | None, str] | None:
    """Returns the paths of what the MLP reads with, of its last linear layer, and of what it writes with."""
    inner = getattr(block, "mlp", None)
    if isinstance(inner, nn.Module):
        last = _last_linear(inner)
        return "mlp", None if last is None else f"mlp.{last}", "mlp"
    first, last = _child(block, _FIRST_LINEAR), _child(block, _LAST_LINEAR)
    return None if first is None or last is None else (first, last, last)


def _child(module: nn.Module, names: tuple[str, ...]) -> str | None:
    there = {name for name, _ in module.named_modules()}
    return next((n for n in names if n in there), None)


def _last_linear(module: nn.Module) -> str | None:
    linear = [n for n, m in module.named_modules() if isinstance(m, nn.Linear)]
    return linear[-1] if linear else None
