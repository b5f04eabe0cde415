"""Makes any torch module a backbone: prepares pictures for it, and taps inputs and outputs of its submodules."""

import copy
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from autointerp.errors import SettingsError, one_line
from autointerp.transcoder.backbones.preparation import (
    Preparation,
    Prepare,
    check_prepare,
    prepared_by,
    probe_picture,
)
from autointerp.transcoder.backbones.protocol import CLASS_TOKEN, Activations, Hookpoint, Swap, hookpoint_of
from autointerp.transcoder.backbones.taps import Grid, Lie, Tap, block_taps, first_of, lie_of, stages_of, with_first


class _EnoughError(Exception):
    """All that was asked for is taken; ends the forward pass."""


class ModuleBackbone:
    """A torch module with a preprocessing function and named taps.

    Args:
        name: for people and for files.
        module: takes [n, 3, side, side]; is put into evaluation mode, in which it stays, and moved to `device`.
        prepare: from an RGB picture to [3, side, side] or [1, 3, side, side], floats of torch or numpy, or a mapping
            that has it as `pixel_values`. One that crops needs `shortest`: patches are then laid on what it shows.
        taps: by the name of the hookpoint, in the order in which the module passes them; a text is the path of a
            submodule whose output is meant. None finds the usual hookpoints of a network that is a list of blocks.
        side: pixels of a prepared image, each way; None takes what `prepare` gives.
        patch_grid: rows and columns of the patches, which class and register tokens come before; None finds them from
            a map, or from tokens of a square with at most a class token.
        device: where it runs; None leaves the module where it is.
        shortest: the shorter side in pixels to which `prepare` brings a picture before it crops the middle; None where
            it shows the whole. A `Preparation` says it itself.
        class_token: whether the first of the tokens before the patches is a class token.

    Raises:
        SettingsError: there is no such submodule, a tap does not give what its kind says, or `prepare` does not do
            what is said of it.
    """

    def __init__(
        self,
        name: str,
        module: nn.Module,
        prepare: Prepare,
        *,
        taps: Mapping[str, Tap | str] | None = None,
        side: int | None = None,
        patch_grid: Grid | None = None,
        device: str | torch.device | None = None,
        shortest: int | None = None,
        class_token: bool = True,
    ) -> None:
        self.name = name
        self._prepare = prepare
        self.frame = prepare.frame if isinstance(prepare, Preparation) else check_prepare(prepare, side, shortest)
        self.side = self.frame.side if side is None else side
        self._digest: str | None = None
        first = next(module.parameters(), torch.zeros(0))
        self._device = first.device if device is None else torch.device(device)
        self.module = module.eval().requires_grad_(False).to(self._device)
        self._taps, self._lies = self._found(block_taps(name, module) if taps is None else taps, patch_grid)
        grids = [lie.grid for lie in self._lies.values() if lie.layout != "pooled"]
        self.patch_grid = patch_grid or (grids[-1] if grids else (1, 1))
        self._with_class = [n for n, lie in self._lies.items() if lie.n_before and class_token]
        self.hookpoints: Mapping[str, Hookpoint] = {n: self._hookpoint(lie) for n, lie in self._lies.items()}
        classes = {n + CLASS_TOKEN: Hookpoint("pooled", self._lies[n].width) for n in sorted(self._with_class)}
        self.hookpoints |= classes

    def _hookpoint(self, lie: Lie) -> Hookpoint:
        if lie.layout == "pooled":
            return Hookpoint("pooled", lie.width)
        return Hookpoint("patches", lie.width, None if lie.grid == self.patch_grid else lie.grid)

    def _found(self, asked: Mapping[str, Tap | str], patch_grid: Grid | None) -> tuple[dict[str, Tap], dict[str, Lie]]:
        """Returns the taps that can be had and how their values lie."""
        given = {n: Tap(t) if isinstance(t, str) else t for n, t in asked.items()}
        passed = self._passed(given)
        taps, lies = dict[str, Tap](), dict[str, Lie]()
        for name, tap in given.items():
            value = passed.get(name)
            if isinstance(asked[name], str) and isinstance(value, Tensor) and value.ndim == 2:
                tap = Tap(tap.path, kind="pooled")
            try:
                lies[name] = lie_of(value, tap, patch_grid)
                taps[name] = tap
            except ValueError as e:
                if not tap.optional:
                    never = f"the module never passes {name!r}; leave that tap out"
                    raise SettingsError(f"{self.name}: {f'{name!r} {e}' if name in passed else never}") from e
        return taps, lies

    def _passed(self, taps: Mapping[str, Tap]) -> dict[str, object]:
        """Returns what the module passes at each tap of one empty picture, tensors without their numbers."""
        there = dict(self.module.named_modules())
        for missing, tap in ((n, t) for n, t in taps.items() if t.path not in there):
            raise SettingsError(
                f"{self.name}: hookpoint {missing!r} names the submodule {tap.path!r}, which is not there"
            )
        passed: dict[str, object] = {}

        def note(name: str, value: object) -> None:
            first = first_of(value)
            passed[name] = first.to("meta") if isinstance(first, Tensor) else first

        handles = [hooked(there[tap.path], tap, partial(note, name)) for name, tap in taps.items()]
        try:
            with torch.no_grad():
                self.module(self._batch(torch.zeros(1, 3, self.side, self.side)))
        except (RuntimeError, TypeError, ValueError) as e:
            shape = f"[1, 3, {self.side}, {self.side}]"
            fault = one_line(str(e))[:200]
            raise SettingsError(f"{self.name}: the module cannot run a prepared picture, {shape}: {fault}") from e
        finally:
            for handle in handles:
                handle.remove()
        return passed

    def _batch(self, batch: Tensor) -> Tensor:
        """Returns a batch where the module is, in the type of its weights."""
        first = next((p for p in self.module.parameters() if p.is_floating_point()), batch)
        return batch.to(self._device, first.dtype)

    def prepare(self, image: Image.Image) -> Tensor:
        """Returns [3, side, side]: an RGB picture as the module takes it.

        Raises:
            SettingsError: the function that was given for it gives another size or type for this picture.
        """
        if isinstance(self._prepare, Preparation):
            return self._prepare(image)
        made = prepared_by(self._prepare, image)
        if made.shape[1] != self.side:
            raise SettingsError(
                f"prepare: gives {made.shape[1]} pixels a side of a picture of {image.width} x {image.height}, and "
                f"{self.side} of others; let it crop or stretch"
            )
        return made

    @property
    def digest(self) -> str:
        """Returns the SHA-256, hex, over the weights, the taps and how a probe picture is prepared."""
        if self._digest is None:
            kept = {name: tap for name, tap in self._taps.items() if not tap.optional}
            found = hashlib.sha256(repr((kept, self.side, self.patch_grid)).encode())
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
        blocks = [block.path for stage in stages_of(self.module) for block in stage]
        if n_blocks > len(blocks):
            raise SettingsError(f"--unfreeze {n_blocks}: {self.name} has {len(blocks)} blocks")
        made = self._copied()
        first, on = f"{blocks[-n_blocks]}.", False
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
        # Whoever made the module may have gone on to train it, and dropout would make each run another.
        self.module.eval()
        taken: Activations = {}
        handles = [
            self._attach(n, taken, frozenset(hookpoints), swaps.get(n)) for n in {**dict.fromkeys(hookpoints), **swaps}
        ]
        try:
            self.module(self._batch(batch))
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

        def pass_on(value: object) -> object | None:
            whole, put = first_of(value), None
            seen = self._view(name, whole)
            if swap is not None:
                assert isinstance(whole, Tensor)
                seen = swap({**taken, name: seen})
                put = with_first(value, self._with_swapped(name, whole, seen))
            if name in asked:
                # A copy, since a later layer may write into what it was given.
                taken[name] = seen.clone()
            if swap is None and len(taken) == len(asked):
                raise _EnoughError
            return put

        return hooked(self.module.get_submodule(tap.path), tap, pass_on)

    def _view(self, name: str, whole: object) -> Tensor:
        """Returns [n, patches, width] or [n, width], float32."""
        lie = self._lies[name.removesuffix(CLASS_TOKEN)]
        if not isinstance(whole, Tensor) or tuple(whole.shape[1:]) != lie.shape:
            now = list(whole.shape) if isinstance(whole, Tensor) else type(whole).__name__
            raise SettingsError(f"{self.name}: {name!r} gives {now} now, and {[1, *lie.shape]} of a single picture")
        return (whole[:, 0] if name.endswith(CLASS_TOKEN) else lie.view(whole)).float()

    def _with_swapped(self, name: str, whole: Tensor, seen: Tensor) -> Tensor:
        if name.endswith(CLASS_TOKEN):
            return torch.cat([seen[:, None].to(whole), whole[:, 1:]], dim=1)
        return self._lies[name].put(whole, seen)


@contextmanager
def from_a_library(full: str) -> Iterator[None]:
    """Says of a model that a library has, and not its user, what can be done where its hookpoints are not found."""
    try:
        yield
    except SettingsError as e:
        fault = str(e).removeprefix(f"{full}: ")
        raise SettingsError(
            f"--backbone {full}: its hookpoints are not found ({fault}); wrap it with ModuleBackbone and name them"
        ) from e


def hooked(
    module: nn.Module, tap: Tap, pass_on: Callable[[object], object | None], *, first: bool = False
) -> RemovableHandle:
    """Shows a function what goes into a submodule or comes out, and puts what it returns in its place.

    Args:
        module: the submodule.
        tap: which side of it is meant.
        pass_on: is shown the value, and returns what is put in its place; None leaves it.
        first: whether hooks that are there already see what was put, and not what was there.
    """

    def before(
        _: nn.Module, args: tuple[object, ...], more: dict[str, object]
    ) -> tuple[tuple[object, ...], dict[str, object]] | None:
        if args:
            put = pass_on(args[0])
            return None if put is None else ((put, *args[1:]), more)
        name = next(iter(more), "")
        put = pass_on(more.get(name))
        return None if put is None else (args, {**more, name: put})

    def after(_: nn.Module, __: tuple[object, ...], output: object) -> object | None:
        return pass_on(output)

    if tap.side == "input":
        return module.register_forward_pre_hook(before, with_kwargs=True, prepend=first)
    return module.register_forward_hook(after, prepend=first)


def state_digest(module: nn.Module, config: str = "") -> str:
    """Computes the SHA-256, hex, over a text and the names, shapes and values of a module's weights."""
    found = hashlib.sha256(config.encode())
    for name, tensor in sorted(module.state_dict().items()):
        found.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        found.update(_bytes(tensor))
    return found.hexdigest()


def _bytes(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
