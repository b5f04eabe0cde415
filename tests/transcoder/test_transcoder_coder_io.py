from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

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
