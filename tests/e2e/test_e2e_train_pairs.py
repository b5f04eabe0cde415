"""`autointerp train evaluate --pairs`: latents that respond to what two pictures differ in, beside their controls."""

import json
from pathlib import Path

import pytest
import torch
from standin.commands import Result, run, says
from standin.layered import coder, colour_pairs, layered, red_and_blue

from autointerp.transcoder.coder_io import describe, save_coder

PLACES = ("--backbone", "layered", "--reads", "layer.in", "--writes", "layer.out")


@pytest.fixture(autouse=True)
def seeing(monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("jobs.train_evaluate", "transcoder.backbones.registry"):
        monkeypatch.setattr(f"autointerp.{place}.load_backbone", layered)


@pytest.fixture
def world(here: Path) -> Path:
    """24 scenes of two pairs; a coder whose latents 0 and 2 are red and blue, and one in which both raise latent 0."""
    red_and_blue(Path("images"), 20)
    colour_pairs(here)
    assert run("train", "activations", "images", "--out", "store", "--dtype", "float32", *PLACES).code == 0
    mixing = coder(perfect=True)
    mixing.encoder.data.copy_(torch.tensor([[1.0, 1.0, 1.0], *[[-1.0, -1.0, -1.0]] * 5]))
    for name, made, model in (
        ("perfect", coder(perfect=True), "layered"),
        ("mixing", mixing, "layered"),
        ("other", coder(perfect=True), "layered:random"),
    ):
        save_coder(made, describe(made.config, model=model, reads="layer.in", writes="layer.out"), Path(name))
    return here


def evaluated(*more: str) -> Result:
    return run("train", "evaluate", "store", *more)


def test_a_coder_whose_latents_are_the_attributes_finds_them_and_one_that_mixes_them_does_not(world: Path):
    coders = ("--coder", "perfect", "--coder", "mixing", "--control", "other")

    result = evaluated(*coders, "--pairs", "pairs.csv", "--json")

    assert result.code == 0
    found = json.loads(result.out)
    assert (found["pairs"]["n_images"], found["pairs"]["n_groups"]) == (72, 24)
    assert [(a["name"], a["n_training"], a["n_held_out"]) for a in found["pairs"]["attributes"]] == [
        ("blue", 12, 12),
        ("red", 12, 12),
    ]
    perfect, mixing = (c["pairs"] for c in found["coders"])
    narrow, whole = perfect["own"]["prefixes"]
    assert [(p["width"], p["n_found"]) for p in (narrow, whole)] == [(3, 2), (6, 2)]
    # Latent 2 rises by the blue channel alone, 0 by the red one; 3 and 5 are silent, as no channel is below 0.
    assert [a["coalition"]["latents"] for a in whole["attributes"]] == [[2], [0]]
    for one in (a["coalition"] for a in whole["attributes"]):
        assert (one["raised"]["value"], one["lowered"], one["others"], one["selectivity"]["value"]) == (1, 0, 0, 1)
        # Each of the two attributes has a p-value of 1 in 2^12.
        assert (one["n_up"], one["n_down"], one["q"]) == (12, 0, pytest.approx(2**-12))
    assert [(r["attribute"], r["latents"]) for r in perfect["own"]["latents"]] == [("blue", [2]), ("red", [0])]
    assert (mixing["own"]["prefixes"][-1]["n_found"], mixing["own"]["latents"]) == (0, [])
    # The raw units are the channels themselves.
    assert perfect["raw"]["prefixes"][-1]["selectivity"]["value"] == 1
    assert (perfect["above_raw"]["value"], perfect["above_raw"]["low"] < 0) == (0, True)
    assert perfect["untrained"]["prefixes"][-1]["selectivity"]["value"] < 1
    assert [a["value"] for a in perfect["above_untrained"]] == pytest.approx(
        [1 - p["selectivity"]["value"] for p in perfect["untrained"]["prefixes"]]
    )
    other = found["controls"][0]["pairs"]
    assert other["own"] == perfect["own"]
    assert (other["untrained"], other["raw"], other["above_raw"]) == (None, None, None)


def test_tables_state_the_same_in_words(world: Path):
    result = evaluated("--coder", "perfect", "--pairs", "pairs.csv")

    assert result.code == 0
    lines = [" ".join(line.split()) for line in result.out.splitlines()]
    assert "What 24 held-out pairs differ in: 2 attributes" in lines
    assert any(line.startswith("perfect 3 1.00 [") for line in lines)
    assert any(line.startswith("raw units 3 1.00 [") for line in lines)
    at = lines.index("perfect: the latents that respond to an attribute together")
    assert lines[at + 1] == "attribute latents raised, 95 % lowered others selectivity, 95 % q found alone"
    assert lines[at + 2].startswith("blue 2 1.00 [")
    assert lines[at + 2].endswith("0.00024 yes 1")
    at = lines.index("perfect: selectivity of each prefix")
    assert [line.split(" [")[0] for line in lines[at + 2 : at + 4]] == ["blue 1.00", "red 1.00"]


def test_images_and_pairs_are_measured_side_by_side(world: Path):
    result = evaluated("--coder", "perfect", "--images", "images", "--pairs", "pairs.csv", "--json")

    found = json.loads(result.out)["coders"][0]
    assert found["association"]["n_images"] == 20
    assert found["pairs"]["own"]["prefixes"][-1]["n_found"] == 2


def test_pairs_need_no_images_with_the_network_of_a_classifier(world: Path):
    head = ("--backbone", "layered", "--hookpoint", "pooled", "--epochs", "20", "--rate", "0.02")
    assert run("train", "classifier", "images", "--out", "classifier", *head).code == 0

    result = evaluated("--coder", "perfect", "--pairs", "pairs.csv", "--classifier", "classifier", "--json")

    assert json.loads(result.out)["coders"][0]["pairs"]["own"]["prefixes"][-1]["n_found"] == 2


def test_the_same_seed_gives_the_same_figures(world: Path):
    asked = ("--coder", "perfect", "--pairs", "pairs.csv", "--json")

    first, again, other = (
        json.loads(evaluated(*asked, "--seed", seed).out)["coders"][0]["pairs"] for seed in ("3", "3", "4")
    )

    assert first == again
    assert first["untrained"] != other["untrained"]


PLAIN = "pictures/0.png,pictures/0-red.png,red,+,0"
BAD = [
    ("image_a,image_b,attribute\n", "--pairs bad.csv: has no column 'direction'; it has image_a, image_b, attribute; "
     "the header should be image_a,image_b,attribute,direction"),
    ("", "--pairs bad.csv: has no rows; list at least two pairs of each attribute"),
    ("pictures/0.png,none.png,red,+,0", "bad.csv: row 1: image_b: path 'none.png': no such file; it starts from . or "
     "from the working folder"),
    (",pictures/0.png,red,+,0", "bad.csv: row 1: image_a: is empty; name a picture"),
    ("pictures/0.png,./pictures/0.png,red,+,0", "bad.csv: row 1: image_b: is the file of image_a; a pair needs two "
     "pictures"),
    ("pictures/0.png,copy.png,red,+,0", "bad.csv: row 1: image_b: has the very content of image_a"),
    ("pictures/0.png,pictures/0-red.png,,+,0", "bad.csv: row 1: attribute: is empty; name what the two pictures "
     "differ in"),
    (f"{PLAIN}\npictures/1.png,pictures/1-red.png,red,up,1", "bad.csv: row 2: direction: 'up' is neither + (image_b "
     "has the attribute) nor - (image_a has it)"),
    (f"{PLAIN}\n{PLAIN}", "bad.csv: row 2: direction: says the same as row 1; leave one of them out"),
    (f"{PLAIN}\npictures/0-red.png,pictures/0.png,red,+,0", "bad.csv: row 2: direction: says the opposite of row 1; "
     "leave one of them out"),
    ("pictures/0.png,broken.png,red,+,0", "bad.csv: row 1: image_b: {here}/broken.png: broken image; replace it "
     "(image file is truncated)"),
    (f"{PLAIN}\npictures/0.png,pictures/0-blue.png,red,+,1", "--pairs bad.csv: 'red': its pairs share their pictures "
     "or have one group, so that none can be held out; give pairs of at least two scenes, better of twenty"),
]  # fmt: skip


def test_bad_rows_are_one_line_that_names_row_and_field(world: Path):
    Path("copy.png").write_bytes(Path("pictures/0.png").read_bytes())
    Path("broken.png").write_bytes(Path("pictures/0.png").read_bytes()[:60])
    for rows, line in BAD:
        head = "" if rows.startswith("image_a,") else "image_a,image_b,attribute,direction,group\n"
        Path("bad.csv").write_text(head + rows + "\n")

        says(evaluated("--coder", "perfect", "--pairs", "bad.csv"), line.replace("{here}", str(world)))
