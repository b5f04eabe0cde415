"""A model's own crop from the command line: what files call it, and what was made before there was one."""

import json
from pathlib import Path

import pytest
from standin.commands import run
from standin.layered import red_and_blue

SHORT = ("--widths", "2,6", "--k", "2", "--steps", "10", "--batch", "32", "--held-out", "0.2")
FEW = ("--top", "3", "--bands", "2", "--per-band", "2", "--reservoir", "4", "--silent", "6", "--guided", "2")
SIZES = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}


@pytest.fixture
def clip(here: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A tiny CLIP with fresh weights and a centre crop, by the name that somebody types."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    config = transformers.CLIPVisionConfig(**SIZES, image_size=16, patch_size=8, projection_dim=4)
    transformers.CLIPVisionModelWithProjection(config).save_pretrained("clip")
    stated = {"do_center_crop": True, "size": {"shortest_edge": 20}, "crop_size": {"height": 16, "width": 16}}
    Path("clip", "preprocessor_config.json").write_text(json.dumps(stated))
    red_and_blue(Path("images"), 12)
    return "hf:clip"


def model(path: str) -> str:
    return json.loads(Path(path).read_text())["model"]


def test_new_coders_see_the_crop_and_old_ones_the_whole_picture(clip: str):
    places = ("--reads", "blocks.0.mlp.in", "--writes", "blocks.0.mlp.out")

    assert run("train", "activations", "images", "--out", "store", "--backbone", clip, *places).code == 0
    assert run("train", "transcoder", "store", "--out", "new", *SHORT).code == 0
    assert run("train", "activations", "images", "--out", "whole", "--backbone", f"{clip}:stretch", *places).code == 0
    assert run("train", "transcoder", "whole", "--out", "old", *SHORT).code == 0

    assert (model("new/coder.json"), model("old/coder.json")) == ("hf:clip:crop", "hf:clip")
    for name in ("new", "old"):
        for dump, named in ((f"{name}-own", ()), (f"{name}-named", ("--backbone", clip))):
            done = run("harvest", "images", dump, "--coder", name, *FEW, *named)
            assert done.code == 0, done.err
            assert model(f"{dump}/dump.json").startswith(f"{model(f'{name}/coder.json')}, ")


def test_a_classifier_keeps_the_frame_that_it_was_trained_with(clip: str):
    few = ("--epochs", "2", "--validation-share", "0.3", "--test-share", "0.3")
    for out, name in (("new", clip), ("old", f"{clip}:stretch")):
        assert run("train", "classifier", "images", "--out", out, "--backbone", name, *few).code == 0

    for out in ("new", "old"):
        done = run(
            "train",
            "activations",
            "images",
            "--out",
            f"{out}-store",
            "--classifier",
            out,
            "--reads",
            "pooled",
            "--writes",
            "head.0",
        )
        assert done.code == 0, done.err
    about = [json.loads(Path(f"{out}-store/manifest.json").read_text())["about"]["backbone"] for out in ("new", "old")]
    assert about == ["hf:clip:crop", "hf:clip"]
