"""`autointerp train activations`: pictures to a store that a coder learns from; cut off, begun anew and refused."""

import csv
import json
import shutil
from pathlib import Path

import pytest
import torch
from standin.commands import Result, run, says
from standin.layered import MIX, layered, red_and_blue

from autointerp.transcoder.store import ActivationStore
from autointerp.transcoder.stream import StoreSource

PLACES = ("--backbone", "layered", "--reads", "layer.in", "--writes", "layer.out")


@pytest.fixture(autouse=True)
def seeing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autointerp.transcoder.backbones.registry.load_backbone", layered)


@pytest.fixture
def images(here: Path) -> Path:
    """12 pictures, of which the last is a copy of the first, and a broken file."""
    red_and_blue(Path("images"), 11)
    shutil.copy("images/implausible/00.png", "images/plausible/copy.png")
    Path("images/plausible/broken.png").write_bytes(b"no image")
    return Path("images")


def stored(images: Path, out: str, *more: str) -> Result:
    return run("train", "activations", images, "--out", out, *PLACES, *more)


def test_images_become_a_store_from_which_a_transcoder_learns(images: Path):
    result = stored(images, "store", "--dtype", "float32", "--batch", "5")

    assert result.code == 0
    left, made, following = result.out.splitlines()
    assert left.startswith("left out: images that cannot be read: 1 (e.g. images/plausible/broken.png: ")
    assert made.startswith("192 tokens of 12 images in 11 groups, layered layer.in -> layer.out, ")
    assert following == "next: autointerp train transcoder store --out CODER"
    assert "images run: 12/12" in result.err
    store = ActivationStore("store")
    batch = store.rows(0, [(0, 192)])
    assert torch.allclose(batch.targets, batch.inputs @ MIX, atol=1e-5)
    assert store.column(0, "images").bincount().tolist() == [16] * 12
    short = ("--widths", "2,6", "--k", "2", "--steps", "20", "--batch", "32", "--held-out", "0.2")
    assert run("train", "transcoder", "store", "--out", "coder", *short).code == 0


def test_copies_are_never_on_both_sides_of_the_split(images: Path):
    stored(images, "store")

    with Path("store/images.csv").open(newline="") as file:
        group = {row["path"]: row["group"] for row in csv.DictReader(file)}
    assert group["implausible/00.png"] == group["plausible/copy.png"]
    assert len(set(group.values())) == 11
    store = ActivationStore("store")
    of = dict(zip(store.column(0, "images").tolist(), store.column(0, "groups").tolist(), strict=True))
    assert of[0] == of[11]
    sizes = {
        sum(len(b.inputs) for b in StoreSource(store, seed=seed, held_out=0.09).held_out(64, 1000))
        for seed in range(40)
    }
    assert sizes == {16, 32}


def test_a_few_patches_of_each_image_are_the_same_at_any_batch(images: Path):
    first = stored(images, "a", "--tokens-per-image", "3", "--json")
    stored(images, "b", "--tokens-per-image", "3", "--batch", "5")
    stored(images, "c", "--tokens-per-image", "3", "--seed", "1")

    found = json.loads(first.out)
    assert (found["n_tokens"], found["n_images"], found["n_groups"], found["about"]["d_in"]) == (36, 12, 11, 3)
    a, b, c = (ActivationStore(name).rows(0, [(0, 36)]) for name in "abc")
    assert torch.equal(a.inputs, b.inputs)
    assert not torch.equal(a.inputs, c.inputs)
    assert torch.allclose(a.targets.float(), a.inputs.float() @ MIX, atol=0.02)


def test_inputs_alone_are_enough_for_an_autoencoder(images: Path):
    done = stored(images, "store", "--writes", "none")

    assert "layered layer.in, " in done.out
    assert ActivationStore("store").about.d_out is None


def test_labels_list_the_images_and_put_groups_together(images: Path):
    Path("labels.csv").write_text(
        "path,label,group\nplausible/01.png,0,one\nplausible/02.png,0,one\nimplausible/03.png,1,two\n"
    )

    result = stored(images, "store", "--labels", "labels.csv", "--json")

    assert (json.loads(result.out)["n_images"], json.loads(result.out)["n_groups"]) == (3, 2)


def test_a_pass_that_was_cut_off_is_no_store_and_begins_anew(images: Path, monkeypatch: pytest.MonkeyPatch):
    whole = stored(images, "whole")
    with monkeypatch.context() as patch:
        patch.setattr("autointerp.jobs.train_activations.write_table", _cut)
        with pytest.raises(InterruptedError):
            stored(images, "cut")
    Path("cut/shard-00007.safetensors").write_bytes(b"of a longer pass")

    refused = run("train", "transcoder", "cut", "--out", "coder")
    again = stored(images, "cut")

    says(
        refused,
        "cut: holds no activations, it has no manifest.json; it is not a store, or its writing was cut off",
    )
    assert (whole.code, again.code) == (0, 0)
    names = sorted(p.name for p in Path("whole").iterdir())
    assert sorted(p.name for p in Path("cut").iterdir()) == names
    assert all(Path("cut", n).read_bytes() == Path("whole", n).read_bytes() for n in names)


def _cut(*_: object) -> None:
    raise InterruptedError


BAD = [
    (("--reads", "x"), "hookpoint 'x': layered has none of that name; it has early, layer.in, layer.out, pooled"),
    (
        ("--writes", "pooled"),
        "--writes 'pooled': is of the image, and 'layer.in' is of 4 x 4 patches; "
        "a transcoder's two hookpoints have the same tokens",
    ),
    (
        ("--writes", "layer.in"),
        "--writes 'layer.in': is what --reads names too; give --writes none to store it once",
    ),
    (("--dtype", "int8"), "--dtype 'int8': input should be 'float16', 'bfloat16' or 'float32'"),
]


@pytest.mark.parametrize(("options", "line"), BAD, ids=lambda v: " ".join(v) if isinstance(v, tuple) else "")
def test_bad_option_is_one_line_and_leaves_nothing(options: tuple[str, ...], line: str, images: Path):
    says(stored(images, "store", *options), line)

    assert not Path("store").exists()


def test_folders_that_hold_something_are_left_alone(images: Path):
    stored(images, "store")
    before = Path("store/manifest.json").read_bytes()

    says(stored(images, "store"), "store: holds activations already; give another folder")
    says(stored(images, "images"), "images: holds implausible, which is no store's; give another folder")

    assert Path("store/manifest.json").read_bytes() == before
