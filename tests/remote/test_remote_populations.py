"""Populations in stores of objects: folders, lists, tars, zips and Parquet at a URL."""

from collections.abc import Callable
from pathlib import Path

import pytest
from populations.forms import hub_folder, shards, tarred, tree, zipped
from remote.stores import WebFolder, upload

from autointerp.errors import SettingsError
from autointerp.images import manifest
from autointerp.images.manifest import Manifest
from autointerp.populations.images import read_population
from autointerp.populations.opening import open_population


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return tree(tmp_path / "up" / "images")


def contents(source: str) -> list[bytes]:
    return [entry.read() for entry in open_population(source).entries]


PACKS: dict[str, Callable[[Path, list[Path], Path], object]] = {
    "a.tar": lambda up, files, root: tarred(up / "a.tar", files, root),
    "a.zip": lambda up, files, root: zipped(up / "a.zip", files, root),
    "shards/train-{000000..000002}.tar": lambda up, files, root: shards(up / "shards", files),
    "shards/*.tar": lambda up, files, root: shards(up / "shards", files),
    "shards": lambda up, files, root: shards(up / "shards", files),
    "hub": lambda up, files, root: hub_folder(up / "hub", files),
    "hub/data/*.parquet": lambda up, files, root: hub_folder(up / "hub", files),
    "images": lambda up, files, root: None,
}


@pytest.mark.parametrize("name", PACKS)
@pytest.mark.parametrize("store", ["memory", "s3"])
def test_a_population_at_a_url_holds_what_it_holds_here(
    name: str, store: str, files: list[Path], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url: str = request.getfixturevalue(store)
    PACKS[name](tmp_path / "up", files, tmp_path / "up" / "images")
    upload(tmp_path / "up", url)

    assert contents(f"{url}/{name}") == [file.read_bytes() for file in files]
    assert open_population(f"{url}/{name}").root == f"{url}/{name}"


def test_names_and_labels_of_a_folder_at_a_url_are_those_of_the_folder(
    memory: str, files: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "up" / "images" / "notes.md").write_text("words")
    upload(tmp_path / "up", memory)

    here, there = open_population(tmp_path / "up" / "images"), open_population(f"{memory}/images")

    told = [[(e.name, e.label, e.attribute) for e in one.entries] for one in (here, there)]
    assert told[0] == told[1]
    assert [(one.why, one.count) for one in there.others] == [(one.why, one.count) for one in here.others]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_list_and_archives_on_a_web_server(ranges: bool, files: list[Path], tmp_path: Path) -> None:
    up = tmp_path / "up"
    tarred(up / "a.tar", files, up / "images")
    names = "\n".join(f"images/{file.relative_to(up / 'images')}" for file in files)
    (up / "list.csv").write_text(f"path\n{names}\n")
    with WebFolder(up, ranges=ranges) as server:
        (tmp_path / "urls.csv").write_text(f"path,label\n{server.url}/images/blue/00.jpg,1\n")

        assert contents(f"{server.url}/list.csv") == [file.read_bytes() for file in files]
        assert contents(f"{server.url}/a.tar") == [file.read_bytes() for file in files]
        assert contents(str(tmp_path / "urls.csv")) == [files[0].read_bytes()]
        with pytest.raises(SettingsError, match="a web server does not list its files; give a list of URLs"):
            open_population(f"{server.url}/images/")


def test_an_object_that_was_read_is_not_decoded_again(
    s3: str, files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(tmp_path / "up", s3)
    monkeypatch.setattr(manifest, "SETTLED", -(10**12))
    first = read_population(f"{s3}/images", manifest=Manifest(tmp_path / "cache"))
    monkeypatch.setattr(manifest, "look_of", None)

    second = read_population(f"{s3}/images", manifest=Manifest(tmp_path / "cache"))

    assert [i.sha256 for i in second.images] == [i.sha256 for i in first.images]


@pytest.mark.parametrize("store", ["memory", "s3"])
def test_a_folder_may_be_called_after_a_version_and_a_file_may_have_no_suffix(
    store: str, files: list[Path], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url: str = request.getfixturevalue(store)
    tarred(tmp_path / "up" / "packed", files, tmp_path / "up" / "images")
    (tmp_path / "up" / "images").rename(tmp_path / "up" / "images-v1.0")
    upload(tmp_path / "up", url)

    assert len(open_population(f"{url}/images-v1.0").entries) == 12
    assert len(open_population(f"{url}/packed").entries) == 12


def test_a_folder_at_a_url_that_is_not_there_is_one_line(memory: str) -> None:
    with pytest.raises(SettingsError, match="memory://shelf/none: no such folder; give one with images"):
        open_population(f"{memory}/none")
