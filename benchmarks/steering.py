"""Steers a vision-language model at several coefficients, and says how often the controls say the same.

    python -m benchmarks.steering images/ --model hf:llava-hf/llava-1.5-7b-hf --coder FOLDER --device cuda

It harvests the images with the tower of the model and a coder of it (docs/steering.md says how one is trained), steers
some features on a blank image and on their highest images, and prints a row for each coefficient: how many features got
an answer, and the share of which each control says the same. `--model` may be of LLaVA's kind or Qwen2-VL's. Nobody has
run this on a GPU yet: here it was only tried on tiny models that are made from a configuration.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from autointerp.commands.explain import explain
from autointerp.commands.harvest import harvest
from autointerp.jobs.explain import JobResult
from autointerp.steered import SteeredControl
from autointerp.transcoder.backbones.module import ModuleBackbone
from autointerp.transcoder.backbones.preparation import Preparation
from autointerp.transcoder.backbones.taps import Tap
from autointerp.transcoder.vision_language import VisionLanguageModel, open_vision_language

HEAD = ("on", "coefficient", "answered", "failed", "same: nothing added", "random direction", "another feature")


class RowByRow(nn.Module):
    """A tower of Qwen2-VL's kind for squares: what one of its blocks gives, patch by patch and row by row."""

    def __init__(self, tower: nn.Module, block: int, patch: int, merged: int, frames: int) -> None:
        super().__init__()
        self.tower, self.seen = tower, nn.Identity()
        self.block, self.patch, self.merged, self.frames = block, patch, merged, frames

    def forward(self, batch: Tensor) -> Tensor:
        """Gives [n, patches, width] of [n, 3, side, side]."""
        n, side, m, p = len(batch), batch.shape[-1] // self.patch, self.merged, self.patch
        cut = batch.reshape(n, 1, 3, side // m, m, p, side // m, m, p).expand(-1, self.frames, *[-1] * 7)
        pixels = cut.permute(0, 3, 6, 4, 7, 2, 1, 5, 8).reshape(n * side * side, -1)
        kept: list[Tensor] = []
        handle = self.tower.get_submodule(f"blocks.{self.block}").register_forward_hook(
            lambda _, __, output: kept.append(output)
        )
        try:
            self.tower(pixels, grid_thw=torch.tensor([[1, side, side]] * n, device=batch.device))
        finally:
            handle.remove()
        merged = kept[0].reshape(n, side // m, side // m, m, m, -1).permute(0, 1, 3, 2, 4, 5)
        return self.seen(merged.reshape(n, side * side, -1))


def qwen_backbone(model: VisionLanguageModel, block: int, side: int) -> ModuleBackbone:
    """The tower of a model of Qwen2-VL's kind as a backbone with one hookpoint, `blocks.N.resid`.

    Args:
        model: whose tower it is.
        block: N.
        side: pixels of the squares that it is shown, a multiple of the patches that it merges.
    """
    vision, processor = model.model.config.vision_config, model.processor.image_processor
    sizes = vision.patch_size, vision.spatial_merge_size, vision.temporal_patch_size
    return ModuleBackbone(
        f"{model.name.removeprefix('--model ')} tower",
        RowByRow(model.tower, block, *sizes),
        Preparation(side, tuple(processor.image_mean), tuple(processor.image_std)),
        taps={f"blocks.{block}.resid": Tap("seen")},
        side=side,
        patch_grid=(side // vision.patch_size,) * 2,
    )


def controls_of(run: Path) -> Iterator[tuple[SteeredControl, ...]]:
    """Yields the controls of each feature that got an answer."""
    for line in (run / "explanations.jsonl").read_text().splitlines():
        yield tuple(SteeredControl.model_validate(c) for c in json.loads(line)["steered"]["controls"])


def share(found: Sequence[tuple[SteeredControl, ...]], kind: str) -> str:
    """The share of features of which a control says the same, in percent."""
    same = [c.same for controls in found for c in controls if c.kind == kind]
    return f"{100 * sum(same) / len(same):.0f} %" if same else "no answer"


def row(on: str, coefficient: float, done: JobResult, run: Path) -> str:
    """One line of the table."""
    found = list(controls_of(run))
    shares = [share(found, kind) for kind in ("nothing", "random", "other")]
    return f"| {' | '.join([on, f'{coefficient:g}', str(len(found)), str(done.selected - len(found)), *shares])} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Harvests, steers and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("--model", required=True, help="hf:NAME")
    parser.add_argument("--coder", required=True, help="as for `autointerp harvest`")
    parser.add_argument("--qwen-block", type=int, help="the coder's block, of a model of Qwen2-VL's kind")
    parser.add_argument("--qwen-side", type=int, default=448, help="pixels of the squares that such a tower is shown")
    parser.add_argument("--coefficients", type=float, nargs="+", default=[25.0, 50.0, 100.0, 200.0])
    parser.add_argument("--sample", type=int, default=50, help="features that are steered")
    parser.add_argument("--embedder", default="local", help="tells whether two texts say the same, or `none`")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--work", type=Path, default=Path("steering"))
    o = parser.parse_args(arguments)
    backbone: object = o.model
    if o.qwen_block is not None:
        opened = open_vision_language(o.model.removeprefix("hf:"), o.device)
        backbone = qwen_backbone(opened, o.qwen_block, o.qwen_side)
    dump = o.work / "dump"
    harvest(o.images, dump, o.coder, backbone=backbone, device=o.device)
    shared = {"model": o.model, "coder": o.coder, "backbone": backbone, "device": o.device, "embedder": o.embedder}
    print(f"| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}", flush=True)
    for on in ("blank", "top"):
        for coefficient in o.coefficients:
            run = o.work / f"{on}-{coefficient:g}"
            done = explain(
                str(dump), run=str(run), sample=o.sample, steer=coefficient, steer_on=on, allow_outside=True, **shared
            )
            print(row(on, coefficient, done, run), flush=True)


if __name__ == "__main__":
    main()
