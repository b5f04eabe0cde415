"""Tars and zips: what is in them, what is refused, and files that are cut off."""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from populations.forms import member, shards, tarred, tree, zipped

from autointerp.errors import ImageError, SettingsError
from autointerp.images import content, manifest
from autointerp.images.manifest import Manifest
from autointerp.populations import members, zips
from autointerp.populations.images import read_population
from autointerp.populations.opening import open_population


def tar(path: Path, *infos: tarfile.TarInfo, mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for info in infos:
            archive.addfile(info, io.BytesIO(bytes(info.size)))
    return path


def info(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.size, made.linkname = kind, size, "/etc/passwd" if kind != tarfile.REGTYPE else ""
    return made


def zip_link(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        made = zipfile.ZipInfo("a.png")
        made.external_attr = 0o120777 << 16
        archive.writestr(made, "/etc/passwd")
    return path


def zip_of(path: Path, name: str, size: int = 1) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, bytes(size))
    return path


HOSTILE: list[tuple[Callable[[Path], Path], str]] = [
    (lambda here: tar(here / "a.tar", info("/etc/a.png", size=1)), "member '/etc/a.png': it is absolute"),
    (lambda here: tar(here / "a.tar", info("b/../../a.png", size=1)), "it leads out of its folder"),
    (lambda here: tar(here / "a.tar", info("a.png", tarfile.SYMTYPE)), "member 'a.png': it is a link"),
    (lambda here: tar(here / "a.tar", info("a.png", tarfile.LNKTYPE)), "member 'a.png': it is a link"),
    (lambda here: tar(here / "a.tar", info("a.png", tarfile.CHRTYPE)), "member 'a.png': it is a device"),
    (lambda here: tar(here / "a.tar", info("a.png", tarfile.FIFOTYPE)), "member 'a.png': it is a pipe"),
    (lambda here: zip_of(here / "a.zip", "/etc/a.png"), "member '/etc/a.png': it is absolute"),
    (lambda here: zip_of(here / "a.zip", "../a.png"), "it leads out of its folder"),
    (lambda here: zip_of(here / "a.zip", "C:/a.png"), "member 'C:/a.png': it is absolute"),
    (lambda here: zip_link(here / "a.zip"), "member 'a.png': it is a link"),
    (lambda here: zip_of(here / "a.zip", "a.png", 5000), "it is 0 MB unpacked, and no image is over 0 MB"),
    (lambda here: tar(here / "a.tar", info("a.png", size=5000)), "it is 0 MB unpacked, and no image is over 0 MB"),
]


@pytest.mark.parametrize(("make", "problem"), HOSTILE)
def test_an_archive_with_a_hostile_member_is_refused_in_one_line(
    make: Callable[[Path], Path], problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(members, "MOST", 4096)
    made = make(tmp_path)

    with pytest.raises(SettingsError) as error:
        open_population(made)

    assert str(error.value).startswith(f"{made}: member ")
    assert problem in str(error.value)
    assert str(error.value).endswith("; pack plain files with plain names")


def test_a_member_that_unpacks_to_more_than_it_says_is_read_no_further(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (entry,) = open_population(zip_of(tmp_path / "a.zip", "a.png", 5000)).entries
    monkeypatch.setattr(content, "MOST", 4096)
    monkeypatch.setattr(zips, "MOST_BYTES", 4096)

    with pytest.raises(ImageError, match=r"a.zip: a.png: is larger than 0 MB, which no image is; leave it out"):
        entry.read()


def test_one_name_twice_is_refused(tmp_path: Path):
    made = tar(tmp_path / "a.tar", info("x/a.png", size=1), info("./x/a.png", size=1))

    with pytest.raises(SettingsError, match=r"a.tar: holds 'x/a.a.png' twice; give each image a name of its own"):
        open_population(made)


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_an_archive_that_is_cut_off_is_one_line(kind: str, tmp_path: Path):
    pack = {"tar": tarred, "zip": zipped}[kind]
    made = pack(tmp_path / f"a.{kind}", tree(tmp_path / "images"), tmp_path / "images")
    made.write_bytes(made.read_bytes()[: made.stat().st_size * 2 // 3])

    with pytest.raises(SettingsError, match=rf"a.{kind}: not a whole {kind}: "):
        open_population(made)


def test_a_broken_member_is_left_out_and_named_and_the_others_stay(tmp_path: Path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        files = tree(tmp_path / "images")
        member(archive, "a.png", files[1].read_bytes())
        member(archive, "b.png", b"no image")
        member(archive, "c.txt", b"words")
        member(archive, "notes.md", b"words")

    found = read_population(tmp_path / "a.tar")

    assert [image.name for image in found.images] == ["a.png"]
    assert [(one.why.split(",")[0], one.count) for one in found.left_out] == [
        ("images that cannot be read", 1),
        (".md files", 1),
    ]
    assert found.broken[0].startswith(f"{tmp_path / 'a.tar'}: b.png: not an image that can be read")


def test_a_zip_with_the_slashes_of_windows_has_folders(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for file in tree(tmp_path / "images")[:2]:
            made = zipfile.ZipInfo("x")
            made.filename = f"blue\\{file.name}"
            archive.writestr(made, file.read_bytes())

    found = read_population(tmp_path / "a.zip")

    assert [(image.name, image.label) for image in found.images] == [("blue/00.jpg", "blue"), ("blue/01.png", "blue")]


def test_a_tar_without_members_holds_no_images(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"a\.tar: holds no images$"):
        read_population(tar(tmp_path / "a.tar"))


def test_a_compressed_tar_says_what_unpacks_it(tmp_path: Path):
    made = tmp_path / "a.tar.gz"
    made.write_bytes(gzip.compress(tar(tmp_path / "a.tar", info("a.png", size=1)).read_bytes()))

    with pytest.raises(SettingsError, match=r"a.tar.gz: is compressed, .*; run gunzip on it first"):
        open_population(made)


def test_shards_that_number_from_0_are_told_apart_by_their_names(tmp_path: Path):
    made = shards(tmp_path / "shards", tree(tmp_path / "images"))

    names = [entry.name for entry in open_population(str(made / "train-*.tar")).entries]

    assert names[:2] == ["train-000000.0000.jpg", "train-000000.0001.png"]
    assert len(set(names)) == 12
    assert len(open_population(str(made / "train-{000000,000002}.tar")).entries) == 7
    with pytest.raises(SettingsError, match=r"test-\*.tar: no file is named like that"):
        open_population(str(made / "test-*.tar"))


def test_an_archive_that_was_read_is_not_decoded_again_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    import os

    made = zipped(tmp_path / "a.zip", tree(tmp_path / "images"), tmp_path / "images")
    os.utime(made, ns=(0, 0))
    first = read_population(made, manifest=Manifest(tmp_path / "cache"))
    monkeypatch.setattr(manifest, "look_of", None)

    second = read_population(made, manifest=Manifest(tmp_path / "cache"))

    assert [i.sha256 for i in second.images] == [i.sha256 for i in first.images]
    os.utime(made, ns=(10**9, 10**9))
    with pytest.raises(TypeError):
        read_population(made, manifest=Manifest(tmp_path / "cache"))


def test_a_table_names_members_by_their_path_with_or_without_the_folder_that_was_packed(tmp_path: Path):
    files = tree(tmp_path / "images")
    made = zipped(tmp_path / "a.zip", files, tmp_path / "images")
    labels = tmp_path / "t.csv"
    labels.write_text("path,label\nimages/blue/01.png,1\nplausible/08.png,0\n")

    found = open_population(made, labels=labels)

    assert [(e.name, e.attribute) for e in found.entries] == [("blue/01.png", True), ("plausible/08.png", False)]
    assert [(one.why, one.count) for one in found.others] == [
        ("hidden files", 12),
        ("images that the labels do not list", 10),
    ]
    labels.write_text("path,label\nblue/99.png,1\n")
    with pytest.raises(SettingsError, match=r"t.csv: row 1: path 'blue/99.png': .*a.zip holds no such image"):
        open_population(made, labels=labels)
