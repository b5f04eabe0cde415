import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from autointerp.errors import SettingsError
from autointerp.transcoder.coder import SparseCoder
from autointerp.transcoder.coder_io import INFO, WEIGHTS, describe, load_coder, save_coder
from autointerp.transcoder.settings import CoderConfig


def stored(folder: Path) -> SparseCoder:
    """A coder with weights, buffers and a threshold of its own."""
    coder = SparseCoder(CoderConfig(d_in=3, d_out=2, widths=(2, 4), k=2, skip=True))
    coder.start(0)
    coder.in_mean.fill_(0.5)
    coder.out_scale.fill_(2.0)
    coder.threshold.fill_(0.25)
    save_coder(coder, describe(coder.config, model="tiny", reads="mlp.in", writes="mlp.out"), folder)
    return coder.eval()


def test_a_coder_reads_back_as_it_was(tmp_path: Path):
    coder = stored(tmp_path / "c")
    x = torch.randn(6, 3)

    found, info = load_coder(tmp_path / "c")

    assert (info.model, info.reads, info.writes, info.config) == ("tiny", "mlp.in", "mlp.out", coder.config)
    assert torch.equal(found.reconstruct(x, 2), coder.reconstruct(x, 2))
    assert sorted(p.name for p in (tmp_path / "c").iterdir()) == [INFO, WEIGHTS]


def foreign(folder: Path, weights: dict[str, Tensor], **config: object) -> Path:
    """A coder as sparsify writes it."""
    folder.mkdir()
    written = {"activation": "topk", "expansion_factor": 32, "k": 1, "d_in": 2, "multi_topk": False} | config
    (folder / "cfg.json").write_text(json.dumps(written))
    save_file(weights, folder / "sae.safetensors")
    return folder


FOREIGN = {
    "encoder.weight": torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]),
    "encoder.bias": torch.tensor([0.0, 0.5, 0.0]),
    "W_dec": torch.tensor([[2.0, 0.0], [0.0, 1.0], [0.0, 3.0]]),
    "b_dec": torch.tensor([1.0, 0.0]),
}
SKIP = torch.tensor([[0.0, 1.0], [1.0, 0.0]])


@pytest.mark.parametrize(
    ("config", "skip", "expected"),
    [
        # An sae reads x - b_dec = (-2, 2): latents 0, 2.5, 2; the largest makes (0, 2.5) + b_dec.
        ({}, False, [1.0, 2.5]),
        # A transcoder reads x = (-1, 2): latents 0, 2.5, 1.
        ({"transcode": True}, False, [1.0, 2.5]),
        # W_skip·x = (2, -1) comes on top, of x itself in both.
        ({"skip_connection": True}, True, [3.0, 1.5]),
        ({"skip_connection": True, "transcode": True}, True, [3.0, 1.5]),
        # Both of two latents: an sae has 2.5 and 2, a transcoder 2.5 and 1.
        ({"k": 2}, False, [1.0, 8.5]),
        ({"k": 2, "transcode": True}, False, [1.0, 5.5]),
    ],
)
def test_sparsify_coders_reconstruct_as_by_hand(
    tmp_path: Path, config: dict[str, object], skip: bool, expected: list[float]
):
    weights = FOREIGN | ({"W_skip": SKIP} if skip else {})
    found = load_coder(foreign(tmp_path / "layers.3.mlp", weights, **config))
    x = torch.tensor([[-1.0, 2.0]])

    assert found.coder.reconstruct(x).tolist() == [expected]
    save_coder(found.coder, found.info, tmp_path / "ours")
    assert load_coder(tmp_path / "ours").coder.reconstruct(x).tolist() == [expected]
    assert found.info.reads == "layers.3.mlp"


@pytest.mark.parametrize(
    ("config", "dropped", "message"),
    [
        ({"activation": "groupmax"}, None, "activation 'groupmax' cannot be loaded"),
        ({"signed": True}, None, "signed activations cannot be loaded"),
        ({}, "W_dec", "has no W_dec"),
        ({"skip_connection": True}, None, "has no W_skip"),
        ({"k": 0}, None, "cfg.json: k: "),
        ({"d_in": 3}, None, r"encoder is \[3, 2\]"),
    ],
)
def test_what_of_sparsify_cannot_be_loaded_is_one_line(
    tmp_path: Path, config: dict[str, object], dropped: str | None, message: str
):
    folder = foreign(tmp_path / "c", {k: t for k, t in FOREIGN.items() if k != dropped}, **config)

    with pytest.raises(SettingsError, match=message) as caught:
        load_coder(folder)

    assert "\n" not in str(caught.value)


def test_broken_coders_are_one_line_each(tmp_path: Path):
    folder = tmp_path / "c"
    stored(folder)
    info, weights = (folder / INFO).read_text(), load_file(folder / WEIGHTS)

    def says(message: str) -> None:
        with pytest.raises(SettingsError, match=message) as caught:
            load_coder(folder)
        assert "\n" not in str(caught.value)

    (folder / WEIGHTS).write_bytes(b"nothing")
    says("coder.safetensors: cannot be read")
    (folder / WEIGHTS).unlink()
    says("coder.safetensors: is missing")
    save_file({k: t for k, t in weights.items() if k != "threshold"}, folder / WEIGHTS)
    says("has no threshold")
    save_file(weights | {"encoder": torch.zeros(4, 2)}, folder / WEIGHTS)
    says(r"encoder is \[4, 2\], and its description says \[4, 3\]")
    save_file(weights | {"more": torch.zeros(1)}, folder / WEIGHTS)
    says("has more, which its description does not know")
    (folder / INFO).write_text(info.replace("autointerp-coder/1", "autointerp-coder/9"))
    says("coder.json: format: ")
    (folder / INFO).write_text(info[:40])
    says("coder.json: ")
    (folder / INFO).unlink()
    says("holds no coder")
