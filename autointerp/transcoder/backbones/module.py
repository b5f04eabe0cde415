"""Makes any torch module a backbone: prepares pictures for it, and taps inputs and outputs of its submodules."""

import copy
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from autointerp.errors import SettingsError
from autointerp.transcoder.backbones.protocol import (
    CLASS_TOKEN,
    Activations,
    Frame,
    Hookpoint,
    Kind,
    Swap,
    hookpoint_of,
)

Channels = tuple[float, float, float]

IMAGENET_MEAN: Channels = (0.485, 0.456, 0.406)
IMAGENET_STD: Channels = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class Preparation:
    """Brings a picture to a square, by stretching all of it or by cropping its middle, and normalises it."""

    side: int
    """Pixels of the square."""
    mean: Channels = IMAGENET_MEAN
    std: Channels = IMAGENET_STD
    """Of red, green and blue on a scale of 0 to 1."""
    resample: Image.Resampling = Image.Resampling.BICUBIC
    shortest: int | None = None
    """The shorter side in pixels, at least `side`, to which the picture is brought before its middle is cropped; None
    stretches all of it."""

    @property
    def frame(self) -> Frame:
        """Returns what of a picture it shows."""
        return Frame(self.side, self.shortest)

    def __call__(self, image: Image.Image) -> Tensor:
        """Returns the prepared picture, [3, side, side], float32."""
        framed, square = image.convert("RGB"), (self.side, self.side)
        if self.shortest is None:
            framed = framed.resize(square, self.resample)
        else:
            framed = framed.resize(self.frame.resized(image.size), self.resample)
            left, top = ((n - self.side) // 2 for n in framed.size)
            framed = framed.crop((left, top, left + self.side, top + self.side))
        pixels = np.asarray(framed, dtype=np.float32)
        normal = (pixels / 255 - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        return torch.from_numpy(normal.transpose(2, 0, 1).copy())


def probe_picture() -> Image.Image:
    """Makes a picture with a gradient each way, 64 x 48 pixels, by which two preparations can be told apart."""
    y, x = np.mgrid[0:48, 0:64]
    return Image.fromarray(np.stack([x * 4, y * 5, (x * y) % 256], axis=-1).astype(np.uint8), "RGB")


@dataclass(frozen=True, slots=True)
class Tap:
    """Says where in a module a hookpoint is."""

    path: str
    """Of the submodule, as in `named_modules()`; empty for the module itself."""
    side: Literal["input", "output"]
    """What goes into the submodule (its first argument), or what comes out (the first thing, of several)."""
    kind: Kind = "patches"
    """`patches`: of [n, tokens, width] the last rows·columns tokens, or of [n, width, rows, columns] all places;
    `pooled`: [n, width] as it is."""


class _EnoughError(Exception):
    """All that was asked for is taken; ends the forward pass."""


class ModuleBackbone:
    """A torch module with a preprocessing function and named taps.

    Args:
        name: for people and for files.
        module: takes [n, 3, side, side]; is put into evaluation mode and moved to `device`.
        prepare: from an RGB picture to [3, side, side]. One that is no `Preparation` should stretch rather than crop:
            patches are then taken to tile the whole picture.
        taps: by the name of the hookpoint, in the order in which the module passes them.
        side: pixels of a prepared image, each way.
        patch_grid: rows and columns of the patches.
        device: where it runs.

    Raises:
        SettingsError: there is no such submodule, or a tap does not give what its kind says.
    """

    def __init__(
        self,
        name: str,
        module: nn.Module,
        prepare: Callable[[Image.Image], Tensor],
        *,
        taps: Mapping[str, Tap],
        side: int,
        patch_grid: tuple[int, int],
        device: str = "cpu",
    ) -> None:
        self.name = name
        self.side = side
        self.patch_grid = patch_grid
        self._prepare = prepare
        self.frame = prepare.frame if isinstance(prepare, Preparation) else Frame(side)
        self._digest: str | None = None
        self.module = module.eval().requires_grad_(False).to(device)
        self._device = torch.device(device)
        self._taps = dict(taps)
        self._with_class: set[str] = set()
        there = dict(self.module.named_modules())
        for missing, tap in ((n, t) for n, t in self._taps.items() if t.path not in there):
            raise SettingsError(f"{name}: hookpoint {missing!r} names the submodule {tap.path!r}, which is not there")
        self.hookpoints: Mapping[str, Hookpoint] = {n: Hookpoint(t.kind, 0) for n, t in self._taps.items()}
        tried = self.run(torch.zeros(1, 3, side, side), tuple(self._taps))
        self.hookpoints = {n: Hookpoint(t.kind, tried[n].shape[-1]) for n, t in self._taps.items()}
        self.hookpoints |= {n + CLASS_TOKEN: Hookpoint("pooled", tried[n].shape[-1]) for n in sorted(self._with_class)}

    def prepare(self, image: Image.Image) -> Tensor:
        """Returns [3, side, side]: an RGB picture as the module takes it."""
        return self._prepare(image)

    @property
    def digest(self) -> str:
        """Returns the SHA-256, hex, over the weights, the taps and how a probe picture is prepared."""
        if self._digest is None:
            found = hashlib.sha256(repr((self._taps, self.side, self.patch_grid)).encode())
            found.update(state_digest(self.module).encode())
            found.update(_bytes(self.prepare(probe_picture())))
            self._digest = found.hexdigest()
        return self._digest

    def run(self, batch: Tensor, hookpoints: Sequence[str], swap: Mapping[str, Swap] | None = None) -> Activations:
        """Runs a batch, as the protocol says; it stops after the last hookpoint asked for."""
        with torch.no_grad():
            return self._run(batch, hookpoints, swap or {})

    def run_to_learn(self, batch: Tensor, hookpoint: str) -> Tensor:
        """Runs a batch up to one hookpoint, with gradients; of patches it returns the mean, so [n, width].

        Raises:
            SettingsError: there is no such hookpoint.
        """
        found = self._run(batch, [hookpoint], {})[hookpoint]
        return found.mean(dim=1) if found.ndim == 3 else found

    def unfrozen(self, n_blocks: int) -> "ModuleBackbone":
        """Returns a copy whose last blocks, and all weights that the module lists after them, can be trained.

        Raises:
            SettingsError: there are no blocks, or fewer.
        """
        path, blocks = _blocks(self.name, self.module)
        if n_blocks > len(blocks):
            raise SettingsError(f"--unfreeze {n_blocks}: {self.name} has {len(blocks)} blocks")
        made = self._copied()
        first, on = f"{path}.{len(blocks) - n_blocks}.", False
        for name, weight in made.module.named_parameters():
            on = on or name.startswith(first)
            weight.requires_grad_(on)
        return made

    def trainable(self) -> dict[str, nn.Parameter]:
        """Returns the weights that can be trained, by name; none of a backbone that is frozen."""
        return {name: weight for name, weight in self.module.named_parameters() if weight.requires_grad}

    def with_weights(self, weights: Mapping[str, Tensor]) -> "ModuleBackbone":
        """Returns a frozen copy with other values of some weights.

        Raises:
            SettingsError: one is not there, or has another shape.
        """
        made = self._copied()
        own = dict(made.module.named_parameters())
        for name, value in weights.items():
            if name not in own or own[name].shape != value.shape:
                raise SettingsError(f"{self.name}: has no weight {name} of shape {list(value.shape)}")
            own[name].data.copy_(value)
        return made

    def _copied(self) -> "ModuleBackbone":
        made = copy.copy(self)
        made.module, made._digest = copy.deepcopy(self.module).requires_grad_(False), None
        return made

    def _run(self, batch: Tensor, hookpoints: Sequence[str], swaps: Mapping[str, Swap]) -> Activations:
        for name in (*hookpoints, *swaps):
            hookpoint_of(self, name)
        taken: Activations = {}
        handles = [
            self._attach(n, taken, frozenset(hookpoints), swaps.get(n)) for n in {**dict.fromkeys(hookpoints), **swaps}
        ]
        try:
            self.module(batch.to(self._device))
        except _EnoughError:
            # The rest of the network, a quarter of it for block 8 of 12, is not worth its time.
            pass
        finally:
            for handle in handles:
                handle.remove()
        if missing := [n for n in hookpoints if n not in taken]:
            raise SettingsError(f"{self.name}: the module never passes {missing[0]!r}; leave that tap out")
        return {name: taken[name] for name in hookpoints}

    def _attach(self, name: str, taken: Activations, asked: frozenset[str], swap: Swap | None) -> RemovableHandle:
        """Hooks one tap so that its value is taken, and replaced where it is swapped."""
        tap = self._taps[name.removesuffix(CLASS_TOKEN)]
        submodule = self.module.get_submodule(tap.path)

        def pass_on(value: object) -> Tensor | None:
            seen, put = self._view(name, value), None
            if swap is not None:
                assert isinstance(value, Tensor)
                seen = swap({**taken, name: seen})
                put = self._with_swapped(name, value, seen)
            if name in asked:
                # A copy, since a later layer may write into what it was given.
                taken[name] = seen.clone()
            if swap is None and len(taken) == len(asked):
                raise _EnoughError
            return put

        def before(_: nn.Module, args: tuple[object, ...]) -> tuple[object, ...] | None:
            put = pass_on(args[0])
            return None if put is None else (put, *args[1:])

        def after(_: nn.Module, __: tuple[object, ...], output: object) -> object | None:
            put = pass_on(output[0] if isinstance(output, tuple) else output)
            return (put, *output[1:]) if put is not None and isinstance(output, tuple) else put

        if tap.side == "input":
            return submodule.register_forward_pre_hook(before)
        return submodule.register_forward_hook(after)

    def _view(self, name: str, whole: object) -> Tensor:
        """Returns [n, patches, width] or [n, width]."""
        if not isinstance(whole, Tensor):
            kind = type(whole).__name__
            raise SettingsError(f"{self.name}: {name!r} gives a {kind}, not a tensor; tap another place")
        rows, columns = self.patch_grid
        shape = tuple(whole.shape)
        if name.endswith(CLASS_TOKEN):
            return whole[:, 0]
        match self._taps[name].kind, whole.ndim:
            case "pooled", 2:
                return whole
            case "patches", 3 if shape[1] >= rows * columns:
                if shape[1] > rows * columns:
                    self._with_class.add(name)
                return whole[:, shape[1] - rows * columns :]
            case "patches", 4 if shape[2:] == self.patch_grid:
                return whole.flatten(2).transpose(1, 2)
            case kind, _:
                raise SettingsError(
                    f"{self.name}: {name!r} has shape {list(shape)}, which is not {kind} of a {rows} x {columns} grid"
                )

    def _with_swapped(self, name: str, whole: Tensor, seen: Tensor) -> Tensor:
        if name.endswith(CLASS_TOKEN):
            return torch.cat([seen[:, None], whole[:, 1:]], dim=1)
        if self._taps[name].kind == "pooled":
            return seen
        if whole.ndim == 4:
            return seen.transpose(1, 2).reshape(whole.shape)
        return torch.cat([whole[:, : whole.shape[1] - seen.shape[1]], seen], dim=1)


def state_digest(module: nn.Module, config: str = "") -> str:
    """Computes the SHA-256, hex, over a text and the names, shapes and values of a module's weights."""
    found = hashlib.sha256(config.encode())
    for name, tensor in sorted(module.state_dict().items()):
        found.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        found.update(_bytes(tensor))
    return found.hexdigest()


def _bytes(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()


def block_taps(name: str, model: nn.Module) -> dict[str, Tap]:
    """Finds the hookpoints `blocks.i.mlp.in`, `.mlp.hidden`, `.mlp.out` and `blocks.i.resid` of every block.

    Blocks are the first list of submodules each of which has a submodule `mlp`; the hidden units are what its last
    linear layer reads.

    Raises:
        SettingsError: there are no such blocks.
    """
    path, blocks = _blocks(name, model)
    taps: dict[str, Tap] = {}
    for i, block in enumerate(blocks):
        inside = f"{path}.{i}"
        last = [n for n, m in block.get_submodule("mlp").named_modules() if isinstance(m, nn.Linear)]
        taps[f"blocks.{i}.mlp.in"] = Tap(f"{inside}.mlp", "input")
        if last:
            taps[f"blocks.{i}.mlp.hidden"] = Tap(f"{inside}.mlp.{last[-1]}", "input")
        taps[f"blocks.{i}.mlp.out"] = Tap(f"{inside}.mlp", "output")
        taps[f"blocks.{i}.resid"] = Tap(inside, "output")
    return taps


def _blocks(name: str, model: nn.Module) -> tuple[str, list[nn.Module]]:
    for path, module in model.named_modules():
        if isinstance(module, nn.ModuleList | nn.Sequential):
            members = list(module.children())
            if members and all(isinstance(getattr(m, "mlp", None), nn.Module) for m in members):
                return path, members
    raise SettingsError(
        f"{name}: has no list of blocks with an `mlp` each; wrap it with ModuleBackbone and name its hookpoints"
    )
