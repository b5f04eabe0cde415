"""`--unfreeze` and `--classifier`: a network that learned a texture, coders of it, and what is refused without it."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from standin.commands import Result, run, says
from standin.textured import module, rough_and_smooth, textured
from torch import Tensor

from autointerp.transcoder.store import ActivationStore

HEAD = ("--backbone", "textured", "--epochs", "60", "--rate", "0.02")
TUNED = ("--unfreeze", "1", "--tune-rate", "0.02", "--tune-epochs", "40")
LAST = ("--reads", "blocks.1.mlp.in", "--writes", "blocks.1.mlp.out")
UNITS = ("--reads", "blocks.1.mlp.in", "--writes", "blocks.1.mlp.hidden")
INSIDE = ("--reads", "pooled", "--writes", "head.0")
SHORT = ("--widths", "4,12", "--k", "2", "--steps", "40", "--batch", "64", "--rate", "0.02", "--held-out", "0.2")
FEW = ("--top", "3", "--bands", "2", "--per-band", "2", "--reservoir", "4", "--silent", "6", "--guided", "2")


@pytest.fixture(autouse=True)
def seeing(monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("jobs.train_evaluate", "transcoder.harvest.network", "transcoder.backbones.registry"):
        monkeypatch.setattr(f"autointerp.{place}.load_backbone", textured)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """90 pictures, a frozen classifier and two tuned ones of other seeds."""
    folder = tmp_path_factory.mktemp("network")
    images = rough_and_smooth(folder / "images")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("autointerp.transcoder.backbones.registry.load_backbone", textured)
        for name, more in (("frozen", ()), ("tuned", TUNED), ("other", (*TUNED, "--seed", "1"))):
            done = run("train", "classifier", images, "--out", folder / name, *HEAD, *more)
            assert done.code == 0, done.err
    return folder


@pytest.fixture
def world(made: Path, here: Path) -> Path:
    shutil.copytree(made, here, dirs_exist_ok=True)
    return here


def quality(folder: str) -> dict[str, float]:
    return json.loads(Path(folder, "classifier.json").read_text())["test_quality"]


def by_hand(folder: str) -> tuple[Tensor, Tensor, Tensor, Tensor, list[str]]:
    """What goes into the last MLP and comes out, pooled vectors and head.0, of all pictures, without the package."""
    net = module()
    with safe_open(Path(folder, "backbone.safetensors"), framework="pt") as file:
        for name in file.keys():  # noqa: SIM118 (it is no dictionary)
            net.get_parameter(name).data.copy_(file.get_tensor(name))
    with safe_open(Path(folder, "classifier.safetensors"), framework="pt") as file:
        head = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    paths = sorted(Path("images").rglob("*.png"))
    pixels = np.stack([np.asarray(Image.open(p), np.float32) for p in paths]) / 255
    x = torch.from_numpy((pixels - 0.5) / 0.25).flatten(1, 2)
    with torch.no_grad():
        x = net.get_submodule("blocks.0")(x)
        read, written = x, net.get_submodule("blocks.1.mlp")(x)
        pooled = (x + written).mean(dim=1)
        hidden = ((pooled - head["mean"]) / head["scale"]) @ head["first.weight"].T + head["first.bias"]
    return read, written, pooled, hidden.relu(), [p.relative_to("images").as_posix() for p in paths]


def test_only_the_tuned_network_separates_the_attribute(world: Path):
    assert quality("frozen")["auroc_low"] < 0.5 < quality("frozen")["auroc_high"]
    assert quality("tuned")["auroc"] == 1.0
    told = json.loads(Path("tuned/classifier.json").read_text())
    assert told["tuned"]["frozen_quality"] == quality("frozen")
    assert 1 <= told["tuned"]["best_epoch"] <= told["tuned"]["epochs_run"] <= 40


def test_only_weights_from_the_last_block_on_change(world: Path):
    with safe_open("tuned/backbone.safetensors", framework="pt") as file:
        names = set(file.keys())

    assert names == {f"blocks.1.mlp.{layer}.{kind}" for layer in ("fc1", "fc2") for kind in ("weight", "bias")}
    assert not Path("frozen/backbone.safetensors").exists()
    assert "tuned" not in json.loads(Path("frozen/classifier.json").read_text())


def test_the_same_command_twice_gives_the_same_network(world: Path):
    assert run("train", "classifier", "images", "--out", "again", *HEAD, *TUNED).code == 0

    for name in ("backbone.safetensors", "classifier.safetensors", "predictions.csv"):
        assert Path("again", name).read_bytes() == Path("tuned", name).read_bytes()


def store(out: str, *more: str) -> Result:
    return run("train", "activations", "images", "--out", out, "--dtype", "float32", *more)


def test_activations_are_those_of_the_tuned_network(world: Path):
    read, written, pooled, hidden, paths = by_hand("tuned")

    assert store("patches", "--classifier", "tuned", *LAST).code == 0
    assert store("vectors", "--classifier", "tuned", *INSIDE).code == 0

    with Path("patches/images.csv").open(newline="") as file:
        assert [row["path"] for row in csv.DictReader(file)] == paths
    patches = ActivationStore("patches").rows(0, [(0, 90 * 16)])
    assert torch.allclose(patches.inputs, read.flatten(0, 1), atol=1e-6)
    assert torch.allclose(patches.targets, written.flatten(0, 1), atol=1e-6)
    vectors = ActivationStore("vectors").rows(0, [(0, 90)])
    assert torch.allclose(vectors.inputs, pooled, atol=1e-6)
    assert torch.allclose(vectors.targets, hidden, atol=1e-5)
    assert float(hidden.max()) > 0


def trained(source: str, out: str, *more: str) -> Result:
    return run("train", "transcoder", source, "--out", out, *SHORT, *more)


def test_a_coder_of_the_head_goes_through_every_command(world: Path):
    assert store("store", "--classifier", "tuned", *INSIDE).code == 0
    made = trained("store", "coder", "--batch", "32")

    harvested = run("harvest", "images", "dump", "--coder", "coder", "--classifier", "tuned", *FEW)
    asked = ("--images", "images", "--classifier", "tuned", "--part", "all", "--json")
    evaluated = run("train", "evaluate", "store", "--coder", "coder", *asked)

    assert (made.code, harvested.code, evaluated.code) == (0, 0, 0), (made.err, harvested.err, evaluated.err)
    coder, dump = (json.loads(Path(p).read_text()) for p in ("coder/coder.json", "dump/dump.json"))
    assert (coder["model"], coder["reads"], coder["writes"]) == ("textured", "pooled", "head.0")
    assert coder["classifier"]["folder"] == "tuned"
    assert dump["classifier"] == coder["classifier"]["digest"]
    assert dump["model"].startswith(f"textured with classifier {dump['classifier'][:12]}, ")
    assert json.loads(evaluated.out)["asked"]["auroc"]["value"] == 1.0
    assert run("inspect", "dump", "--check", "--allow-outside").code == 0


def test_only_latents_of_the_tuned_network_go_with_the_attribute(world: Path):
    form = ("--kind", "sae", "--batch", "32", "--steps", "150", "--held-out", "0")
    found = {}
    for name in ("frozen", "tuned"):
        of = ("--classifier", name)
        assert store(f"{name}-store", *of, "--reads", "pooled", "--writes", "none").code == 0
        assert trained(f"{name}-store", f"{name}-coder", *form).code == 0
        asked = ("--images", "images", *of, "--density", "0.3", "--json")
        done = run("train", "evaluate", f"{name}-store", "--coder", f"{name}-coder", *asked)
        assert done.code == 0, done.err
        found[name] = json.loads(done.out)["coders"][0]["association"]

    assert (found["frozen"]["n_images"], found["frozen"]["n_associated"]) == (90, 0)
    best = found["tuned"]["latents"][0]
    # A third of the pictures are rough.
    assert best["lift"] > 2.5
    assert best["q"] < 1e-6


def test_a_coder_is_trained_straight_from_the_images_of_the_network(world: Path):
    assert store("store", "--classifier", "tuned", *LAST).code == 0

    straight = trained("images", "straight", "--classifier", "tuned", *LAST)

    assert straight.code == 0
    assert trained("store", "stored").code == 0
    of = [json.loads(Path(name, "coder.json").read_text())["classifier"] for name in ("straight", "stored")]
    assert of[0] == of[1]


@pytest.fixture
def coded(world: Path) -> Path:
    """A coder of the tuned network, and one of the backbone."""
    for name, more in (("of-tuned", ("--classifier", "tuned")), ("of-plain", ("--backbone", "textured"))):
        assert store(f"{name}-store", *more, *UNITS).code == 0
        assert trained(f"{name}-store", name).code == 0
    return world


def harvest(*more: str) -> Result:
    return run("harvest", "images", "dump", *FEW, *more)


def own_classifier() -> str:
    """The classifier of the coder of-tuned, as messages name it."""
    digest = json.loads(Path("of-tuned/coder.json").read_text())["classifier"]["digest"]
    return f"tuned ({digest[:12]})"


def test_without_the_classifier_or_with_another_nothing_is_harvested(coded: Path):
    own = own_classifier()

    says(
        harvest("--coder", "of-tuned"),
        f"--coder of-tuned: reads the network of the classifier {own}; name it with --classifier",
    )
    other = harvest("--coder", "of-tuned", "--classifier", "other")
    assert other.code == 2
    assert f"--coder of-tuned was made with the classifier {own}; give that one, or make it anew" in other.err
    plain = harvest("--coder", "of-plain", "--classifier", "tuned")
    says(plain, f"--classifier {own}: --coder of-plain was made without a classifier; leave the option out")
    assert harvest("--coder", "of-plain", "--classifier", "frozen").code == 0
    assert "classifier" in json.loads(Path("dump/dump.json").read_text())


def test_a_classifier_whose_files_are_gone_or_exchanged_is_refused(coded: Path):
    asked = ("--coder", "of-tuned", "--classifier", "tuned")
    Path("tuned/backbone.safetensors").rename("kept")

    says(harvest(*asked), "tuned/backbone.safetensors: is missing; it belongs beside classifier.json")
    shutil.copy("other/backbone.safetensors", "tuned/backbone.safetensors")
    says(
        harvest(*asked),
        "tuned/backbone.safetensors: are not the weights that classifier.json speaks of; copy both again, or train the "
        "classifier anew",
    )
    shutil.copy("kept", "tuned/backbone.safetensors")
    shutil.copy("other/classifier.safetensors", "tuned/classifier.safetensors")
    assert "was made with the classifier tuned" in harvest(*asked).err
    shutil.rmtree("tuned")
    says(
        harvest(*asked),
        "tuned/classifier.json: no such file; give a folder that `autointerp train classifier` wrote",
    )
    assert not Path("dump").exists()


def test_a_store_and_a_coder_of_it_know_their_classifier(coded: Path):
    own = own_classifier()

    other = trained("of-tuned-store", "new", "--classifier", "other")
    assert other.code == 2
    assert f"of-tuned-store was made with the classifier {own}; give that one, or make it anew" in other.err
    says(
        run("train", "evaluate", "of-tuned-store", "--coder", "of-plain"),
        f"--coder of-plain: reads a backbone by itself, and the activations are of the network of the classifier {own};"
        " name their own store",
    )
    says(
        run("train", "evaluate", "of-tuned-store", "--coder", "of-tuned", "--images", "images"),
        f"of-tuned-store: reads the network of the classifier {own}; name it with --classifier",
    )
    assert trained("of-tuned-store", "new", "--classifier", "tuned").code == 0


def test_training_that_was_stopped_refuses_another_classifier(coded: Path, monkeypatch: pytest.MonkeyPatch):
    assert store("other-store", "--classifier", "other", *UNITS).code == 0
    with monkeypatch.context() as patch:
        patch.setattr("autointerp.jobs.train_transcoder.save_coder", _refuse)
        with pytest.raises(InterruptedError):
            trained("of-tuned-store", "cut", "--checkpoint-every", "10")

    stopped = trained("other-store", "cut", "--checkpoint-every", "10", "--resume")
    finished = trained("other-store", "of-tuned", "--resume")

    assert stopped.code == 2
    assert "cut/checkpoint.safetensors: was written with tuned (" in stopped.err
    assert stopped.err.endswith("; give the same --classifier, or another folder\n")
    says(finished, "of-tuned: holds a finished coder of another classifier; give another folder")
    assert trained("of-tuned-store", "cut", "--checkpoint-every", "10", "--resume").code == 0


def _refuse(*_: object) -> None:
    raise InterruptedError


def test_a_harvest_that_was_stopped_refuses_another_classifier(coded: Path, monkeypatch: pytest.MonkeyPatch):
    raw = ("--coder", "raw:blocks.1.mlp.hidden")
    with monkeypatch.context() as patch:
        patch.setattr("autointerp.transcoder.harvest.run.write_dump", _refuse)
        with pytest.raises(InterruptedError):
            harvest(*raw, "--classifier", "tuned")

    other, same = harvest(*raw, "--classifier", "other"), harvest(*raw, "--classifier", "tuned")

    assert "a harvest was begun in which the backbone or its classifier was another" in other.err
    assert (other.code, same.code) == (2, 0)


def test_files_without_a_classifier_are_as_before(coded: Path):
    assert harvest("--coder", "of-plain").code == 0

    assert "classifier" not in json.loads(Path("of-plain/coder.json").read_text())
    assert "classifier" not in json.loads(Path("of-plain-store/manifest.json").read_text())["about"]
    assert "classifier" not in json.loads(Path("dump/dump.json").read_text())


BAD = [
    (("--unfreeze", "3"), "--unfreeze 3: textured has 2 blocks"),
    (
        ("--unfreeze", "1", "--hookpoint", "blocks.0.resid"),
        "--unfreeze 1: the head reads blocks.0.resid, which comes before these blocks; unfreeze more of them, or let "
        "it read a later --hookpoint",
    ),
]


@pytest.mark.parametrize(("options", "line"), BAD, ids=lambda v: " ".join(v) if isinstance(v, tuple) else "")
def test_blocks_that_cannot_be_trained_are_one_line(options: tuple[str, ...], line: str, world: Path):
    says(run("train", "classifier", "images", "--out", "new", *HEAD, *options), line)

    assert not Path("new").exists()
