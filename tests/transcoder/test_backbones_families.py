"""Families of models, tiny and with fresh weights, beside plain forward hooks on what their own processors make."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from autointerp.errors import SettingsError
from autointerp.transcoder.backbones.protocol import grid_of
from autointerp.transcoder.backbones.registry import load_backbone

transformers = pytest.importorskip("transformers", reason="transformers is not installed")

LAYERS = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
VIT = {**LAYERS, "image_size": 32, "patch_size": 8}
STAGES = {"hidden_sizes": [8, 12, 24, 32], "depths": [1, 1, 2, 1]}
TEXT = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 99}
ENDS = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
NOISE = np.random.default_rng(0)


class Family(NamedTuple):
    """A model as its library has it."""

    config: Callable[[], object]
    processor: Callable[[], object]
    hookpoint: str
    grid: tuple[int, int]
    path: str
    """Of the submodule in the library's own model whose output the hookpoint is."""
    kind: str = "AutoModel"
    """The class of the library's own model."""
    shape: tuple[int, int] = (61, 90)
    """Rows and columns of a picture that is prepared."""
    n_before: int = 0
    """Tokens before the patches."""
    local: str | None = None
    """A hookpoint of the same grid where a patch has not yet told all others of itself, if the first is none."""


def stretched(side: int) -> Callable[[], object]:
    return lambda: transformers.ViTImageProcessorPil(size={"height": side, "width": side})


def cropped() -> object:
    size = {"height": 32, "width": 32}
    return transformers.CLIPImageProcessorPil(size={"shortest_edge": 40}, crop_size=size, do_convert_rgb=True)


def convnext() -> object:
    return transformers.ConvNextImageProcessorPil(size={"shortest_edge": 64}, crop_pct=0.875)


def made(name: str, **sizes: object) -> Callable[[], object]:
    return lambda: getattr(transformers, name)(**sizes)


def llama() -> object:
    return transformers.LlamaConfig(**TEXT, num_key_value_heads=2)


def mae() -> object:
    small = {f"decoder_{name}": n for name, n in LAYERS.items()}
    return transformers.ViTMAEConfig(**VIT, **small, mask_ratio=0.0)


FAMILIES = {
    "swin": Family(
        made("SwinConfig", image_size=64, patch_size=4, embed_dim=8, depths=[2, 2], num_heads=[2, 2], window_size=4),
        stretched(64),
        "blocks.1.resid",
        (16, 16),
        "encoder.layers.0.blocks.1",
    ),
    "swinv2": Family(
        made("Swinv2Config", image_size=64, patch_size=4, embed_dim=8, depths=[1, 1], num_heads=[2, 2], window_size=4),
        stretched(64),
        "stages.1",
        (8, 8),
        "encoder.layers.1.blocks.0",
    ),
    "convnext": Family(
        made("ConvNextConfig", **STAGES, image_size=64), convnext, "stages.1", (8, 8), "encoder.stages.1"
    ),
    "convnextv2": Family(
        made("ConvNextV2Config", **STAGES, image_size=64),
        convnext,
        "blocks.0.mlp.out",
        (16, 16),
        "encoder.stages.0.layers.0.pwconv2",
        local="embed",
    ),
    "resnet": Family(
        made("ResNetConfig", **STAGES, embedding_size=8), convnext, "stages.0", (16, 16), "encoder.stages.0"
    ),
    "masked autoencoder": Family(mae, stretched(32), "blocks.0.resid", (4, 4), "layers.0", n_before=1),
    "full clip": Family(
        lambda: transformers.CLIPConfig(text_config=TEXT | ENDS, vision_config=VIT, projection_dim=256),
        cropped,
        "blocks.0.attn.out",
        (4, 4),
        "vision_model.encoder.layers.0.self_attn",
        kind="CLIPVisionModelWithProjection",
        n_before=1,
    ),
    "llava": Family(
        lambda: transformers.LlavaConfig(vision_config=transformers.CLIPVisionConfig(**VIT), text_config=llama()),
        cropped,
        "blocks.1.mlp.out",
        (4, 4),
        "model.vision_tower.encoder.layers.1.mlp",
        kind="LlavaForConditionalGeneration",
        n_before=1,
    ),
    "siglip2 of any shape": Family(
        lambda: transformers.Siglip2Config(
            text_config=TEXT | ENDS | {"max_position_embeddings": 16},
            vision_config={**LAYERS, "num_patches": 16, "patch_size": 8},
        ),
        lambda: transformers.Siglip2ImageProcessorPil(patch_size=8, max_num_patches=16),
        "blocks.0.mlp.out",
        (4, 4),
        "vision_model.encoder.layers.0.mlp",
        kind="Siglip2VisionModel",
        shape=(40, 40),
    ),
    "dinov2 with registers": Family(
        made("Dinov2WithRegistersConfig", **VIT, num_register_tokens=4),
        cropped,
        "blocks.0.attn.out",
        (4, 4),
        "encoder.layer.0.attention",
        n_before=5,
        local="blocks.0.mlp.in",
    ),
}
BY_NAME = pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def saved(folder: Path, family: Family) -> Path:
    """Writes a model with fresh weights, and its processor, as a hub's repository holds them."""
    torch.manual_seed(0)
    config = family.config()
    whole = transformers.LlavaForConditionalGeneration if family.kind.startswith("Llava") else transformers.AutoModel
    model = whole(config) if family.kind.startswith("Llava") else whole.from_config(config)
    model.save_pretrained(folder)
    family.processor().save_pretrained(folder)
    return folder


def picture(shape: tuple[int, int]) -> Image.Image:
    return Image.fromarray(NOISE.integers(0, 256, (*shape, 3), dtype=np.uint8))


def theirs(folder: Path, family: Family) -> tuple[nn.Module, Callable[[Mapping[str, Tensor]], object]]:
    """Returns the library's own model, and what runs its part that sees on what its processor gives."""
    kind = getattr(transformers, family.kind)
    model = kind.from_pretrained(folder, config=clip_config(folder) if "WithProjection" in family.kind else None).eval()
    if family.kind.startswith("Llava"):
        return model, lambda given: model.model.vision_tower(**given)
    if "mae" in str(model.config.model_type):
        return model, lambda given: model(**given, noise=torch.arange(16.0)[None])
    return model, lambda given: model(**given)


def clip_config(folder: Path) -> object:
    whole = transformers.AutoConfig.from_pretrained(folder)
    whole.vision_config.projection_dim = whole.projection_dim
    return whole.vision_config


def hooked(model: nn.Module, path: str, run: Callable[[], object]) -> Tensor:
    """Returns what a submodule gives, by a plain forward hook."""
    seen: list[object] = []
    # Where a class of the library leaves out a step of the path, as versions do, its blocks are found all the same.
    names = dict(model.named_modules())
    where = path if path in names else path.removeprefix("vision_model.")
    handle = names[where].register_forward_hook(lambda _, __, output: seen.append(output))
    with torch.no_grad():
        run()
    handle.remove()
    return seen[0][0] if isinstance(seen[0], tuple) else seen[0]


def as_patches(value: Tensor, family: Family) -> Tensor:
    """Returns [patches, width] of a map or of tokens, by hand."""
    if value.ndim == 3:
        return value[0, family.n_before :]
    rows, columns = family.grid
    first = value.shape[2:] == family.grid
    return torch.stack([value[0, :, r, c] if first else value[0, r, c] for r in range(rows) for c in range(columns)])


@BY_NAME
def test_a_hookpoint_is_what_a_plain_hook_sees_on_what_the_model_s_own_processor_makes(family: Family, tmp_path: Path):
    backbone = load_backbone(f"hf:{saved(tmp_path, family)}:crop")
    image = picture(family.shape)
    processor = family.processor()
    model, run = theirs(tmp_path, family)

    mine = backbone.run(backbone.prepare(image)[None], [family.hookpoint])[family.hookpoint][0]
    expected = hooked(model, family.path, lambda: run(processor(image, return_tensors="pt")))

    assert grid_of(backbone, family.hookpoint) == family.grid
    assert backbone.hookpoints[family.hookpoint].width == mine.shape[1]
    torch.testing.assert_close(mine, as_patches(expected, family), atol=1e-5, rtol=1e-4)


@BY_NAME
def test_a_bright_patch_moves_the_activations_of_its_own_row_and_column_most(family: Family, tmp_path: Path):
    backbone = load_backbone(f"hf:{saved(tmp_path, family)}")
    rows, columns = family.grid
    row, column = 1, columns - 1
    size, high, wide = backbone.side, backbone.side // rows, backbone.side // columns
    dark = Image.new("RGB", (size, size), "black")
    lit = dark.copy()
    lit.paste("white", (column * wide, row * high, (column + 1) * wide, (row + 1) * high))

    batch, local = torch.stack([backbone.prepare(dark), backbone.prepare(lit)]), family.local or family.hookpoint
    before, after = backbone.run(batch, [local])[local]

    found = divmod(int((after - before).norm(dim=1).argmax()), columns)
    # A convolution over neighbours may show it best one cell on; swapped or mirrored, it would lie elsewhere.
    assert max(abs(found[0] - row), abs(found[1] - column)) <= (1 if "stages" in local else 0)


def test_a_full_clip_projects_to_as_many_numbers_as_it_states(tmp_path: Path):
    folder = saved(tmp_path, FAMILIES["full clip"])
    batch = torch.rand(2, 3, 32, 32)
    whole = transformers.CLIPModel.from_pretrained(folder).eval()

    trained, fresh = load_backbone(f"hf:{folder}"), load_backbone(f"hf:{folder}:random")

    assert trained.hookpoints["pooled"].width == fresh.hookpoints["pooled"].width == 256
    with torch.no_grad():
        seen = whole.vision_model(pixel_values=batch).pooler_output
        expected = whole.visual_projection(seen)
    torch.testing.assert_close(trained.run(batch, ["pooled"])["pooled"], expected)


@pytest.mark.parametrize("name", ["swin", "convnext", "resnet"])
def test_a_network_of_stages_pools_as_its_library_does_and_counts_blocks_through_its_stages(name: str, tmp_path: Path):
    backbone = load_backbone(f"hf:{saved(tmp_path, FAMILIES[name])}")
    batch = torch.rand(2, 3, 64, 64)
    model = transformers.AutoModel.from_pretrained(tmp_path).eval()

    found = backbone.run(batch, ["stages.0", "blocks.0.resid", "pooled"])

    with torch.no_grad():
        torch.testing.assert_close(found["pooled"], model(pixel_values=batch).pooler_output.flatten(1))
    numbers = {int(n.split(".")[1]) for n in backbone.hookpoints if n.startswith("blocks.")}
    assert numbers == set(range(4 if name == "swin" else 5))
    if name != "swin":
        assert torch.equal(found["stages.0"], found["blocks.0.resid"])
    assert not [n for n in backbone.hookpoints if n.endswith(".class") or ".attn." in n]


def test_the_last_blocks_of_a_network_of_stages_can_be_trained(tmp_path: Path):
    backbone = load_backbone(f"hf:{saved(tmp_path, FAMILIES['convnext'])}")

    names = {name.removeprefix("model.encoder.stages.") for name in backbone.unfrozen(2).trainable()}

    assert {n.split(".layers.")[0] for n in names if ".layers." in n} == {"2", "3"}
    assert not any(n.startswith("2.layers.0.") for n in names)


def test_attention_gives_what_it_reads_all_heads_outputs_and_what_it_writes(tmp_path: Path):
    backbone = load_backbone(f"hf:{saved(tmp_path, FAMILIES['full clip'])}")
    names = ["attn.in", "attn.z", "attn.out", "resid.mid", "mlp.out", "resid"]

    taken = backbone.run(torch.rand(2, 3, 32, 32), ["embed", *(f"blocks.0.{n}" for n in names)])

    block = next(m for n, m in backbone.module.named_modules() if n.endswith("layers.0"))
    read, z, written, middle, mlp, resid = (taken[f"blocks.0.{n}"] for n in names)
    torch.testing.assert_close(block.get_submodule("layer_norm1")(taken["embed"]), read)
    torch.testing.assert_close(block.get_submodule("self_attn.out_proj")(z), written)
    torch.testing.assert_close(taken["embed"] + written, middle)
    torch.testing.assert_close(middle + mlp, resid)


def test_a_tower_is_loaded_without_the_part_that_writes_and_says_what_it_lacks(tmp_path: Path):
    folder = saved(tmp_path, FAMILIES["llava"])
    backbone = load_backbone(f"hf:{folder}")
    assert not [n for n, _ in backbone.module.named_parameters() if "language" in n or "lm_head" in n]

    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    lost = next(n for n in weights if n.endswith("vision_tower.encoder.layers.1.mlp.fc1.weight"))
    save_file({n: t for n, t in weights.items() if n != lost}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(SettingsError, match=r"lack 1 weights of the part that sees, such as encoder\.layers\.1\.mlp"):
        load_backbone(f"hf:{folder}")


def test_a_clip_that_was_saved_without_its_projection_pools_by_its_class_token(tmp_path: Path):
    transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**VIT)).save_pretrained(tmp_path)
    cropped().save_pretrained(tmp_path)

    backbone = load_backbone(f"hf:{tmp_path}")
    found = backbone.run(torch.rand(2, 3, 32, 32), ["pooled", "blocks.1.resid.class"])

    assert torch.equal(found["pooled"], found["blocks.1.resid.class"])


def test_half_weights_are_read_as_whole_ones(tmp_path: Path):
    folder = saved(tmp_path / "whole", FAMILIES["full clip"])
    transformers.CLIPModel.from_pretrained(folder).half().save_pretrained(tmp_path / "half")
    cropped().save_pretrained(tmp_path / "half")
    batch = torch.rand(1, 3, 32, 32)

    whole, half = (
        load_backbone(f"hf:{tmp_path / n}").run(batch, ["blocks.1.resid"])["blocks.1.resid"] for n in ("whole", "half")
    )

    assert half.dtype == torch.float32
    torch.testing.assert_close(half, whole, atol=0.05, rtol=0.01)


def test_the_base_view_of_a_model_that_also_looks_at_tiles_is_the_stretched_whole(tmp_path: Path):
    tower = transformers.CLIPVisionConfig(**VIT)
    config = transformers.LlavaNextConfig(vision_config=tower, text_config=llama())
    transformers.LlavaNextForConditionalGeneration(config).save_pretrained(tmp_path)
    processor = transformers.LlavaNextImageProcessorPil(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}, image_grid_pinpoints=[[32, 64], [64, 64]]
    )
    processor.save_pretrained(tmp_path)
    image = picture((61, 90))

    backbone = load_backbone(f"hf:{tmp_path}:crop")

    views = torch.as_tensor(np.asarray(processor(image)["pixel_values"][0]))
    torch.testing.assert_close(backbone.prepare(image), views[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("config", "line"),
    [
        (
            made("HieraConfig", image_size=[64, 64], embed_dim=8, depths=[1, 1, 2, 1], num_heads=[1, 2, 4, 8]),
            r"Hiera keeps its patches in windows, not row by row, so that heat maps would lie wrong; wrap the module",
        ),
        (
            lambda: transformers.BlipConfig(vision_config=VIT, text_config=TEXT),
            r"transformers cannot load the part that sees of a model of type blip alone; wrap the module",
        ),
        (
            made("PvtConfig", image_size=64, hidden_sizes=[8, 16, 24, 32], depths=[1] * 4, num_attention_heads=[1] * 4),
            r"no square patches that tile its input; wrap it with ModuleBackbone",
        ),
    ],
    ids=["hiera", "blip", "pvt"],
)
def test_what_cannot_be_read_is_one_line_that_says_what_to_do(config: Callable[[], object], line: str, tmp_path: Path):
    config().save_pretrained(tmp_path)
    stretched(64)().save_pretrained(tmp_path)

    with pytest.raises(SettingsError, match=rf"^--backbone hf:.*: {line}") as error:
        load_backbone(f"hf:{tmp_path}:random")

    assert "\n" not in str(error.value)


TIMM = {
    "convnext_atto": ("stages.2", (14, 14), "stages.2"),
    "resnet18": ("stages.3", (7, 7), "layer4"),
    "swin_tiny_patch4_window7_224": ("stages.0", (56, 56), "layers.0"),
    "efficientnet_b0": ("stages.2", (28, 28), "blocks.2"),
    "vit_tiny_patch16_224": ("blocks.0.attn.out", (14, 14), "blocks.0.attn"),
}


@pytest.mark.parametrize("name", TIMM)
def test_a_model_of_timm_gives_what_a_plain_hook_sees_on_what_timm_s_own_transform_makes(name: str):
    timm = pytest.importorskip("timm", reason="timm is not installed")
    hookpoint, grid, path = TIMM[name]
    backbone = load_backbone(f"timm:{name}:crop:random", seed=3)
    torch.manual_seed(3)
    model = timm.create_model(name, pretrained=False, num_classes=0).eval()
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model), is_training=False)
    image = picture((300, 420))

    pixels = backbone.prepare(image)
    taken = backbone.run(pixels[None], [hookpoint, "pooled"])

    torch.testing.assert_close(pixels, transform(image), atol=1e-4, rtol=0)
    expected = hooked(model, path, lambda: model(pixels[None]))
    family = Family(dict, dict, hookpoint, grid, path, n_before=1)
    assert grid_of(backbone, hookpoint) == grid
    torch.testing.assert_close(taken[hookpoint][0], as_patches(expected, family), atol=1e-4, rtol=1e-4)
    with torch.no_grad():
        torch.testing.assert_close(taken["pooled"], model(pixels[None]))


@pytest.mark.parametrize("name", ["hiera_tiny_224", "coat_tiny", "twins_svt_small"])
def test_a_model_of_timm_that_cannot_be_read_is_one_line(name: str):
    pytest.importorskip("timm", reason="timm is not installed")

    with pytest.raises(
        SettingsError, match=r"^--backbone timm:.*: its hookpoints are not found \(.*; wrap it with "
    ) as error:
        load_backbone(f"timm:{name}:random")

    assert "\n" not in str(error.value)


def test_register_tokens_alone_are_no_class_token():
    pytest.importorskip("timm", reason="timm is not installed")

    backbone = load_backbone("timm:vit_medium_patch16_reg4_gap_256:random")

    assert backbone.patch_grid == (16, 16)
    assert not [n for n in backbone.hookpoints if n.endswith(".class")]


def test_code_that_a_model_brings_is_not_run_and_nobody_is_asked_about_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    about = {"model_type": "unheard-of", "auto_map": {"AutoConfig": "code.Config"}}
    (tmp_path / "config.json").write_text(json.dumps(about))
    (tmp_path / "code.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))

    with pytest.raises(SettingsError, match="--backbone hf:"):
        load_backbone(f"hf:{tmp_path}")
    assert not (tmp_path / "ran").exists()
