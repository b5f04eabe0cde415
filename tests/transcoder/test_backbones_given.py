"""Modules and objects that somebody hands over as a backbone."""

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from autointerp.errors import SettingsError
from autointerp.transcoder.backbones.given import given_backbone
from autointerp.transcoder.backbones.module import ModuleBackbone
from autointerp.transcoder.backbones.preparation import Preparation
from autointerp.transcoder.backbones.protocol import Frame, Hookpoint, grid_of
from autointerp.transcoder.backbones.registry import backbone_of
from autointerp.transcoder.backbones.taps import Tap


class Halves(nn.Module):
    """A map of 8 x 8, then of 4 x 4: each place the mean of the four before it; with dropout between."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 5, 1, bias=False)
        self.drop = nn.Dropout(0.5)
        self.second = nn.AvgPool2d(2)
        self.last = nn.Identity()
        with torch.no_grad():
            self.first.weight.copy_(torch.eye(5, 3)[:, :, None, None])

    def forward(self, batch: Tensor) -> Tensor:
        return self.last(self.second(self.drop(self.first(batch)))).mean(dim=(2, 3))


def scaled(image: Image.Image) -> Tensor:
    """Stretches a picture to 8 x 8 pixels on a scale of 0 to 1."""
    pixels = np.asarray(image.resize((8, 8), Image.Resampling.BOX), dtype=np.float32) / 255
    return torch.from_numpy(pixels).permute(2, 0, 1)


class Cropping:
    """Brings the shorter side to so many pixels and crops the middle, as functions do that say nothing of it."""

    def __init__(self, side: int, shortest: int) -> None:
        self.prepare = Preparation(side, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), shortest=shortest)

    def __call__(self, image: Image.Image) -> Tensor:
        return self.prepare(image)


def wrapped(prepare: object = scaled, module: nn.Module | None = None, **more: object) -> ModuleBackbone:
    more = {"taps": {"early": "first", "late": "second", "pooled": ""}} | more
    return ModuleBackbone("halves", Halves() if module is None else module, prepare, **more)


def test_a_module_and_a_function_are_enough_and_sizes_and_grids_are_found():
    backbone = wrapped()

    assert (backbone.side, backbone.patch_grid, backbone.frame) == (8, (4, 4), Frame(8))
    assert dict(backbone.hookpoints) == {
        "early": Hookpoint("patches", 5, (8, 8)),
        "late": Hookpoint("patches", 5),
        "pooled": Hookpoint("pooled", 5),
    }
    assert (grid_of(backbone, "early"), grid_of(backbone, "late")) == ((8, 8), (4, 4))
    image = Image.new("RGB", (16, 16), "black")
    image.paste((255, 0, 0), (12, 4, 16, 8))

    taken = backbone.run(backbone.prepare(image)[None], ["early", "late"])

    # The red square is pixels 2 and 3 of rows, 6 and 7 of columns: cell 3 of row 1 of the 4 x 4 grid.
    assert taken["early"][0, :, 0].nonzero().flatten().tolist() == [2 * 8 + 6, 2 * 8 + 7, 3 * 8 + 6, 3 * 8 + 7]
    assert taken["late"][0, :, 0].nonzero().flatten().tolist() == [1 * 4 + 3]


def test_a_module_that_is_in_training_draws_no_dropout():
    module = Halves().train()
    backbone, batch = wrapped(module=module), torch.rand(1, 3, 8, 8)

    expected = backbone.run(batch, ["late"])["late"]
    module.train()

    assert torch.equal(backbone.run(batch, ["late"])["late"], expected)
    torch.testing.assert_close(expected[0, 0, :3], batch[0, :, :2, :2].mean(dim=(1, 2)))


class Several(Halves):
    """Gives what it pools in a tuple, a dictionary, or rows and columns before channels."""

    def __init__(self, form: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.last = Form(form)

    def forward(self, batch: Tensor) -> Tensor:
        made = self.last(self.second(self.first(batch)))
        while not isinstance(made, Tensor):
            made = next(iter(made.values())) if isinstance(made, dict) else made[0]
        return made.flatten(1)


class Form(nn.Module):
    def __init__(self, form: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.form = form

    def forward(self, x: Tensor) -> object:
        return self.form(x)


@pytest.mark.parametrize(
    "form",
    [
        lambda x: (x, None),
        lambda x: {"map": x, "other": 0},
        lambda x: ({"map": x},),
        lambda x: x.permute(0, 2, 3, 1),
        lambda x: x.flatten(2).transpose(1, 2),
        lambda x: torch.cat([x[:, :, 0, :1], x.flatten(2)], dim=2).transpose(1, 2),
    ],
    ids=["tuple", "dictionary", "both", "channels last", "tokens", "class token and tokens"],
)
def test_whatever_form_a_module_gives_its_map_in_the_patches_are_the_same(form: Callable[[Tensor], object]):
    batch = torch.rand(2, 3, 8, 8)
    plain = wrapped().run(batch, ["late"])["late"]

    backbone = wrapped(module=Several(form), taps={"last": "last", "out": Tap("", "output", "pooled")})
    found = backbone.run(batch, ["last"])["last"]
    swapped = backbone.run(batch, ["last", "out"], {"last": lambda taken: 2 * taken["last"]})

    assert torch.equal(found, plain)
    assert torch.equal(swapped["last"], 2 * plain)
    whole = backbone.run(batch, ["out"])["out"]
    # A class token keeps its own value.
    n_same = 5 if whole.shape[1] == 85 else 0
    torch.testing.assert_close(swapped["out"][:, n_same:], 2 * whole[:, n_same:])
    torch.testing.assert_close(swapped["out"][:, :n_same], whole[:, :n_same])


@pytest.mark.parametrize(
    "prepare",
    [
        lambda image: scaled(image).numpy(),
        lambda image: scaled(image)[None],
        lambda image: scaled(image).double(),
        lambda image: {"pixel_values": scaled(image)[None]},
        lambda image: {"pixel_values": [scaled(image).numpy()]},
    ],
    ids=["numpy", "batch of one", "double", "a processor's", "a processor's list"],
)
def test_a_picture_may_come_as_an_array_as_a_batch_of_one_or_as_a_processor_gives_it(prepare: object):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8))

    assert torch.equal(wrapped(prepare).prepare(image), scaled(image))
    assert wrapped(prepare).prepare(image).dtype == torch.float32


def ragged(image: Image.Image) -> Tensor:
    """Keeps the shape of a picture, as a resize of the shorter side alone does."""
    return torch.zeros(3, image.height // 48, image.width // 48)


@pytest.mark.parametrize(
    ("prepare", "more", "line"),
    [
        (
            lambda image: (scaled(image) * 255).byte(),
            {},
            "prepare: gives uint8, not floats; let it scale and normalise",
        ),
        (lambda image: scaled(image).permute(1, 2, 0), {}, r"prepare: gives \[8, 8, 3\] of a picture, not \[3, side,"),
        (ragged, {}, r"prepare: gives \[3, 1, 1\]|prepare: gives \[3, 8, 16\]|not \[3, side, side\] of a square"),
        (lambda image: image, {}, r"prepare: gives a Image, not a tensor; let it give \[3, side, side\]"),
        (lambda image: {"pixels": 1}, {}, "prepare: gives a NoneType, not a tensor"),
        (lambda image: torch.rand(3, 8, 8), {}, "prepare: gives another result each time; take what is random out"),
        (scaled, {"side": 9}, "prepare: gives pictures of 8 pixels a side, and side is 9"),
        (
            Cropping(8, 10),
            {},
            "prepare: shows the middle of a picture only, so that heat maps would lie wrong; give shortest=",
        ),
        (Cropping(224, 256), {"shortest": 224}, "prepare: shows less of a picture than shortest=224 says"),
        (Cropping(224, 256), {"shortest": 288}, "prepare: shows more of a picture than shortest=288 says"),
        (scaled, {"shortest": 16}, "prepare: shows more of a picture than shortest=16 says"),
    ],
)
def test_a_function_that_does_not_prepare_as_is_said_is_one_line(prepare: object, more: dict[str, object], line: str):
    with pytest.raises(SettingsError, match=line) as error:
        wrapped(prepare, **more)

    assert "\n" not in str(error.value)


def test_a_function_that_crops_says_so_and_its_patches_lie_on_what_it_shows():
    assert wrapped(Cropping(8, 10), shortest=10).frame == Frame(8, 10)
    assert wrapped(Cropping(224, 256), shortest=256).frame == Frame(224, 256)


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (
            {"module": nn.Linear(4, 4), "taps": {"all": ""}},
            r"halves: the module cannot run a prepared picture, \[1, 3, 8",
        ),
        ({"taps": {"all": "nowhere"}}, "halves: hookpoint 'all' names the submodule 'nowhere', which is not there"),
        ({"taps": None}, "halves: has no list of blocks with an `mlp` each, nor stages of blocks; name its hookpoints"),
        (
            {"module": Several(lambda x: x.flatten(2).transpose(1, 2)[:, :11]), "taps": {"few": "last"}},
            r"halves: 'few' has shape \[1, 11, 5\], which is not patches; give patch_grid, its rows and columns",
        ),
        ({"patch_grid": (9, 9), "taps": {"few": Tap("", "output")}}, "which is not patches of a 9 x 9 grid"),
    ],
)
def test_a_module_that_does_not_fit_is_one_line(more: dict[str, object], line: str):
    with pytest.raises(SettingsError, match=line) as error:
        wrapped(**more)

    assert "\n" not in str(error.value)


def test_a_module_in_half_precision_takes_pictures_and_gives_whole_numbers_all_the_same():
    batch = torch.rand(2, 3, 8, 8)
    backbone = wrapped(module=Halves().to(torch.bfloat16))

    found = backbone.run(batch, ["late", "pooled"], {"late": lambda taken: taken["late"]})

    assert found["late"].dtype == found["pooled"].dtype == torch.float32
    torch.testing.assert_close(found["late"], wrapped().run(batch, ["late"])["late"], atol=0.01, rtol=0.01)


def test_a_module_runs_where_it_is_unless_a_device_is_named():
    found = wrapped(module=Halves().to("meta")).run(torch.rand(2, 3, 8, 8), ["late"])["late"]

    assert (found.device.type, found.shape) == ("meta", (2, 16, 5))


def test_what_is_found_later_changes_no_digest():
    named = wrapped()
    more = {"early": Tap("first", optional=True), "late": Tap("second"), "pooled": Tap("", "output", "pooled")}
    fewer = {name: tap for name, tap in more.items() if name != "early"}

    assert wrapped(taps=more).digest == wrapped(taps=fewer).digest != named.digest


class Protocolled:
    """All that the protocol names, and nothing else: one patch a pixel of a picture of 2 x 2."""

    name = "by hand"
    digest = "1" * 64
    side = 2
    patch_grid = (2, 2)

    def __init__(self) -> None:
        self.hookpoints = {"pixels": Hookpoint("patches", 3), "mean": Hookpoint("pooled", 3)}

    def prepare(self, image: Image.Image) -> Tensor:
        return torch.from_numpy(np.asarray(image.resize((2, 2)), dtype=np.float32)).permute(2, 0, 1)

    def run(self, batch: Tensor, hookpoints: object, swap: object = None) -> dict[str, Tensor]:
        pixels = batch.flatten(2).transpose(1, 2)
        return {name: pixels if name == "pixels" else pixels.mean(dim=1) for name in hookpoints}


def test_an_object_that_follows_the_protocol_is_a_backbone():
    backbone = given_backbone(Protocolled())

    found = backbone.run(torch.ones(3, 3, 2, 2), ["pixels", "mean"])

    assert (found["pixels"].shape, found["mean"].shape) == ((3, 4, 3), (3, 3))
    assert backbone_of(backbone, seed=0, device="cpu") is backbone
    with pytest.raises(SettingsError, match="hookpoint 'other': by hand has none of that name; it has pixels, mean"):
        backbone.run(torch.ones(1, 3, 2, 2), ["other"])


def test_an_object_that_is_no_backbone_is_one_line_that_says_what_it_lacks():
    with pytest.raises(
        SettingsError, match=r"^backbone: is a torch\.nn\.Module, .* wrap it: autointerp\.ModuleBackbone"
    ):
        given_backbone(nn.Identity())
    with pytest.raises(SettingsError, match=r"^backbone: a object is no backbone, it has no name, digest, side, "):
        given_backbone(object())
    most = SimpleNamespace(name="x", digest="y", side=1, patch_grid=(1, 1), hookpoints={}, prepare=None)
    with pytest.raises(SettingsError, match=r"a SimpleNamespace is no backbone, it has no run; give a name"):
        given_backbone(most)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (torch.zeros(1, 5, 3), r"float32 of shape \[1, 5, 3\]"),
        (torch.zeros(1, 3), r"float32 of shape \[1, 3\]"),
        (None, "NoneType"),
        (np.zeros((1, 4, 3)), "ndarray"),
    ],
)
def test_activations_of_another_shape_than_an_object_states_are_one_line(made: object, said: str):
    wrong = Protocolled()
    wrong.run = lambda *_: {"pixels": made}

    with pytest.raises(
        SettingsError, match=rf"^backbone by hand: run gives at 'pixels' {said}, and the protocol says a "
    ):
        given_backbone(wrong).run(torch.zeros(1, 3, 2, 2), ["pixels"])


def test_pictures_of_another_shape_than_an_object_states_are_one_line():
    wrong = Protocolled()
    wrong.prepare = lambda image: np.zeros((3, 2, 2))

    with pytest.raises(
        SettingsError, match=r"^backbone by hand: prepare gives ndarray, and the protocol says floats of"
    ):
        given_backbone(wrong).prepare(Image.new("RGB", (4, 4)))
