"""`autointerp harvest`: pictures in folders and stored coders to dumps that validate."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from standin.commands import Result, run, says
from standin.server import StandIn
from torch import nn

from autointerp.dump.reader import open_dump
from autointerp.transcoder.backbones.module import ModuleBackbone, Preparation, Tap
from autointerp.transcoder.coder import SparseCoder
from autointerp.transcoder.coder_io import describe, save_coder
from autointerp.transcoder.settings import CoderConfig

BACKBONE = "stripes"
N = 20
FEW = ("--top", "3", "--bands", "2", "--per-band", "2", "--reservoir", "4", "--silent", "6", "--guided", "2")


def load(name: str, *, seed: int = 0, device: str = "cpu") -> ModuleBackbone:
    """Stands in for the registry, which would need a package with weights: 12 channels of a 4 x 4 grid."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 12, 4, 4), nn.ReLU())
    taps = {"conv": Tap("0", "output"), "relu": Tap("1", "output")}
    return ModuleBackbone(name, module, Preparation(16), taps=taps, side=16, patch_grid=(4, 4))


@pytest.fixture(autouse=True)
def seeing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autointerp.jobs.harvest.load_backbone", load)


def coder(folder: Path, widths: tuple[int, ...], *, d_in: int = 12) -> Path:
    config = CoderConfig(d_in=d_in, d_out=12, widths=widths, k=4, sparsity="topk")
    made = SparseCoder(config)
    made.start(0)
    save_coder(made, describe(config, model=BACKBONE, reads="conv", writes="relu"), folder)
    return folder


@pytest.fixture
def images(here: Path) -> Path:
    """20 pictures of noise around a colour, 5 of them implausible, and a broken file."""
    chance = np.random.default_rng(0)
    for i in range(N):
        pixels = chance.integers(0, 90, (20, 30, 3)) + 40 * (i % 4) * np.eye(3)[i % 3]
        path = here / "images" / ("implausible" if i % 4 == 0 else "plausible") / f"{i:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(path)
    (here / "images" / "plausible" / "broken.png").write_bytes(b"no image")
    return Path("images")


def harvest(images: Path, dump: str, *options: str | Path) -> Result:
    return run("harvest", images, dump, *FEW, *options)


def test_a_folder_of_images_becomes_a_dump_without_errors(images: Path):
    done = harvest(images, "dump", "--coder", coder(Path("mine"), (8, 32)))

    assert done.code == 0
    broken, made, related, following = done.out.splitlines()
    assert broken.startswith("left out: images that cannot be read: 1 (e.g. images/plausible/broken.png: ")
    assert made.startswith("mine: 32 latents (")
    assert made.endswith(" -> dump")
    assert related.startswith("mine: ")
    assert " latents have parents, " in related
    assert following == "next: autointerp explain dump --run RUN --model MODEL --allow-outside"
    assert "a dump will hold at most 20 images and take " in done.err
    assert done.err.splitlines()[-1].startswith("images harvested: 20/20")
    checked = json.loads(run("inspect", "dump", "--check", "--json", "--allow-outside").out)
    assert [p for p in checked["problems"] if p["severity"] == "error"] == []
    assert (checked["n_images"], checked["attribute"], checked["patch_grid"]) == (N, "physical error", [4, 4])
    with open_dump("dump", allow_outside=True) as dump:
        assert dump.info.hookpoint == "conv -> relu"
        assert all(f.row.parents == () for f in dump.features() if f.id < 8)


def test_a_dump_with_dead_latents_is_explained_whichever_features_are_named(images: Path, seer: StandIn):
    made = harvest(images, "my-dump", "--coder", coder(Path("mine"), (8, 32)), "--store", "bytes")
    assert made.out.endswith("next: autointerp explain my-dump --run RUN --model MODEL\n")
    with open_dump("my-dump") as dump:
        dead = [f.id for f in dump.features() if f.row.n_active == 0]
    where = ("--model", "seer", "--base-url", seer.url, "--json")
    named = ("--features", ",".join(map(str, dead)))

    def explained(*options: str) -> dict[str, int]:
        return json.loads(run("explain", "my-dump", "--run", f"runs/{options[0]}", *where, *options).out)

    by_name, sample = explained(*named), explained("--sample", "20")
    first, again = explained("--hierarchy"), explained("--hierarchy")
    estimated = run("estimate", "my-dump", *named, "--models", "gpt-4o", "--json")

    assert len(dead) > 8
    assert (by_name["dead"], by_name["done"], by_name["failed"]) == (len(dead), 0, 0)
    assert (sample["selected"], sample["failed"], sample["dead"] > 0) == (20, 0, True)
    assert (first["failed"], first["dead"], first["done"]) == (0, len(dead), again["before"])
    assert (again["done"], again["failed"], again["dead"]) == (0, 0, len(dead))
    assert json.loads(estimated.out)["models"][0]["requests"] == 0


def test_two_coders_and_raw_units_make_three_dumps(images: Path):
    both = ("--coder", coder(Path("a"), (8, 32)), "--coder", coder(Path("b"), (16,)))

    done = harvest(images, "dumps", *both, "--coder", "raw:relu", "--json")

    made = json.loads(done.out)
    assert [(d["dump"], d["n_latents"], d["n_images"]) for d in made["dumps"]] == [
        ("dumps/a", 32, N),
        ("dumps/b", 16, N),
        ("dumps/raw-relu", 12, N),
    ]
    assert len(made["broken"]) == 1
    for d in made["dumps"]:
        assert run("inspect", d["dump"], "--check", "--allow-outside").code == 0


def test_what_was_seen_of_images_is_remembered_and_changes_no_byte(images: Path, monkeypatch: pytest.MonkeyPatch):
    for file in images.glob("*/*.png"):
        os.utime(file, (1_500_000_000, 1_500_000_000))
    options = ("--coder", coder(Path("mine"), (8, 32)))
    first = harvest(images, "first", *options)
    monkeypatch.setattr("autointerp.images.manifest.look_of", None)

    second = harvest(images, "second", *options)

    assert (first.code, second.code) == (0, 0)
    tables = sorted(p.name for p in Path("first").glob("*.parquet"))
    assert len(tables) >= 3
    for name in tables:
        assert Path("first", name).read_bytes() == Path("second", name).read_bytes()


def test_bytes_that_changed_under_the_same_size_and_time_are_found(images: Path):
    for i in range(2):
        Image.new("RGB", (20, 30), (i, i, i)).save(images / f"{i}.bmp")
    for file in images.rglob("*.*"):
        os.utime(file, (1_500_000_000, 1_500_000_000))
    options = ("--coder", coder(Path("mine"), (8, 32)))
    harvest(images, "first", *options)
    (images / "0.bmp").write_bytes((images / "1.bmp").read_bytes())
    os.utime(images / "0.bmp", (1_500_000_000, 1_500_000_000))

    says(
        harvest(images, "second", *options),
        "images/0.bmp: is not the file any more that was looked at; put it back, or give it a new time (touch) and "
        "begin again",
    )
    (images / "0.bmp").touch()
    assert harvest(images, "second", *options).code == 0


def test_labels_in_a_file_say_which_images_there_are(images: Path):
    Path("labels.csv").write_text("path,label\nplausible/01.png,1\nplausible/02.png,0\nplausible/03.png,\n")

    done = harvest(images, "dump", "--coder", coder(Path("mine"), (8,)), "--labels", "labels.csv", "--json")

    assert json.loads(done.out)["dumps"][0]["n_images"] == 3
    with open_dump("dump", allow_outside=True) as dump:
        assert set(dump.images_table()["attribute"].to_pylist()) <= {True, False, None}
        assert all(f.row.n_active_attribute in (0, 1) for f in dump.features())


def test_a_dump_that_exists_is_not_written_again(images: Path):
    Path("dump").mkdir()

    done = harvest(images, "dump", "--coder", coder(Path("mine"), (8,)))

    says(done, "dump: exists already; a dump is written once, so give another folder")


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (
            ("--coder", "none"),
            "none: there is no such folder or file; give a coder's folder or hub:OWNER/REPO/FOLDER",
        ),
        (("--coder", "raw:relu"), "--backbone: the coders do not say which model they read; name one"),
        (
            ("--coder", "mine", "--active-above", "high"),
            "--active-above 'high': give a number, or `auto`",
        ),
        (
            ("--coder", "mine", "--active-above", "-1"),
            "--active-above -1.0: input should be greater than or equal to 0",
        ),
        (("--coder", "mine", "--active-above", "nan"), "--active-above nan: input should be a finite number"),
        (("--coder", "mine", "--density", "2"), "--density 2.0: input should be less than 1"),
        (
            ("--coder", "mine", "--coder", "more/mine"),
            "--coder: two are called 'mine', and dumps are named after them; rename a folder",
        ),
        (
            ("--coder", "narrow"),
            "--coder narrow: reads 100 channels, and conv of the backbone has 12; "
            "it was trained on another model or hookpoint",
        ),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(images: Path, options: tuple[str, ...], line: str):
    coder(Path("mine"), (8,))
    coder(Path("more/mine"), (8,))
    coder(Path("narrow"), (8,), d_in=100)

    says(harvest(images, "dump", *options), line)
