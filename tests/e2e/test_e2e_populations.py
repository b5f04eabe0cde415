"""`autointerp harvest` on every form of population: the dump is that of the plain folder of the same images."""

from pathlib import Path

import pytest
import torch
from populations.forms import FORMS, WORDS, N, tree
from standin.commands import run
from test_e2e_harvest import FEW, coder, load

import autointerp
from autointerp.dump.reader import open_dump

FILES = ("images.parquet", "features.parquet", "exemplars.parquet", "pool.parquet")
OPTIONS = {"top": 3, "bands": 2, "per_band": 2, "reservoir": 4, "silent": 6, "guided": 2, "store": "bytes"}


@pytest.fixture(autouse=True)
def seeing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autointerp.transcoder.harvest.network.load_backbone", load)


@pytest.fixture
def files(here: Path) -> list[Path]:
    torch.set_num_threads(1)
    coder(Path("mine"), (8, 32))
    return tree(Path("images"))


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_dump_of_the_plain_folder(form: str, files: list[Path]) -> None:
    made = FORMS[form](Path(), files, Path("images"))
    # Class names say nothing of an attribute by themselves.
    about = {"attribute": "label=implausible"} if form in WORDS else {}

    autointerp.harvest("images", "plain", coder="mine", **about, **OPTIONS)
    autointerp.harvest(made, "other", coder="mine", **about, **OPTIONS)

    with open_dump("plain") as plain:
        assert plain.info.n_images == N
        assert {row.label for row in plain.image_table.rows(range(N))} == {"blue", "implausible", "plausible"}
    for name in FILES:
        assert Path("other", name).read_bytes() == Path("plain", name).read_bytes(), name


def test_what_no_file_holds_alone_is_stored_by_its_bytes_though_paths_are_the_rule(files: list[Path]) -> None:
    made = FORMS["zip"](Path(), files, Path("images"))

    done = run("harvest", str(made), "dump", *FEW, "--coder", "mine")

    assert done.code == 0
    assert "images.zip: no file holds an image of it alone, so the dump holds the bytes of those it uses" in done.err
    assert f"left out: hidden files: {N} (e.g. images.zip: __MACOSX/images/._00.jpg)" in done.out
    with open_dump("dump") as dump:
        assert isinstance(dump.image_source(0), bytes)


def test_a_dump_keeps_what_the_labels_say_of_each_image(files: list[Path]) -> None:
    lines = [f"{file.relative_to('images')},{file.parent.name},p{i % 5}" for i, file in enumerate(files[:10])]
    Path("t.csv").write_text("\n".join(("path,kind,prompt", *lines)) + "\n")
    about = ("--labels", "t.csv", "--label-column", "kind", "--attribute", "kind=blue", "--group-column", "prompt")

    done = run("harvest", "images", "dump", *FEW, "--coder", "mine", *about)

    assert done.code == 0
    assert "left out: images that the labels do not list: 2 (e.g. images/plausible/10.png)" in done.out
    with open_dump("dump", allow_outside=True) as dump:
        rows = dump.images_table().select(["label", "attribute", "source", "group"]).to_pylist()
        assert [row["label"] for row in rows] == [file.parent.name for file in files[:10]]
        assert [row["attribute"] for row in rows] == [True] * 4 + [False] * 6
        assert [row["source"] for row in rows] == [f"p{i % 5}" for i in range(10)]
        assert [row["group"] for row in rows[:5]] == [row["group"] for row in rows[5:]]
        assert dump.info.attribute is not None
        assert dump.info.attribute.name == "kind=blue"


def test_images_without_a_label_are_told(files: list[Path]) -> None:
    Path("t.csv").write_text(
        "path,label\n" + "\n".join(f"{f.relative_to('images')},{'' if i % 4 else 1}" for i, f in enumerate(files))
    )

    done = run("harvest", "images", "dump", *FEW, "--coder", "mine", "--labels", "t.csv")

    assert "images without a label: 9 of 12 (e.g. blue/01.png)" in done.err
