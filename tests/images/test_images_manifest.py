"""What was seen of an image file is remembered until the file changes, and nothing else is trusted."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from PIL import Image

from autointerp.images import manifest
from autointerp.images.decode import Decoded, decoding
from autointerp.images.manifest import FILE, Manifest, Seen, seen_files

LONG_AGO = 1_500_000_000
Counted = Callable[[], list[str]]


def put(folder: Path, name: str, seed: int, *, time: float = LONG_AGO) -> Path:
    """An uncompressed picture of noise, so that all have one size."""
    folder.mkdir(exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (30, 40, 3), dtype=np.uint8)).save(folder / name)
    os.utime(folder / name, (time, time))
    return folder / name


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [put(tmp_path / "images", f"{i}.bmp", i) for i in range(5)]


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Counted:
    """Tells the names of the files that were decoded since it was last asked, in order."""
    names: list[str] = []

    @contextmanager
    def telling(file: Path, *, at_most: int) -> Iterator[Decoded]:
        names.append(file.name)
        with decoding(file, at_most=at_most) as found:
            yield found

    def asked() -> list[str]:
        out = sorted(names)
        names.clear()
        return out

    monkeypatch.setattr(manifest, "decoding", telling)
    return asked


def test_a_file_that_is_as_it_was_is_not_decoded_again(files: list[Path], tmp_path: Path, decoded: Counted):
    plain = list(seen_files(files))
    decoded()

    first = list(seen_files(files[:3], Manifest(tmp_path)))
    assert decoded() == ["0.bmp", "1.bmp", "2.bmp"]
    second = list(seen_files(files, Manifest(tmp_path)))
    assert decoded() == ["3.bmp", "4.bmp"]
    third = list(seen_files(files, Manifest(tmp_path)))

    assert decoded() == []
    assert first == plain[:3]
    assert second == third == plain


def test_a_path_may_be_written_in_another_way(
    files: list[Path], tmp_path: Path, decoded: Counted, monkeypatch: pytest.MonkeyPatch
):
    list(seen_files(files, Manifest(tmp_path)))
    decoded()
    monkeypatch.chdir(tmp_path)

    found = list(seen_files([Path("images/../images/2.bmp")], Manifest(tmp_path)))

    assert decoded() == []
    assert found == list(seen_files(files[2:3]))


@pytest.mark.parametrize("changed", ["size", "time"])
def test_a_file_of_another_size_or_time_is_looked_at_again(
    files: list[Path], tmp_path: Path, decoded: Counted, changed: str
):
    list(seen_files(files, Manifest(tmp_path)))
    decoded()
    if changed == "size":
        Image.new("RGB", (8, 8), "red").save(files[1])
        os.utime(files[1], (LONG_AGO, LONG_AGO))
    else:
        put(tmp_path / "images", "1.bmp", 9, time=LONG_AGO + 1)

    found = list(seen_files(files, Manifest(tmp_path)))

    assert decoded() == ["1.bmp"]
    assert found == list(seen_files(files))
    decoded()
    list(seen_files(files, Manifest(tmp_path)))
    assert decoded() == []


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE images SET width = width + 1",
        "UPDATE images SET sha256 = 'abc'",
        "UPDATE images SET thumb = NULL",
        "UPDATE images SET hash = 'text'",
        "UPDATE images SET seal = 7",
        "DROP TABLE images",
        "CREATE TABLE others (x); DROP TABLE images; CREATE TABLE images (path)",
    ],
)
def test_damaged_rows_are_made_again(files: list[Path], tmp_path: Path, decoded: Counted, damage: str):
    plain = list(seen_files(files, Manifest(tmp_path)))
    with closing(sqlite3.connect(tmp_path / FILE)) as file:
        file.executescript(damage)
    decoded()

    assert list(seen_files(files, Manifest(tmp_path))) == plain
    assert len(decoded()) == 5
    assert list(seen_files(files, Manifest(tmp_path))) == plain
    assert decoded() == []


@pytest.mark.parametrize("content", [b"no database", b"SQLite format 3\0" + bytes(5000), None])
def test_a_file_that_is_no_database_is_made_again(
    files: list[Path], tmp_path: Path, decoded: Counted, content: bytes | None
):
    plain = list(seen_files(files, Manifest(tmp_path)))
    whole = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(whole[: len(whole) // 2] if content is None else content)

    assert list(seen_files(files, Manifest(tmp_path))) == plain
    decoded()
    assert list(seen_files(files, Manifest(tmp_path))) == plain
    assert decoded() == []


def test_what_another_version_made_is_made_again(
    files: list[Path], tmp_path: Path, decoded: Counted, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as patch:
        patch.setattr(manifest, "MADE_BY", "0 pillow 1.0")
        list(seen_files(files, Manifest(tmp_path)))
    decoded()

    list(seen_files(files, Manifest(tmp_path)))

    assert len(decoded()) == 5


def test_a_file_that_was_only_just_written_is_not_remembered(tmp_path: Path, decoded: Counted):
    new = put(tmp_path / "images", "new.bmp", 1, time=time.time() + 3600)

    list(seen_files([new], Manifest(tmp_path)))
    list(seen_files([new], Manifest(tmp_path)))

    assert decoded() == ["new.bmp", "new.bmp"]


def test_a_file_that_changes_while_it_is_seen_is_not_remembered(
    files: list[Path], tmp_path: Path, decoded: Counted, monkeypatch: pytest.MonkeyPatch
):
    real = manifest.digest_of

    def changing(file: Path) -> str:
        found = real(file)
        if file.name == "1.bmp":
            os.utime(file, (LONG_AGO + 5, LONG_AGO + 5))
        return found

    with monkeypatch.context() as patch:
        patch.setattr(manifest, "digest_of", changing)
        list(seen_files(files, Manifest(tmp_path)))
    decoded()

    list(seen_files(files, Manifest(tmp_path)))

    assert decoded() == ["1.bmp"]


def test_broken_and_missing_files_are_said_each_time(tmp_path: Path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    os.utime(broken, (LONG_AGO, LONG_AGO))

    both = [list(seen_files([broken, tmp_path / "gone.png"], Manifest(tmp_path))) for _ in range(2)]

    assert both[0] == both[1] == list(seen_files([broken, tmp_path / "gone.png"]))
    assert all(isinstance(one, str) for one in both[0])


def test_where_nothing_can_be_remembered_images_are_seen_all_the_same(files: list[Path], tmp_path: Path):
    (tmp_path / "file").write_text("not a folder")

    assert list(seen_files(files, Manifest(tmp_path / "file"))) == list(seen_files(files))


def test_several_at_once_see_the_same_and_remember_all(files: list[Path], tmp_path: Path, decoded: Counted):
    plain = list(seen_files(files))
    found: list[list[Seen | str]] = []
    several = [Thread(target=lambda: found.append(list(seen_files(files, Manifest(tmp_path))))) for _ in range(4)]

    for one in several:
        one.start()
    for one in several:
        one.join()

    assert found == [plain] * 4
    decoded()
    list(seen_files(files, Manifest(tmp_path)))
    assert decoded() == []
