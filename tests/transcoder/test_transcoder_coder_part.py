"""Some latents of a coder fire as they do in the whole, under the same numbers."""

from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch

from autointerp.errors import SettingsError
from autointerp.transcoder.coder import SparseCoder
from autointerp.transcoder.coder_io import describe, load_coder, save_coder
from autointerp.transcoder.coder_part import Renumbered, save_part
from autointerp.transcoder.settings import CoderConfig


def whole(folder: Path, sparsity: str = "batchtopk") -> Path:
    config = CoderConfig.model_validate({"d_in": 6, "d_out": 6, "widths": (4, 16), "k": 3, "sparsity": sparsity})
    coder = SparseCoder(config)
    coder.start(0)
    with torch.no_grad():
        coder.threshold.fill_(0.4)
        coder.in_mean.copy_(torch.arange(6.0))
        coder.in_scale.fill_(2.0)
    save_coder(coder, describe(config, model="m", reads="r", writes="w"), folder)
    return folder


def test_each_latent_of_a_part_fires_as_in_the_whole_and_the_others_not(tmp_path: Path):
    spec, inputs = whole(tmp_path / "whole"), torch.randn(50, 6, generator=torch.Generator().manual_seed(1))

    part = save_part(spec, [1, 3, 12], tmp_path / "part")

    assert part.info.part_of is not None  # pyright: ignore[reportAttributeAccessIssue]
    found = Renumbered(part.coder, part.info.part_of).encode(inputs).dense(16)  # pyright: ignore[reportAttributeAccessIssue]
    expected = load_coder(spec).coder.encode(inputs).dense(16)
    assert torch.allclose(found[:, [1, 3, 12]], expected[:, [1, 3, 12]], atol=1e-5)
    assert (expected[:, [1, 3, 12]] > 0).any()
    assert not found[:, [0, 2, *range(4, 12), 13, 14, 15]].any()


def test_latents_that_depend_on_the_others_are_not_taken_out(tmp_path: Path):
    with pytest.raises(SettingsError, match="only latents of a coder of this program with batchtopk"):
        save_part(whole(tmp_path / "whole", "topk"), [1], tmp_path / "part")
