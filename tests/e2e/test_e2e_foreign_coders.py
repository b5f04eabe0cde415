"""`harvest` and `train evaluate` with coders that other tools wrote."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from standin.commands import Result, run, says
from standin.foreign import prisma, saelens, saev, sparsify, visaebench
from standin.layered import MIX, coder, layered, red_and_blue
from torch import Tensor

from autointerp.dump.reader import open_dump
from autointerp.transcoder.coder_io import describe, save_coder

FEW = ("--top", "3", "--bands", "1", "--per-band", "1", "--silent", "4", "--guided", "0", "--active-above", "0")
SIGNS = torch.cat([torch.eye(3), -torch.eye(3)])
"""Six latents: a channel's positive part or its negative one each."""


@pytest.fixture(autouse=True)
def seeing(monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("transcoder.harvest.network", "jobs.train_evaluate", "transcoder.backbones.registry"):
        monkeypatch.setattr(f"autointerp.{place}.load_backbone", layered)


@pytest.fixture
def images(here: Path) -> Path:
    return red_and_blue(Path("images"), 12)


def signs(**more: Tensor) -> dict[str, Tensor]:
    """W_enc and b_enc of the six latents, and no decoder to speak of."""
    zeros = {"b_enc": torch.zeros(6), "W_dec": torch.zeros(6, 3), "b_dec": torch.zeros(3)}
    return {"W_enc": SIGNS.T.contiguous()} | zeros | more


def named(hookpoint: str, model: str = "timm/layered") -> dict[str, object]:
    return {"d_in": 3, "d_sae": 6, "metadata": {"model_name": model, "hook_name": hookpoint}}


def harvested(*options: str | Path) -> Result:
    return run("harvest", "images", "dump", *FEW, *options)


def brightest(images: Path) -> dict[int, float]:
    """By latent 0 to 2: the largest value above 0 of a channel over all pictures, as the backbone prepares them."""
    backbone = layered()
    pictures = [backbone.prepare(Image.open(p).convert("RGB")) for p in sorted(images.rglob("*.png"))]
    return {i: max(0.0, float(torch.stack(pictures)[:, i].max())) for i in range(3)}


def test_a_coder_says_model_and_place_and_the_dump_says_which_coder_it_was(images: Path):
    saelens(Path("mine"), signs(), "standard", **named("layer.in"))

    done = harvested("--coder", "mine")

    assert done.code == 0
    assert run("inspect", "dump", "--check", "--allow-outside").code == 0
    about = json.loads(Path("dump/dump.json").read_text())
    assert (about["model"], about["hookpoint"]) == ("timm:layered:crop, relu sae", "layer.in")
    digest = about["coder"].pop("digest")
    assert about["coder"] == {"format": "saelens", "source": "mine", "revision": None}
    assert len(digest) == 64
    with open_dump("dump", allow_outside=True) as dump:
        highest = {f.id: f.row.max_activation for f in dump.features()}
    expected = brightest(images)
    assert {i: highest[i] for i in range(3)} == pytest.approx(expected, abs=1e-5)


def test_other_weights_or_another_rule_have_another_digest(images: Path):
    digests = set()
    cases = [
        ("a", signs(), {}),
        ("b", signs(b_enc=torch.full((6,), 0.5)), {}),
        ("c", signs(), {"normalize_activations": "layer_norm"}),
        ("d", signs(b_dec=torch.ones(3)), {"apply_b_dec_to_input": False}),
    ]
    for name, state, config in cases:
        saelens(Path(name), state, "standard", **named("layer.in"), **config)
        assert run("harvest", "images", f"dumps-{name}", *FEW, "--coder", name).code == 0
        digests.add(json.loads(Path(f"dumps-{name}/dump.json").read_text())["coder"]["digest"])
    assert len(digests) == 4


def test_backbone_and_reads_stand_in_for_what_files_do_not_say(images: Path):
    saev(Path("mine"), signs(), {"schema": 2, "cfg": {"d_model": 3, "activation": {"cls": "Relu", "params": {}}}})

    says(harvested("--coder", "mine"), "--backbone: the files of mine do not say which model it reads; name one")
    says(
        harvested("--coder", "mine", "--backbone", "layered"),
        "--reads: the files of mine do not say which hookpoint it reads; name one, such as blocks.8.resid",
    )
    assert harvested("--coder", "mine", "--backbone", "layered", "--reads", "layer.out").code == 0
    assert json.loads(Path("dump/dump.json").read_text())["hookpoint"] == "layer.out"


def test_what_does_not_fit_is_said_before_any_picture_is_read(images: Path):
    Path("images").rename("elsewhere")
    four = {"W_enc": torch.zeros(4, 6), "W_dec": torch.zeros(6, 4), "b_dec": torch.zeros(4)}
    saelens(Path("wide"), signs(**four), "standard", **named("layer.in") | {"d_in": 4})
    saelens(Path("deep"), signs(), "standard", **named("blocks.7.hook_resid_post"))

    says(
        harvested("--coder", "wide"),
        "--coder wide: reads 4 channels, and layer.in of the backbone has 3; "
        "it was trained on another model or hookpoint",
    )
    says(
        harvested("--coder", "deep"),
        "--reads: deep reads blocks.7.resid, and timm:layered:crop has no hookpoint of that name; name one of its own: "
        "early, layer.in, layer.out, pooled",
    )


def test_what_files_leave_open_is_said_while_the_harvest_runs(images: Path):
    state = {"encoder.weight": SIGNS, "encoder.bias": torch.zeros(6), "decoder.weight": torch.zeros(6, 3)}
    visaebench(Path("mine"), state, {"sae_type": "topk", "k": 2})

    done = harvested("--coder", "mine", "--backbone", "layered", "--reads", "layer.in")

    assert done.code == 0
    assert "--coder mine: visaebench trains on standardised activations, and its files hold neither" in done.err
    assert "mine: a coder of visaebench, reads layer.in of layered" in done.err.splitlines()


def test_a_hostile_coder_ends_the_command_in_one_line(images: Path):
    class Runs:
        def __reduce__(self) -> object:
            return eval, ("open('ran', 'w')",)

    Path("mine").mkdir()
    torch.save({"cfg": Runs(), "state_dict": signs()}, "mine/weights.pt")

    says(
        harvested("--coder", "mine"),
        "mine/weights.pt: is not read, since it wants to run __builtin__.eval, which is not plain data; "
        "save its weights as safetensors, or give another file",
    )
    assert not Path("ran").exists()
    assert not Path("dump").exists()


@pytest.fixture
def store(here: Path) -> Path:
    """Activations of 60 pictures, and a classifier that knows red from blue."""
    red_and_blue(Path("images"))
    places = ("--backbone", "layered", "--reads", "layer.in", "--writes", "layer.out")
    assert run("train", "activations", "images", "--out", "store", "--dtype", "float32", *places).code == 0
    head = ("--backbone", "layered", "--hookpoint", "pooled", "--epochs", "100", "--rate", "0.02")
    assert run("train", "classifier", "images", "--out", "classifier", *head).code == 0
    return Path("store")


def perfect(**config: object) -> Path:
    """A transcoder of sparsify's that writes what the layer writes."""
    state = {"encoder.weight": SIGNS, "encoder.bias": torch.zeros(6)}
    state |= {"W_dec": torch.cat([MIX, -MIX]), "b_dec": torch.zeros(3)}
    return sparsify(Path("theirs"), state, d_in=3, k=6, transcode=True, **config)


def test_a_coder_of_another_tool_is_measured_like_the_same_one_of_ours(store: Path):
    made = coder(perfect=True)
    save_coder(made, describe(made.config, model="layered", reads="layer.in", writes="layer.out"), "ours")
    perfect()
    asked = ("--images", "images", "--classifier", "classifier", "--part", "all", "--json")

    result = run("train", "evaluate", "store", "--coder", "ours", "--coder", "theirs", *asked)

    assert result.code == 0
    ours, theirs = json.loads(result.out)["coders"]
    assert (theirs["reads"], theirs["writes"], theirs["kind"]) == ("layer.in", "layer.out", "transcoder")
    for name in ("fvu", "l0"):
        assert theirs["held_out"][name] == pytest.approx(ours["held_out"][name][1:], abs=1e-9)
    for name in ("active_above", "n_firing", "latents"):
        assert theirs["association"][name] == ours["association"][name]
    effects = {e["replaced_by"]: e for e in ours["effects"]}
    assert [e["replaced_by"] for e in theirs["effects"]] == ["first 6 latents", "mean"]
    assert theirs["effects"][0] == effects["first 6 latents"]


def test_normalising_coders_reconstruct_in_the_units_of_the_store(store: Path):
    # Two latents along the first layer-normalised channel's two signs reconstruct it; the bias alone gives each mean.
    state = signs(W_dec=SIGNS)
    prisma(Path("whole"), state, beside=False, model_name="layered", d_in=3, normalize_activations="layer_norm")
    prisma(Path("none"), signs(), beside=False, model_name="layered", d_in=3, normalize_activations="layer_norm")
    here = ("--backbone", "layered", "--reads", "layer.in", "--json")

    found = json.loads(run("train", "evaluate", "store", "--coder", "whole", "--coder", "none", *here).out)["coders"]

    assert found[0]["held_out"]["fvu"][0] == pytest.approx(0, abs=1e-6)
    assert found[1]["held_out"]["fvu"][0] > 0.1


def test_a_coder_of_another_place_is_refused_unless_it_is_said_to_be_of_this_one(store: Path):
    saelens(Path("mine"), signs(), "standard", **named("layer.in", "layered-2"))

    says(
        run("train", "evaluate", "store", "--coder", "mine"),
        "--coder mine: is of timm:layered-2:crop, layer.in to layer.in, and the activations are of layered, layer.in "
        "to layer.out; name their own store, or give --backbone and --reads",
    )
    found = run("train", "evaluate", "store", "--coder", "mine", "--backbone", "layered", "--json")
    assert json.loads(found.out)["coders"][0]["reads"] == "layer.in"
