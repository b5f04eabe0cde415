"""`autointerp train classifier`: pictures in folders to a head with its figures, by a backbone that sees colours."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from standin.commands import run, says
from torch import Tensor, nn

from autointerp.errors import SettingsError
from autointerp.transcoder.backbones.module import ModuleBackbone
from autointerp.transcoder.backbones.preparation import Preparation
from autointerp.transcoder.backbones.taps import Tap
from autointerp.transcoder.classifier import load_classifier


class Means(nn.Module):
    """Means of a 4 x 4 picture's colours; counts the pictures it saw."""

    seen = 0

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Identity()

    def forward(self, batch: Tensor) -> Tensor:
        Means.seen += len(batch)
        return self.patches(batch).mean(dim=(2, 3))


def load(name: str, *, seed: int = 0, device: str = "cpu") -> ModuleBackbone:
    """Stands in for the registry, which would need a package with weights."""
    if name != "means":
        raise SettingsError(f"--backbone {name!r}: there is means")
    taps = {"blocks.0.resid": Tap("patches", "output"), "pooled": Tap("", "output", "pooled")}
    return ModuleBackbone(name, Means(), Preparation(4), taps=taps, side=4, patch_grid=(4, 4))


@pytest.fixture(autouse=True)
def seeing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autointerp.transcoder.backbones.registry.load_backbone", load)


@pytest.fixture
def images(here: Path) -> Path:
    """60 pictures of noise around red (implausible) or blue, 20 of them red."""
    chance = np.random.default_rng(0)
    for i in range(60):
        red = i % 3 == 0
        pixels = chance.integers(0, 100, (16, 16, 3))
        pixels[..., 0 if red else 2] += 120
        path = here / "images" / ("implausible" if red else "plausible") / f"{i:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(path)
    return Path("images")


USUAL = ("--out", "out", "--backbone", "means", "--epochs", "100", "--rate", "0.02")


def test_a_classifier_is_trained_measured_and_stored(images: Path):
    (images / "broken.png").write_bytes(b"x")
    Image.new("RGB", (8, 8)).save(images / "unlabelled.png")

    result = run("train", "classifier", images, *USUAL)

    assert result.code == 0
    assert (
        f"passed over: {images}/broken.png: not an image that can be read "
        + ("(PNG, JPEG, WEBP, GIF, BMP, TIFF, PPM, AVIF, JPEG2000 and others); convert it\n")
        in result.err
    )
    lines = result.out.splitlines()
    assert [line.split() for line in lines[1:4]] == [
        ["training", "42", "14", "42"],
        ["validation", "9", "3", "9"],
        ["test", "9", "3", "9"],
    ]
    assert lines[5].split() == ["AUROC", "1.000", "0.500"]
    assert lines[11] == "left out: 1 images without a label, 1 files that cannot be read"
    assert lines[12].startswith("mlp on means pooled, epoch ")
    _, info = load_classifier(Path("out"))
    assert (info.test_quality.auroc, info.n_broken, info.n_unlabelled) == (1.0, 1, 1)


def test_predictions_list_every_labelled_image_with_its_part(images: Path):
    run("train", "classifier", images, *USUAL)

    with Path("out/predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))

    assert len(rows) == 60
    assert [sum(r["part"] == p for r in rows) for p in ("train", "validation", "test")] == [42, 9, 9]
    red = [float(r["log_odds"]) for r in rows if r["path"].startswith("implausible/")]
    blue = [float(r["log_odds"]) for r in rows if r["path"].startswith("plausible/")]
    assert (len(red), len(blue)) == (20, 40)
    assert min(red) > max(blue)


def test_json_holds_the_record(images: Path):
    result = run("train", "classifier", images, *USUAL, "--head", "linear", "--json")

    told = json.loads(result.out)
    assert (told["settings"]["head"], told["hookpoint"]) == ("linear", "blocks.0.resid")
    assert told["test_quality"]["auroc"] == 1.0
    assert told["constant_quality"]["brier"] == pytest.approx(2 / 9, abs=0.01)
    stored = json.loads(Path("out/classifier.json").read_text())
    assert {k: told[k] for k in stored} == stored


def test_the_same_command_twice_gives_the_same_weights(images: Path):
    run("train", "classifier", images, *USUAL)
    run("train", "classifier", images, *USUAL, "--out", "again")

    one, again = (Path(name, "classifier.safetensors").read_bytes() for name in ("out", "again"))
    assert one == again


def test_images_go_through_the_backbone_once(images: Path):
    Means.seen = 0

    run("train", "classifier", images, *USUAL, "--features", "kept")
    run("train", "classifier", images, *USUAL, "--features", "kept", "--out", "other", "--seed", "1")

    parts = [
        [line.split(",")[1] for line in Path(d, "predictions.csv").read_text().splitlines()] for d in ("out", "other")
    ]
    assert parts[0] != parts[1]
    # One more picture each time finds out the widths of the hookpoints.
    assert Means.seen == 60 + 2


def test_a_csv_can_label_and_group(images: Path, here: Path):
    names = [p.relative_to(images).as_posix() for p in sorted(images.rglob("*.png"))]
    rows = [f"{name},{int(name.startswith('i'))},g{i // 2}" for i, name in enumerate(names)]
    Path("t.csv").write_text("\n".join(["path,label,group", *rows]))

    result = run("train", "classifier", images, *USUAL, "--labels", "t.csv")

    assert result.code == 0
    with Path("out/predictions.csv").open(newline="") as file:
        parts = [r["part"] for r in csv.DictReader(file)]
    assert all(parts[i] == parts[i + 1] for i in range(0, 60, 2))


BAD = [
    (("--backbone", "nope"), "--backbone 'nope': there is means"),
    (("--hookpoint", "x"), "hookpoint 'x': means has none of that name; it has blocks.0.resid, pooled"),
    (("--head", "tree"), "--head 'tree': input should be 'mlp' or 'linear'"),
    (("--rate", "0"), "--rate 0.0: input should be greater than 0"),
    (("--validation-share", "0.5"), "--validation-share 0.5: input should be less than 0.5"),
    (("--labels", "t.csv"), "--labels t.csv: no such file"),
    (("--error-folders", "x"), "--error-folders x: images has no folder of that name with images in it"),
    (
        ("--error-folders", "plausible", "--error-folders", "implausible"),
        "no image without (label 0) among 60 labelled ones; both labels are needed",
    ),
    (("--features", "file"), "file/"),
]


@pytest.mark.parametrize(("options", "line"), BAD, ids=lambda v: " ".join(v) if isinstance(v, tuple) else "")
def test_bad_input_is_one_line_and_leaves_no_classifier(options: tuple[str, ...], line: str, images: Path):
    Path("file").touch()

    result = run("train", "classifier", images, *USUAL, *options)

    # What was read before may be told of, in lines of its own.
    assert (result.code, result.out) == (2, "")
    assert result.err.splitlines()[-1].startswith(f"autointerp: {line}")
    assert not Path("out/classifier.json").exists()


def test_no_label_at_all_is_one_line(here: Path):
    Path("images").mkdir()
    Image.new("RGB", (8, 8)).save("images/a.png")

    result = run("train", "classifier", "images", *USUAL)

    assert (result.code, result.out) == (2, "")
    assert result.err.splitlines()[-1] == (
        "autointerp: images: none of its 1 images has a label; put them into folders named plausible and implausible, "
        "name folders with --error-folders, or give --labels FILE.csv"
    )


def test_a_folder_that_holds_a_classifier_is_left_alone(images: Path):
    run("train", "classifier", images, *USUAL)
    before = Path("out/classifier.json").read_bytes()

    says(run("train", "classifier", images, *USUAL), "out: holds a classifier already; give another folder")

    assert Path("out/classifier.json").read_bytes() == before
