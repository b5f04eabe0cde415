"""The examples of docs/files.md are read as the page says."""

import re
from pathlib import Path

import pytest
from PIL import Image
from standin.pages import ROOT

import autointerp
from autointerp.generators.sets import from_manifest
from autointerp.generators.verdicts import read_verdicts
from autointerp.images.manifest import Manifest
from autointerp.lmm.prices import read_prices
from autointerp.populations.opening import open_population
from autointerp.runs.descriptions import open_foreign

TEXT = (ROOT / "docs" / "files.md").read_text()
EXAMPLE = re.compile(r"<!-- file: (\S+) -->\n\n```\w+\n(.*?)```", re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with every example of the page, and the three images that they name."""
    for name, text in EXAMPLE.findall(TEXT):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    for feature in ("12", "13"):
        for shade, name in enumerate(("a.png", "b.png", "c.png")):
            Image.effect_noise((64, 64), 40 + 60 * shade).save(tmp_path / "src" / feature / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_example_of_the_page_is_a_file_that_a_test_reads():
    assert {name for name, _ in EXAMPLE.findall(TEXT)} == {
        *("src/12/activations.csv", "src/13/metadata.txt", "list.csv", "labels.csv"),
        *("explanations.csv", "layers.csv", "explanations.jsonl", "manifest.csv", "to-judge.csv", "prices.toml"),
    }


def test_activations_and_metadata(folder: Path):
    autointerp.import_folder(folder / "src", folder / "dump")

    with autointerp.open_dump(folder / "dump") as dump:
        listed = {n: [(e.activation, e.stratum, e.probability) for e in dump.feature(n).exemplars] for n in (12, 13)}
    assert sorted(listed[12]) == [(0.0, "silent", 0.01), (2.25, "q1", 0.1), (9.5, "top", 1.0)]
    assert sorted(listed[13]) == [(6.0, "top", 1.0), (7.5, "top", 1.0), (12.25, "top", 1.0)]


def test_a_list_of_images_with_classes(folder: Path):
    entries = open_population(folder / "list.csv").entries

    assert [(e.path.name if e.path else "", e.label, e.source) for e in entries] == [
        ("a.png", "zebra", "photograph 1"),
        ("b.png", "lion", "photograph 2"),
    ]


def test_labels_of_an_attribute(folder: Path):
    entries = open_population(folder / "src" / "12", labels=folder / "labels.csv").entries

    assert [(e.name, e.attribute, e.source) for e in entries] == [
        ("a.png", True, "photograph 1"),
        ("b.png", False, "photograph 2"),
        ("c.png", None, "photograph 2"),
    ]


@pytest.mark.parametrize("name", ["explanations.csv", "explanations.jsonl"])
def test_explanations(folder: Path, name: str):
    read = open_foreign(folder / name, layer=None, n_latents=20).descriptions

    assert [(d.feature, d.text) for d in read] == [(12, "stripes of a zebra"), (13, "round things, such as wheels")]


def test_explanations_of_layers(folder: Path):
    (read,) = open_foreign(folder / "layers.csv", layer="layer4", n_latents=20).descriptions

    assert (read.feature, read.text) == (12, "stripes")


def test_a_manifest_of_generators(folder: Path):
    sets = from_manifest(folder / "manifest.csv", manifest=Manifest(folder / "cache"), progress=lambda *_: None)

    assert [(s.name, s.prompts, s.seeds) for s in sets] == [("alpha", ("a cat",), ("1",)), ("beta", ("a cat",), ("1",))]


def test_verdicts(folder: Path):
    assert list(read_verdicts(folder / "to-judge.csv", ["extra-fingers"]).values()) == [1.0]


def test_prices(folder: Path):
    assert list(read_prices(folder / "prices.toml")) == ["my-model-7"]
