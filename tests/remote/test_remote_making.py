"""Dumps and calibrations that are made here and sent to a URL."""

import json
from pathlib import Path

import fsspec
import numpy as np
import pytest
from PIL import Image
from remote.stores import names
from standin.commands import run, says
from standin.planted import Population
from standin.server import StandIn

from autointerp.dump.reader import open_dump
from autointerp.remote.path import RemotePath

torch = pytest.importorskip("torch")

ASKED = ("--calls", "12", "--planted-sides", "64", "--model", "seer")


@pytest.fixture
def coder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A coder of eight latents, and in the place of its backbone one layer over a 4 x 4 grid."""
    from autointerp.transcoder.backbones.module import ModuleBackbone
    from autointerp.transcoder.backbones.preparation import Preparation
    from autointerp.transcoder.backbones.taps import Tap
    from autointerp.transcoder.coder import SparseCoder
    from autointerp.transcoder.coder_io import describe, save_coder
    from autointerp.transcoder.settings import CoderConfig

    def load(name: str, **_: object) -> ModuleBackbone:
        torch.manual_seed(0)
        module = torch.nn.Sequential(torch.nn.Conv2d(3, 12, 4, 4), torch.nn.ReLU())
        taps = {"conv": Tap("0", "output"), "relu": Tap("1", "output")}
        return ModuleBackbone(name, module, Preparation(16), taps=taps, side=16, patch_grid=(4, 4))

    monkeypatch.setattr("autointerp.transcoder.harvest.network.load_backbone", load)
    config = CoderConfig(d_in=12, d_out=12, widths=(8,), k=4, sparsity="topk")
    made = SparseCoder(config)
    made.start(0)
    save_coder(made, describe(config, model="stripes", reads="conv", writes="relu"), tmp_path / "mine")
    return tmp_path / "mine"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Twelve pictures of noise."""
    chance = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    for i in range(12):
        Image.fromarray(chance.integers(0, 255, (20, 30, 3)).astype(np.uint8)).save(
            tmp_path / "images" / f"{i:02d}.png"
        )
    return tmp_path / "images"


def test_a_harvest_to_a_url_is_the_dump_of_one_to_a_folder(s3: str, images: Path, coder: Path, tmp_path: Path):
    few = ("--coder", coder, "--top", "3", "--bands", "2", "--per-band", "2", "--silent", "4", "--store", "bytes")
    local = run("harvest", images, tmp_path / "local", *few)
    sent = run("harvest", images, f"{s3}/dump", *few)

    assert (local.code, sent.code) == (0, 0), sent.err
    assert sent.out == local.out.replace(str(tmp_path / "local"), f"{s3}/dump")
    tables = [name for name in names(f"{s3}/dump") if name != "dump.json"]
    assert len(tables) >= 3
    for name in tables:
        assert (RemotePath(f"{s3}/dump") / name).read_bytes() == (tmp_path / "local" / name).read_bytes(), name
    with open_dump(f"{s3}/dump") as there:
        assert there.info.n_latents == 8
    assert list((tmp_path / "cache" / "dumps").iterdir()) == []
    says(run("harvest", images, f"{s3}/dump", *few), f"{s3}/dump: exists; name another place for the dump")
    says(
        run("harvest", images, f"{s3}/other", *few, "--shard", "0/2"),
        f"{s3}/other: --shard needs a folder that all shards see; for many machines without one give --engine ray",
    )


def test_a_dump_that_could_not_be_sent_stays(
    memory: str, images: Path, coder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: object, **__: object) -> None:
        raise OSError("no room")

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "put_file", full)
    said = run("harvest", images, f"{memory}/dump", "--coder", coder, "--top", "3", "--silent", "4")

    (folder,) = (tmp_path / "cache" / "dumps").glob("*/dump")
    assert said.code == 2
    assert said.err.splitlines()[-1] == (
        f"autointerp: {memory}/dump: cannot be written: no room; it is whole in {folder}: mend that, then copy it "
        "there, dump.json at the end"
    )
    assert (folder / "dump.json").exists()


def test_a_calibration_at_a_url_is_made_and_used_there(s3: str, population: Population, tmp_path: Path):
    out = f"{s3}/judges/seer.json"
    with StandIn() as seer:
        usual = ("--base-url", seer.url)
        made = run("calibrate", *ASKED, *usual, "--out", out)
        run("explain", population.folder, "--run", tmp_path / "run", "--model", "seer", *usual, "--features", "0-1")
        judged = ("--scorers", "detection", "--controls", "0")
        scored = run("score", tmp_path / "run", *usual, *judged, "--calibration", out)

    assert (made.code, scored.code) == (0, 0), made.err + scored.err
    assert made.out.splitlines()[-1].endswith(f" -> {out}") or f" -> {out}\n" in made.out
    assert json.loads((RemotePath(out)).read_bytes())["model"] == "seer"
    assert (tmp_path / "run" / "calibration.json").exists()
    assert names(f"{s3}/judges") == ["seer.json"]


def test_a_calibration_by_batch_is_recorded_at_its_url(memory: str):
    out = f"{memory}/judges/seer.json"

    said = run("calibrate", *ASKED, "--base-url", "http://127.0.0.1:9/v1", "--out", out, "--batch")

    assert said.code == 0, said.err
    assert f"autointerp batch submit {memory}/judges" in said.out
    assert "batch/plan.json" in names(f"{memory}/judges")


def test_a_calibration_that_is_not_at_its_url_is_one_line(memory: str, population: Population, tmp_path: Path):
    with StandIn() as seer:
        usual = ("--base-url", seer.url)
        run("explain", population.folder, "--run", tmp_path / "run", "--model", "seer", *usual, "--features", "0-1")
        out = f"{memory}/none.json"
        said = run("score", tmp_path / "run", *usual, "--calibration", out)

    assert said.code == 2
    assert said.err.splitlines()[-1] == (
        f"autointerp: {out}: no such file; `autointerp calibrate --model M --out {out}` makes it"
    )
