"""Modules and objects as backbones of the functions that take one, from Python."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from standin.foreign import saelens
from torch import Tensor, nn

import autointerp
from autointerp.counting import Uncounted
from autointerp.dump.reader import open_dump
from autointerp.errors import SettingsError
from autointerp.transcoder.backbones.protocol import Hookpoint

FEW = {"top": 4, "bands": 1, "per_band": 1, "silent": 4, "guided": 0, "active_above": 0.0}
GREEN, SIDE = 8, 32


class Net(nn.Module):
    """A map of 8 x 8 places, then of 4 x 4, and their mean."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.AvgPool2d(4)
        self.coarse = nn.AvgPool2d(2)

    def forward(self, batch: Tensor) -> Tensor:
        return self.coarse(self.fine(batch)).mean(dim=(2, 3))


def prepare(image: Image.Image) -> np.ndarray:
    """Stretches a picture to 32 x 32 pixels on a scale of 0 to 1."""
    pixels = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float32) / 255
    return pixels.transpose(2, 0, 1)[None]


def net(name: str = "net") -> "autointerp.ModuleBackbone":
    return autointerp.ModuleBackbone(name, Net(), prepare, taps={"fine": "fine", "coarse": "coarse", "pooled": ""})


@pytest.fixture
def images(here: Path) -> Path:
    """16 black pictures, twice as wide as high; the i-th has a red square in column i % 4 of row i // 4 of 4 x 4."""
    for i in range(16):
        image = Image.new("RGB", (128, 64), (0, 0, 0))
        image.paste((120 + GREEN * i, 0, 0), (32 * (i % 4), 16 * (i // 4), 32 * (i % 4) + 32, 16 * (i // 4) + 16))
        path = here / "images" / ("implausible" if i % 3 == 0 else "plausible") / f"{i:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
    return Path("images")


def signs(reads: str, d_in: int = 3) -> Path:
    """A coder as SAELens writes it, whose latents are the channels."""
    eye = torch.eye(d_in)
    state = {"W_enc": eye, "b_enc": torch.zeros(d_in), "W_dec": eye.clone(), "b_dec": torch.zeros(d_in)}
    saelens(Path("sae"), state, "standard", d_in=d_in, d_sae=d_in, metadata={"hook_name": reads})
    return Path("sae")


def test_a_module_harvests_and_the_heat_lies_on_what_fires(images: Path):
    result = autointerp.harvest(images, "dump", signs("coarse"), backbone=net(), **FEW)

    assert [h.n_images for h in result.dumps] == [16]
    with open_dump("dump", allow_outside=True) as dump:
        assert dump.info.model.startswith("net, ")
        assert (dump.info.hookpoint, dump.info.patch_grid) == ("coarse", (4, 4))
        for exemplar in dump.feature(0).exemplars:
            if exemplar.stratum == "top":
                assert exemplar.heat is not None
                number = int(Path(str(dump.image_source(exemplar.image))).stem)
                assert [i for i, h in enumerate(exemplar.heat) if h] == [number]


def test_each_hookpoint_has_its_own_grid(images: Path):
    autointerp.harvest(images, "dumps", ["raw:fine", "raw:coarse", "raw:pooled"], backbone=net(), **FEW)

    grids = []
    for name in ("fine", "coarse", "pooled"):
        with open_dump(Path("dumps") / f"raw-{name}", allow_outside=True) as dump:
            grids.append(dump.info.patch_grid)
    assert grids == [(8, 8), (4, 4), None]


class Notes(Uncounted):
    """Keeps what is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def note(self, text: str) -> None:
        self.told.append(text)


def test_one_vector_an_image_has_no_heat_map_and_that_is_said(images: Path):
    notes = Notes()

    autointerp.harvest(images, "dump", signs("pooled"), backbone=net(), progress=notes, **FEW)

    assert "sae: reads pooled, one vector an image, so that its dump has no heat maps" in notes.told


class ByHand:
    """Follows the protocol: red, green and blue of a picture, and nothing else."""

    name, digest, side, patch_grid = "by hand", "2" * 64, 4, (4, 4)

    def __init__(self) -> None:
        self.hookpoints = {"pixels": Hookpoint("patches", 3)}

    def prepare(self, image: Image.Image) -> Tensor:
        small = np.asarray(image.resize((4, 4), Image.Resampling.BOX), dtype=np.float32)
        return torch.from_numpy(small.transpose(2, 0, 1).copy())

    def run(self, batch: Tensor, hookpoints: object, swap: object = None) -> dict[str, Tensor]:
        return {"pixels": batch.flatten(2).transpose(1, 2)}


def test_an_object_that_follows_the_protocol_harvests(images: Path):
    autointerp.harvest(images, "dump", "raw:pixels", backbone=ByHand(), **FEW)

    with open_dump("dump", allow_outside=True) as dump:
        assert (dump.info.patch_grid, dump.feature_row(0).n_active, dump.feature_row(1).n_active) == ((4, 4), 16, 0)


def test_what_is_no_backbone_is_one_line_and_leaves_nothing(images: Path):
    for given, line in ((Net(), "^backbone: is a torch.nn.Module, "), (object(), "^backbone: a object is no backbone")):
        with pytest.raises(SettingsError, match=line):
            autointerp.harvest(images, "dump", signs("coarse"), backbone=given, **FEW)
    assert not Path("dump").exists()


def test_a_coder_of_another_width_or_place_is_one_line(images: Path):
    with pytest.raises(
        SettingsError, match=r"reads 5 channels, and coarse of the backbone has 3; it was trained on an"
    ):
        autointerp.harvest(images, "dump", signs("coarse", d_in=5), backbone=net(), **FEW)
    with pytest.raises(
        SettingsError, match=r"sae reads blocks\.3\.resid, and net has no hookpoint of that name; .* coars"
    ):
        autointerp.harvest(images, "dump", signs("blocks.3.hook_resid_post"), backbone=net(), **FEW)
    autointerp.harvest(images, "dump", signs("blocks.3.hook_resid_post"), backbone=net(), reads="coarse", **FEW)


def test_training_and_evaluation_take_the_same_module(images: Path):
    autointerp.train_activations(images, "store", backbone=net(), reads="coarse", writes="none")
    autointerp.train_transcoder("store", "coder", kind="sae", widths=(4,), k=2, steps=4, batch=16)
    autointerp.train_classifier(images, "classifier", backbone=net(), epochs=2, hookpoint="pooled")

    found = autointerp.train_evaluate("store", "coder", images=images, backbone=net())
    autointerp.harvest(images, "dump", "coder", backbone=net(), **FEW)

    assert found.coders[0].model == "net"
    with pytest.raises(SettingsError, match=r"^backbone: is called other, and store was made with net; give that one"):
        autointerp.train_evaluate("store", "coder", images=images, backbone=net("other"))


def test_hookpoints_of_two_grids_make_no_transcoder(images: Path):
    line = "'coarse': is of 4 x 4 patches, and 'fine' is of 8 x 8 patches; a transcoder's two hookpoints have the same"
    with pytest.raises(SettingsError, match=line):
        autointerp.train_activations(images, "store", backbone=net(), reads="fine", writes="coarse")
    with pytest.raises(SettingsError, match=line):
        autointerp.train_transcoder(images, "coder", backbone=net(), reads="fine", writes="coarse", steps=4, batch=16)


def test_another_tool_s_name_of_a_place_is_understood_and_blocks_may_be_counted_from_the_last(images: Path):
    backbone = autointerp.ModuleBackbone(
        "net", Net(), prepare, taps={"blocks.0.resid": "fine", "blocks.1.resid": "coarse"}
    )
    autointerp.train_activations(images, "store", backbone=backbone, reads="blocks.1.resid", writes="none")

    autointerp.harvest(images, "last", signs("elsewhere"), backbone=backbone, reads="blocks.-1.hook_resid_post", **FEW)
    autointerp.harvest(images, "first", signs("blocks.1.hook_resid_pre"), backbone=backbone, **FEW)
    found = autointerp.train_evaluate("store", "sae", backbone=backbone, reads="blocks.1.hook_resid_post")

    read = []
    for name in ("last", "first"):
        with open_dump(name, allow_outside=True) as dump:
            read.append((dump.info.hookpoint, dump.info.patch_grid))
    assert read == [("blocks.1.resid", (4, 4)), ("blocks.0.resid", (8, 8))]
    assert found.coders[0].reads == "blocks.1.resid"
