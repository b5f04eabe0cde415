"""`autointerp classify`: new pictures through a classifier, by folder and by column."""

import csv
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from standin.commands import run, says
from standin.layered import MIX, layered, red_and_blue


@pytest.fixture(autouse=True)
def seeing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autointerp.transcoder.backbones.registry.load_backbone", layered)


@pytest.fixture
def world(here: Path) -> Path:
    """A classifier that knows red from blue, and ten new pictures: three red ones in `a`, the others in `b` and `c`."""
    red_and_blue(Path("images"))
    head = ("--backbone", "layered", "--hookpoint", "pooled", "--epochs", "100", "--rate", "0.02")
    assert run("train", "classifier", "images", "--out", "classifier", *head).code == 0
    chance = np.random.default_rng(9)
    for i in range(10):
        pixels = chance.integers(0, 100, (16, 16, 3))
        pixels[..., 0 if i < 3 else 2] += 120
        path = Path("new", "a" if i < 3 else "b" if i < 8 else "c", f"{i}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(path)
    return here


def by_hand(path: Path) -> float:
    """Log odds of a picture without the package's network: pixels, the layer, the head."""
    pixels = np.asarray(Image.open(path).resize((4, 4), Image.Resampling.BICUBIC), np.float32) / 255
    mean, std = (np.array(c, np.float32) for c in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    pooled = torch.from_numpy((pixels - mean) / std).reshape(-1, 3).matmul(MIX).mean(dim=0)
    with safe_open("classifier/classifier.safetensors", framework="pt") as file:
        head = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dictionary)
    hidden = (head["first.weight"] @ ((pooled - head["mean"]) / head["scale"]) + head["first.bias"]).relu()
    return float(head["last.weight"] @ hidden + head["last.bias"])


def test_new_images_get_probabilities_and_folders_their_means(world: Path):
    done = run("classify", "new", "--classifier", "classifier", "--out", "said.csv", "--json")

    assert done.code == 0, done.err
    found = json.loads(done.out)
    with Path("said.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == [f"{'a' if i < 3 else 'b' if i < 8 else 'c'}/{i}.png" for i in range(10)]
    line = found["calibration"]
    for row in rows:
        assert float(row["log_odds"]) == pytest.approx(by_hand(Path("new", row["path"])), abs=1e-3)
        odds = line["slope"] * float(row["log_odds"]) + line["offset"]
        assert float(row["probability"]) == pytest.approx(1 / (1 + np.exp(-odds)), abs=1e-4)
    a, b, c = found["groups"]
    assert [(g["name"], g["n_images"], g["above_half"]) for g in (a, b, c)] == [("a", 3, 1), ("b", 5, 0), ("c", 2, 0)]
    mean = np.mean([float(row["probability"]) for row in rows if row["folder"] == "b"])
    assert b["probability"] == pytest.approx(mean, abs=1e-5)
    assert a["low"] <= a["probability"] <= a["high"]
    assert (found["all"]["n_images"], found["all"]["above_half"]) == (10, pytest.approx(0.3))
    assert line["n"] == 9


def test_images_in_a_zip_get_the_lines_of_those_in_its_folder(world: Path):
    with zipfile.ZipFile("new.zip", "w") as archive:
        for file in sorted(Path("new").rglob("*.png")):
            archive.write(file)

    for source, out in (("new", "folder.csv"), ("new.zip", "zip.csv")):
        assert run("classify", source, "--classifier", "classifier", "--out", out).code == 0

    assert Path("zip.csv").read_text() == Path("folder.csv").read_text()


def test_a_column_of_a_table_says_which_images_belong_together(world: Path):
    Path("made.csv").write_text("path,generator\na/0.png,one\nb/3.png,two\nb/4.png,one\n")

    done = run(
        "classify", "new", "--classifier", "classifier", "--out", "said.csv", "--table", "made.csv", "--by", "generator"
    )

    assert done.code == 0
    lines = [line.split() for line in done.out.splitlines()]
    assert [line[:3] for line in lines[-5:-2]] == [["one", "2", "2"], ["two", "1", "1"], ["all", "3", "3"]]
    assert Path("said.csv").read_text().splitlines()[0] == "path,probability,log_odds,generator"
    assert [line.rsplit(",", 1)[1] for line in Path("said.csv").read_text().splitlines()[1:]] == ["one", "two", "one"]


def test_what_cannot_be_used_is_one_line(world: Path):
    Path("made.csv").write_text("path,generator\na/0.png,one\n")
    asked = ("classify", "new", "--out", "said.csv", "--classifier")

    says(run(*asked, "classifier", "--by", "x"), "--by: names a column of --table; give both or neither")
    says(
        run(*asked, "classifier", "--table", "made.csv", "--by", "x"),
        "made.csv: has no column 'x'; it has path, generator",
    )
    says(
        run(*asked, "none"),
        "none/classifier.json: no such file; give a folder that `autointerp train classifier` wrote",
    )
    Path("said.csv").write_text("mine")
    says(run(*asked, "classifier"), "--out said.csv: exists already; give another file")
    Path("said.csv").unlink()
    Path("classifier/predictions.csv").unlink()
    lost = run(*asked, "classifier")
    assert (lost.code, Path("said.csv").exists()) == (2, False)
    assert "classifier/predictions.csv: cannot be read (" in lost.err
