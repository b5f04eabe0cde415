"""Decoded images on disk: the same to the bit for all processes, within a limit, and never half of one."""

from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from autointerp.images.decode import Plain
from autointerp.images.pixel_file import Key, PixelFile, open_pixels


def plain(seed: int, shrink: int = 1) -> Plain:
    """An image of 6 x 5 pixels, in full `shrink` times as long each way: 120 bytes."""
    pixels = np.random.default_rng(seed).integers(0, 256, (5, 6, 4), np.uint8)
    return Plain(pixels, (6 * shrink, 5 * shrink), shrink)


def key(seed: int, asked: int = 1) -> Key:
    return f"{seed:064x}", asked


def keep(file: PixelFile, *seeds: int) -> None:
    for seed in seeds:
        file.keep(key(seed), plain(seed))
    file.wait()


def is_same(found: Plain | None, kept: Plain) -> bool:
    assert found is not None
    return (found.size, found.shrink) == (kept.size, kept.shrink) and bool((found.image == kept.image).all())


def test_what_one_process_keeps_others_find_at_once_and_later_ones_too(tmp_path: Path) -> None:
    one, other = PixelFile(tmp_path), PixelFile(tmp_path)
    assert other.find(key(1)) is None
    keep(one, 1)
    other.keep(key(2), plain(2, shrink=2))
    other.wait()
    one.keep(key(3, asked=4), plain(3, shrink=2))
    one.wait()
    for file in (one, other, PixelFile(tmp_path)):
        assert is_same(file.find(key(1)), plain(1))
        assert is_same(file.find(key(2)), plain(2, shrink=2))
        assert is_same(file.find(key(3, asked=4)), plain(3, shrink=2))
        assert file.find(key(3)) is None


def test_an_image_that_would_pass_the_limit_is_not_kept(tmp_path: Path) -> None:
    file = PixelFile(tmp_path, limit=250)
    keep(file, 1, 2, 3)
    assert is_same(file.find(key(2)), plain(2))
    assert file.find(key(3)) is None
    assert (tmp_path / "pixels").stat().st_size == 240


def test_pixels_that_never_reached_the_disk_are_not_taken(tmp_path: Path) -> None:
    file = PixelFile(tmp_path)
    keep(file, 1, 2, 3)
    file.close()
    data = bytearray((tmp_path / "pixels").read_bytes())
    data[120:180] = bytes(60)
    (tmp_path / "pixels").write_bytes(data[:-1])
    again = PixelFile(tmp_path)
    assert is_same(again.find(key(1)), plain(1))
    assert again.find(key(2)) is None
    assert again.find(key(3)) is None


def test_a_line_of_the_index_that_is_not_whole_yet_is_read_when_it_is(tmp_path: Path) -> None:
    file = PixelFile(tmp_path)
    keep(file, 1)
    line = (tmp_path / "index").read_bytes()
    (tmp_path / "index").write_bytes(line[:-1])
    reader = PixelFile(tmp_path)
    assert reader.find(key(1)) is None
    (tmp_path / "index").write_bytes(line)
    assert is_same(reader.find(key(1)), plain(1))


def test_lines_of_the_index_that_say_nothing_are_passed_over(tmp_path: Path) -> None:
    keep(PixelFile(tmp_path), 1)
    line = (tmp_path / "index").read_bytes()
    (tmp_path / "index").write_bytes(bytes(len(line)) + b"\xff" * len(line) + line)
    file = PixelFile(tmp_path)
    assert is_same(file.find(key(1)), plain(1))
    assert file.find(("00" * 32, 0)) is None
    assert file.find(("ff" * 32, 2**32 - 1)) is None


def test_where_the_folder_cannot_be_made_nothing_is_kept(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    file = PixelFile(tmp_path / "file")
    keep(file, 1)
    assert file.find(key(1)) is None


def test_a_closed_file_finds_and_keeps_nothing(tmp_path: Path) -> None:
    file = PixelFile(tmp_path)
    keep(file, 1)
    file.close()
    keep(file, 2)
    assert file.find(key(1)) is None
    assert PixelFile(tmp_path).find(key(2)) is None


def test_a_file_that_is_closed_while_its_thread_begins_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, closed = PixelFile(tmp_path), list[bool]()
    closing = Thread(target=lambda: closed.append(file.close() is None))

    class Slow(Thread):
        def start(self) -> None:
            closing.start()
            closing.join(0.2)
            super().start()

    monkeypatch.setattr("autointerp.images.pixel_file.Thread", Slow)
    file.keep(key(1), plain(1))
    closing.join()
    file.wait()

    assert closed == [True]
    assert file.find(key(1)) is None


def test_the_images_of_the_two_dumps_that_were_used_last_stay(tmp_path: Path) -> None:
    for name in ("first", "second", "first", "third"):
        open_pixels(tmp_path, name).close()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["first", "third"]
