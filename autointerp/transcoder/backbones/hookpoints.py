"""Finds the usual hookpoints of a transformer: its blocks, and in each the MLP and its last linear layer."""

from torch import nn

from autointerp.errors import SettingsError
from autointerp.transcoder.backbones.module import Tap


def block_taps(name: str, model: nn.Module) -> dict[str, Tap]:
    """Hookpoints `blocks.i.mlp.in`, `.mlp.hidden`, `.mlp.out` and `blocks.i.resid` of every block.

    Blocks are the first list of submodules each of which has a submodule `mlp`; the hidden units are what its last
    linear layer reads.

    Args:
        name: of the model, for the message.
        model: a vision transformer.

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
