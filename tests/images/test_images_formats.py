"""What is decoded and what a folder's files are taken for come from one list."""

from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from autointerp.images.decode import decode
from autointerp.images.formats import FORMATS, SUFFIXES, left_out, why_no_image

KINDS = {
    "a.png": "PNG",
    "b.JPG": "JPEG",
    "c.jpe": "JPEG",
    "d.Webp": "WEBP",
    "e.gif": "GIF",
    "f.BMP": "BMP",
    "g.tif": "TIFF",
    "h.tiff": "TIFF",
    "i.pgm": "PPM",
    "j.avif": "AVIF",
    "k.jp2": "JPEG2000",
    "l.mpo": "MPO",
    "m.dib": "DIB",
    "n.dds": "DDS",
    "o.pcx": "PCX",
    "p.rgb": "SGI",
    "q.tga": "TGA",
}


def encoded(kind: str) -> bytes:
    target = BytesIO()
    Image.new("RGB", (16, 12), (200, 40, 40)).save(target, kind)
    return target.getvalue()


@pytest.mark.parametrize(("name", "kind"), KINDS.items())
def test_an_image_of_each_kind_is_taken_and_decoded(name: str, kind: str, tmp_path: Path):
    path = tmp_path / name
    path.write_bytes(encoded(kind))

    assert why_no_image(path) is None
    assert decode(path, at_most=None).size == (16, 12)


def test_every_format_that_is_decoded_has_a_suffix():
    assert {Image.EXTENSION[suffix] for suffix in SUFFIXES} == {*FORMATS, "MPO"}


def test_a_file_whose_name_can_stand_in_no_record_is_left_out(tmp_path: Path):
    path = tmp_path / "caf\udce9.png"
    path.write_bytes(encoded("PNG"))

    assert why_no_image(path) == "files whose names are not UTF-8, which have to be renamed"


@pytest.mark.parametrize("name", ["photo.dat", "ILSVRC2012_val_00000001", "x.txt"])
def test_a_name_that_says_nothing_is_no_matter_where_the_content_does(name: str, tmp_path: Path):
    path = tmp_path / name
    path.write_bytes(encoded("JPEG"))

    assert why_no_image(path) is None


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        (".DS_Store", b"\0\0\0\1Bud1", "hidden files"),
        ("._a.png", b"\0\5\26\7", "hidden files"),
        ("Thumbs.db", b"\xd0\xcf\x11\xe0", ".db files, which are not images of a kind that is read"),
        ("desktop.ini", b"[.ShellClassInfo]", ".ini files, which are not images of a kind that is read"),
        ("notes.TXT", b"P1 is the first", ".txt files, which are not images of a kind that is read"),
        ("README", b"read me", "files without a suffix"),
        ("a.png", b"", "empty files"),
    ],
)
def test_what_an_operating_system_or_a_person_leaves_is_no_image(name: str, content: bytes, why: str, tmp_path: Path):
    path = tmp_path / name
    path.write_bytes(content)

    assert why_no_image(path) == why


def test_folders_and_links_that_lead_nowhere_are_no_images(tmp_path: Path):
    (tmp_path / "a.png").mkdir()
    (tmp_path / "b.png").symlink_to(tmp_path / "gone.png")

    assert why_no_image(tmp_path / "a.png") == "folders inside"
    assert why_no_image(tmp_path / "b.png") == "links that lead nowhere or special files"


def test_files_left_out_are_counted_by_kind_with_one_example():
    found = left_out([("empty files", "b"), ("hidden files", "a"), ("empty files", "c\n")])

    assert [str(one) for one in found] == ["empty files: 2 (e.g. b)", "hidden files: 1 (e.g. a)"]
