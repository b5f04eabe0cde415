"""A backbone that sees nothing but colours."""

from torch import Tensor, nn

from autointerp.transcoder.backbones.module import ModuleBackbone
from autointerp.transcoder.backbones.preparation import Preparation
from autointerp.transcoder.backbones.taps import Tap


class Colours(nn.Module):
    """Patches are the pixels of a 4 x 4 image; pooled is their mean."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Flatten(2)
        self.calls = 0

    def forward(self, batch: Tensor) -> Tensor:
        self.calls += len(batch)
        return self.patches(batch).mean(dim=2)


def colours(side: int = 4) -> ModuleBackbone:
    taps = {"pixels": Tap("patches", "input"), "pooled": Tap("", "output", "pooled")}
    return ModuleBackbone("colours", Colours(), Preparation(side), taps=taps, side=side, patch_grid=(side, side))
