"""`autointerp train evaluate`: a perfect coder, one that does nothing, a classifier behind them, and a control."""

import json
from pathlib import Path

import numpy as np
import pytest
from standin.commands import Result, run, says
from standin.layered import coder, layered, red_and_blue

from autointerp.images import manifest
from autointerp.transcoder.coder_io import describe, save_coder

PLACES = ("--backbone", "layered", "--reads", "layer.in", "--writes", "layer.out")


@pytest.fixture(autouse=True)
def seeing(monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("jobs.train_evaluate", "transcoder.backbones.registry"):
        monkeypatch.setattr(f"autointerp.{place}.load_backbone", layered)


@pytest.fixture
def world(here: Path) -> Path:
    """60 pictures, their activations, a classifier that knows red from blue, and three coders."""
    red_and_blue(Path("images"))
    assert run("train", "activations", "images", "--out", "store", "--dtype", "float32", *PLACES).code == 0
    head = ("--backbone", "layered", "--hookpoint", "pooled", "--epochs", "100", "--rate", "0.02")
    assert run("train", "classifier", "images", "--out", "classifier", *head).code == 0
    for name, model in (("perfect", "layered"), ("zero", "layered"), ("other", "layered:random")):
        made = coder(perfect=name != "zero")
        info = describe(made.config, model=model, reads="layer.in", writes="layer.out")
        save_coder(made, info, Path(name))
    return here


def evaluated(*more: str) -> Result:
    return run("train", "evaluate", "store", *more)


def test_a_perfect_coder_changes_nothing_and_a_zero_coder_everything(world: Path):
    asked = ("--images", "images", "--classifier", "classifier", "--part", "all", "--density", "0.9")

    result = evaluated("--coder", "perfect", "--coder", "zero", "--control", "other", *asked, "--json")

    assert result.code == 0
    found = json.loads(result.out)
    perfect, zero = found["coders"]
    (other,) = found["controls"]
    assert perfect["held_out"]["fvu"][1] == pytest.approx(0, abs=1e-9)
    # Of the two latents of each channel one is on.
    assert perfect["held_out"]["l0"][1] == 3.0
    assert perfect["held_out"]["dead_share"] <= 0.5
    assert (zero["held_out"]["l0"], zero["held_out"]["dead_share"]) == ([0.0, 0.0], 1.0)
    assert zero["held_out"]["fvu"][0] == zero["held_out"]["fvu"][1] >= 1
    assert not perfect["unseen"]
    assert (found["asked"]["n_images"], found["asked"]["n_attribute"]) == (60, 20)
    assert found["asked"]["auroc"]["value"] == 1.0
    effects = {(c["coder"], e["replaced_by"]): e for c in (perfect, zero) for e in c["effects"]}
    same = effects["perfect", "first 6 latents"]
    assert same["change"]["high"] < 1e-4
    assert (same["agreement"]["value"], same["auroc"]["value"], same["auroc_change"]["value"]) == (1.0, 1.0, 0.0)
    for nothing in (effects["zero", "first 3 latents"], effects["zero", "first 6 latents"], effects["zero", "mean"]):
        assert nothing["change"]["low"] > 1
        assert nothing["agreement"]["value"] in (pytest.approx(1 / 3), pytest.approx(2 / 3))
        assert (nothing["auroc"]["value"], nothing["auroc_change"]["value"]) == (0.5, -0.5)
    assert zero["association"]["n_firing"] == 0
    # At a threshold of 0 the red channel's positive and the blue one's negative part fire on the 20 red pictures alone.
    named = perfect["association"]["latents"]
    assert (perfect["association"]["active_above"], perfect["association"]["n_firing"]) == (0.0, 5)
    assert [(a["latent"], a["n_active"], a["n_active_attribute"]) for a in named] == [(0, 20, 20), (5, 20, 20)]
    assert [a["lift"] for a in named] == pytest.approx([3.0, 3.0])
    assert other["association"] == perfect["association"]
    assert (other["held_out"], other["nesting"], other["effects"]) == (None, [], [])


def test_only_the_images_that_are_drawn_are_opened(world: Path, monkeypatch: pytest.MonkeyPatch):
    looked = manifest.look_of
    seen: list[object] = []
    monkeypatch.setattr(manifest, "look_of", lambda image: seen.append(image) or looked(image))
    monkeypatch.setenv("AUTOINTERP_CACHE", "another")
    asked = ("--coder", "perfect", "--images", "images", "--classifier", "classifier", "--part", "all")

    found = json.loads(evaluated(*asked, "--most-images", "24", "--json").out)

    assert len(seen) == 24
    # Of the 60 pictures every third is red; numpy draws these 24 with seed 0, as earlier versions did.
    drawn = np.random.default_rng((0xD4A4, 0)).choice(60, 24, replace=False)
    names = sorted(p.as_posix() for p in Path("images").rglob("*.*"))
    n_red = sum("/implausible/" in names[i] for i in drawn.tolist())
    assert (found["asked"]["n_images"], found["asked"]["n_attribute"]) == (24, n_red)


def test_tables_state_the_same_in_words(world: Path):
    result = evaluated("--coder", "perfect", "--images", "images", "--classifier", "classifier")

    assert result.code == 0
    lines = [" ".join(line.split()) for line in result.out.splitlines()]
    assert any(line.startswith("perfect 3 ") for line in lines)
    assert "* not known to have been left out of its training" in lines
    assert any(line.startswith("The classifier with the layer replaced, on 9 images that it did not") for line in lines)
    assert any(line.startswith("first 6 latents 0.000 [0.000, 0.000] 1.000 [") for line in lines)
    assert "images run: 69/69" in result.err


def test_the_latents_that_carry_the_attribute_are_named(world: Path):
    result = evaluated("--coder", "perfect", "--images", "images", "--density", "0.9")

    lines = [" ".join(line.split()) for line in result.out.splitlines()]
    at = lines.index("perfect: latents that go with it")
    assert lines[at + 1] == "latent prefix images with it lift, 95 % q"
    first, second = lines[at + 2 : at + 4]
    assert first.startswith("0 3 20 of 20 3.00 [")
    assert second.startswith("5 6 20 of 20 3.00 [")
    at = lines.index("perfect: what each prefix adds")
    # Of latents 0 to 2 the first, of latents 3 to 5 the last.
    assert [line.split()[0] for line in lines[at + 2 : at + 4]] == ["3", "6"]
    assert [line.split()[2] for line in lines[at + 2 : at + 4]] == ["1", "1"]


def test_figures_on_tokens_are_those_of_the_training(world: Path):
    short = ("--widths", "2,6", "--k", "2", "--steps", "50", "--batch", "32", "--held-out", "0.2", "--seed", "3")
    trained = json.loads(run("train", "transcoder", "store", "--out", "coder", *short, "--json").out)

    found = json.loads(evaluated("--coder", "coder", "--json").out)["coders"][0]

    assert found["unseen"]
    assert found["held_out"]["tokens"] == trained["training"]["held_out"]["tokens"] == 12 * 16
    assert found["held_out"]["fvu"] == pytest.approx(trained["training"]["held_out"]["fvu"])
    assert [n["width"] for n in found["nesting"]] == [2]
    assert (found["association"], found["effects"]) == (None, [])


@pytest.mark.parametrize("side", ["inputs", "targets"])
def test_an_autoencoder_is_measured_on_its_own_side(world: Path, side: str):
    kind = ("--kind", "sae", "--side", side, "--widths", "6", "--k", "2", "--held-out", "0.2")
    short = ("--steps", "30", "--batch", "32", "--seed", "3")
    trained = json.loads(run("train", "transcoder", "store", "--out", "coder", *kind, *short, "--json").out)

    result = evaluated("--coder", "coder", "--images", "images", "--classifier", "classifier", "--json")

    found = json.loads(result.out)["coders"][0]
    place = {"inputs": "layer.in", "targets": "layer.out"}[side]
    assert (found["reads"], found["writes"], found["nesting"]) == (place, place, [])
    assert found["held_out"]["fvu"] == pytest.approx(trained["training"]["held_out"]["fvu"])
    assert [e["replaced_by"] for e in found["effects"]] == ["first 6 latents", "mean"]


BAD = [
    (("--classifier", "classifier"), "--images: name the folder of the images that labels and classifier are about"),
    (("--images", "images", "--part", "x"), "--part 'x': input should be 'test' or 'all'"),
    (("--level", "0"), "--level 0.0: input should be greater than 0"),
    (("--control", "perfect"), "--coder perfect: is named twice; name each coder and control once"),
    (
        ("--coder", "none"),
        "none: there is no such folder or file; give a coder's folder or hub:OWNER/REPO/FOLDER",
    ),
    (
        ("--coder", "other"),
        "--coder other: is of layered:random, layer.in to layer.out, and the activations are of layered, layer.in "
        "to layer.out; name their own store",
    ),
]


def test_bad_options_are_one_line(world: Path):
    for options, line in BAD:
        says(evaluated("--coder", "perfect", *options), line)


def test_a_classifier_below_the_layer_is_refused(world: Path):
    head = ("--backbone", "layered", "--hookpoint", "early", "--epochs", "2")
    run("train", "classifier", "images", "--out", "early", *head)

    result = evaluated("--coder", "perfect", "--images", "images", "--classifier", "early")

    says(
        result,
        "--classifier: reads early, which comes before layer.out of --coder perfect, so that replacing it changes "
        "nothing; train one on a later hookpoint",
    )
