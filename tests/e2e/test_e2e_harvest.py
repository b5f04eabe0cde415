"""`autointerp harvest`: pictures in folders and stored coders to dumps that validate."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from standin.commands import Result, run, says
from standin.server import StandIn
from torch import nn

import autointerp
from autointerp.cli.render.harvest import show_written
from autointerp.dump.reader import open_dump
from autointerp.errors import SettingsError
from autointerp.images.near_duplicates import Look, look_of
from autointerp.jobs.harvesting import HarvestResult
from autointerp.transcoder.backbones.module import ModuleBackbone
from autointerp.transcoder.backbones.preparation import Preparation
from autointerp.transcoder.backbones.taps import Tap
from autointerp.transcoder.coder import SparseCoder
from autointerp.transcoder.coder_io import describe, save_coder
from autointerp.transcoder.harvest.run import Harvested
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
    monkeypatch.setattr("autointerp.transcoder.harvest.network.load_backbone", load)


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
    broken, made, found, related, following = done.out.splitlines()
    assert broken.startswith("left out: images that cannot be read: 1 (e.g. images/plausible/broken.png: ")
    assert made.startswith("mine: 32 latents (")
    assert made.endswith(" -> dump")
    assert found.startswith("mine: --active-above auto found ")
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


def test_of_images_inside_an_archive_the_next_command_needs_no_leave_for_files_outside(images: Path):
    shutil.make_archive("packed", "zip", images)

    made = harvest(Path("packed.zip"), "dump", "--coder", coder(Path("mine"), (8, 32)))

    assert made.out.splitlines()[-1] == "next: autointerp explain dump --run RUN --model MODEL"


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


def content(dump: Path) -> dict[str, object]:
    """The bytes of each table, and dump.json without the time."""
    told = json.loads((dump / "dump.json").read_text())
    return {p.name: p.read_bytes() for p in dump.glob("*.parquet")} | told | {"created": None, "name": None}


def test_shards_are_merged_to_the_dump_of_one_process(images: Path, monkeypatch: pytest.MonkeyPatch):
    options = ("--coder", coder(Path("mine"), (8, 32)), "--batch", "4")
    harvest(images, "whole", *options)

    early = harvest(images, "dump", *options, "--shard", "2/3")
    too_soon = run("merge", "dump")
    others = [harvest(images, "dump", *options, "--shard", f"{i}/3", "--json") for i in (0, 1)]
    again = harvest(images, "dump", *options, "--shard", "1/3")
    made = run("merge", "dump")

    assert early.code == 0
    assert early.out.splitlines()[1:] == ["shard 2/3: 8 images are done", "not done yet: --shard 0/3, 1/3"]
    says(
        too_soon,
        ".dump.shards: 2 shards are missing or not done: run harvest with --shard 0/3, 1/3, then merge again",
    )
    told = [json.loads(o.out)["shard"] for o in others]
    assert told[0] == {"shard": "0/3", "n_images": 4, "missing": ["1/3"]}
    assert told[1] == {"shard": "1/3", "n_images": 8, "missing": []}
    assert again.out.splitlines()[1:] == ["shard 1/3: 8 images are done", "next: autointerp merge dump"]
    assert made.out.splitlines()[-1] == "next: autointerp explain dump --run RUN --model MODEL --allow-outside"
    assert content(Path("dump")) == content(Path("whole"))
    assert not Path(".dump.shards").exists()
    assert run("merge", "dump").out == "there is nothing to merge\n"
    says(
        harvest(images, "dump", *options, "--shard", "1/3"),
        "dump: exists already; a dump is written once, so give another folder",
    )


def test_shards_with_caches_of_their_own_decode_each_image_once(images: Path, monkeypatch: pytest.MonkeyPatch):
    for file in images.glob("*/*.png"):
        os.utime(file, (1_500_000_000, 1_500_000_000))
    options = ("--coder", coder(Path("mine"), (8, 32)), "--batch", "4")
    seen: list[object] = []

    def look(image: Image.Image) -> Look:
        seen.append(image)
        return look_of(image)

    monkeypatch.setattr("autointerp.images.manifest.look_of", look)
    counts = []
    for i in (1, 0, 2):
        monkeypatch.setenv("AUTOINTERP_CACHE", f"cache-{i}")
        assert harvest(images, "dump", *options, "--shard", f"{i}/3").code == 0
        counts.append(len(seen))
    monkeypatch.setenv("AUTOINTERP_CACHE", "another")

    assert run("merge", "dump").code == 0

    assert counts == [N, N, N]
    assert len(seen) == N


def test_shards_of_two_coders_run_in_one_folder_are_merged_from_another(images: Path, monkeypatch: pytest.MonkeyPatch):
    both = ("--coder", coder(Path("a"), (8, 32)), "--coder", "raw:relu", "--batch", "4")
    harvest(images, "whole", *both)
    for i in range(2):
        harvest(images, "dumps", *both, "--shard", f"{i}/2")
    folder = Path.cwd()
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")

    made = run("merge", folder / "dumps", "--json")

    assert [d["coder"] for d in json.loads(made.out)["dumps"]] == ["a", "raw-relu"]
    for name in ("a", "raw-relu"):
        assert content(folder / "dumps" / name) == content(folder / "whole" / name)


def test_shards_of_a_zip_are_merged_to_the_dump_of_one_process(images: Path):
    (images / "plausible" / "broken.png").unlink()
    shutil.make_archive("packed", "zip", images)
    options = ("--coder", coder(Path("mine"), (8, 32)), "--batch", "4")
    assert harvest(Path("packed.zip"), "whole", *options).code == 0

    for i in range(3):
        assert harvest(Path("packed.zip"), "dump", *options, "--shard", f"{i}/3").code == 0

    assert run("merge", "dump").code == 0
    assert content(Path("dump")) == content(Path("whole"))


def test_shards_of_a_pattern_are_merged_from_another_folder(images: Path, monkeypatch: pytest.MonkeyPatch):
    (images / "plausible" / "broken.png").unlink()
    for kind in ("plausible", "implausible"):
        shutil.make_archive(f"packed-{kind}", "zip", images, kind)
    options = ("--coder", coder(Path("mine"), (8, 32)), "--batch", "4")
    assert harvest(Path("packed-*.zip"), "whole", *options).code == 0
    for i in range(2):
        assert harvest(Path("packed-*.zip"), "dump", *options, "--shard", f"{i}/2").code == 0
    folder = Path.cwd()
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")

    made = run("merge", folder / "dump")

    assert made.code == 0
    assert content(folder / "dump") == content(folder / "whole")


def test_shards_of_what_is_made_in_python_are_refused(images: Path):
    files = sorted((images / "plausible").glob("1*.png"))

    with pytest.raises(SettingsError, match="shard: what is made in Python cannot be read again by merge; give a"):
        autointerp.harvest(files, "dump", coders=str(coder(Path("mine"), (8,))), shard="0/2")


def test_what_one_process_began_is_not_gone_on_with_in_shards(images: Path, monkeypatch: pytest.MonkeyPatch):
    options = ("--coder", coder(Path("mine"), (8,)))
    Path(".dump.harvest").mkdir()
    Path(".dump.harvest/plan.json").touch()
    says(
        harvest(images, "dump", *options, "--shard", "0/2"),
        ".dump.harvest: this dump was begun as a whole; go on without --shard, or remove the folder",
    )
    harvest(images, "other", *options, "--shard", "0/2")
    says(
        harvest(images, "other", *options),
        ".other.shards: shards of this dump were begun; end them and `autointerp merge other`, or remove the folder",
    )


def test_the_former_shard_is_the_images_between_two_checkpoints(images: Path):
    mine = ("--coder", coder(Path("mine"), (8,)))

    typed = harvest(images, "typed", *mine, "--shard", "8")
    Path("config.toml").write_text("[harvest]\nshard = 8\n")
    named = run("--config", "config.toml", "harvest", images, "named", *FEW, *mine)

    for done in (typed, named):
        assert done.code == 0
        assert "--shard 8 is now --checkpoint-every 8; the old name goes with the next version" in done.err.splitlines()
    assert content(Path("typed")) == content(Path("named"))


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--shard", "3"), None),
        (("--shard", "0"), "--shard '0': write it as 0/8, the first of eight"),
        (("--shard", "2/2"), "--shard 2/2: shards are counted from 0, so here they are 0/2 to 1/2"),
        (("--shard", "half"), "--shard 'half': write it as 0/8, the first of eight"),
        (
            ("--precision", "tf32"),
            "--precision tf32: CUDA devices have it, and --device is cpu; leave it out",
        ),
    ],
)
def test_a_shard_or_precision_that_is_none_is_said_in_one_line(
    images: Path, options: tuple[str, ...], line: str | None
):
    done = harvest(images, "dump", "--coder", coder(Path("mine"), (8,)), *options)

    if line is None:
        assert done.code == 0
    else:
        says(done, line)


def test_bfloat16_changes_activations_by_less_than_a_hundredth_and_is_stated(images: Path):
    mine = ("--coder", coder(Path("mine"), (8, 32)), "--active-above", "0")
    harvest(images, "exact", *mine)

    harvest(images, "cast", *mine, "--precision", "bfloat16")

    with open_dump("exact", allow_outside=True) as exact, open_dump("cast", allow_outside=True) as cast:
        assert cast.info.created_by.endswith("harvest --seed 0 --precision bfloat16")
        assert exact.info.created_by.endswith("harvest --seed 0")
        highest = [[f.row.max_activation for f in dump.features()] for dump in (exact, cast)]
    assert highest[0] != highest[1]
    assert np.allclose(highest[0], highest[1], rtol=0.02, atol=0.02 * max(highest[0]))


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


def test_a_harvest_most_of_whose_latents_never_fire_above_the_threshold_found_says_what_to_do(
    capsys: pytest.CaptureFixture[str],
):
    def said(n_dead: int, *, found: bool) -> list[str]:
        made = Harvested(Path("d"), "mine", 40, n_dead, n_images=30, n_stored=30, active_above=5.0)
        show_written(HarvestResult((made,), (), (), "bytes"), Path("d"), as_json=False, found=found)
        return capsys.readouterr().out.splitlines()[1:-1]

    assert said(25, found=True) == [
        "mine: --active-above auto found 5 on 30 images; where too many latents never fire above that, give more "
        "images or --active-above 0"
    ]
    assert said(20, found=True) == said(25, found=False) == []
