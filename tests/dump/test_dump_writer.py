"""A dump is written as a whole or not at all."""

import hashlib
import io
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from autointerp.dump.format import DumpInfo
from autointerp.dump.reader import open_dump
from autointerp.dump.writer import DumpWriter
from autointerp.errors import DumpError
from autointerp.schema import Exemplar, FeatureRow

DIGEST = "0" * 64


def row(feature: int) -> FeatureRow:
    return FeatureRow(feature, 4 if feature < 4 else 8, 1, 1.0, None, None)


def png(width: int, height: int, orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.new("RGB", (width, height)).save(buffer, "PNG", exif=exif)
    return buffer.getvalue()


def test_an_existing_folder_is_refused(small: Path, info: DumpInfo) -> None:
    with pytest.raises(DumpError) as raised, DumpWriter(small, info):
        pass

    assert str(raised.value) == f"{small}: exists already; a dump is written once, so give another folder"


def test_an_exception_leaves_nothing(tmp_path: Path, info: DumpInfo) -> None:
    def write() -> None:
        with DumpWriter(tmp_path / "dump", info) as writer:
            writer.add_feature(row(0), [])
            raise KeyError

    with pytest.raises(KeyError):
        write()

    assert list(tmp_path.iterdir()) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from autointerp.dump.format import load_info
from autointerp.dump.writer import DumpWriter
from autointerp.schema import FeatureRow
with DumpWriter(sys.argv[2], load_info(Path(sys.argv[1]))) as writer:
    writer.add_feature(FeatureRow(0, 4, 1, 1.0, None, None), [])
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_in_the_middle_leaves_no_dump(small: Path, tmp_path: Path, info: DumpInfo) -> None:
    target = tmp_path / "target"

    done = subprocess.run([sys.executable, "-c", KILLED, str(small), str(target)], check=False)

    assert done.returncode == -signal.SIGKILL
    assert not target.exists()
    with DumpWriter(target, info) as writer:
        writer.add_feature(row(0), [])
    with open_dump(target) as dump:
        assert dump.n_features == 1


def test_the_digest_and_the_displayed_size_are_found(tmp_path: Path, info: DumpInfo) -> None:
    content = png(5, 3, orientation=6)
    with DumpWriter(tmp_path / "dump", info) as writer:
        (writer.work / "images").mkdir()
        (writer.work / "images" / "a.png").write_bytes(content)
        writer.add_image(3, path="images/a.png", label="cat", group="g", attribute=True)
        writer.add_image(7, data=content)

    with open_dump(tmp_path / "dump") as dump:
        by_path, by_bytes = dump.images([3, 7])
        source = dump.image_source(3)

    assert (by_path.width, by_path.height) == (by_bytes.width, by_bytes.height) == (3, 5)
    assert by_path.sha256 == by_bytes.sha256 == hashlib.sha256(content).hexdigest()
    assert (by_path.label, by_path.group, by_path.attribute) == ("cat", "g", True)
    assert isinstance(source, Path)
    assert source.read_bytes() == content


@pytest.mark.parametrize(
    ("images", "features", "said"),
    [
        ([2, 1], [], "image 1: comes after 2; add each image once, ascending"),
        ([1, 1], [], "image 1: comes after 1; add each image once, ascending"),
        ([], [3, 2], "feature 2: comes after 3; add each once, ascending"),
        ([], [3, 3], "feature 3: comes after 3; add each once, ascending"),
        ([], [8], "dump/features.parquet: row 0: feature is 8; expected 0 to 7"),
    ],
)
def test_the_order_is_kept(tmp_path: Path, info: DumpInfo, images: list[int], features: list[int], said: str) -> None:
    def write() -> None:
        with DumpWriter(tmp_path / "dump", info) as writer:
            for image in images:
                writer.add_image(image, path="x.png", size=(2, 2), sha256=DIGEST)
            for feature in features:
                writer.add_feature(row(feature), [])

    with pytest.raises(DumpError) as raised:
        write()

    assert str(raised.value).removeprefix(f"{tmp_path}/") == said
    assert list(tmp_path.iterdir()) == []


def test_an_exemplar_of_an_image_that_was_not_added_is_refused(tmp_path: Path, info: DumpInfo) -> None:
    def write() -> None:
        with DumpWriter(tmp_path / "dump", info) as writer:
            writer.add_feature(row(0), [Exemplar(9, 1.0, "top", 1.0, None, None)])

    with pytest.raises(DumpError) as raised:
        write()

    said = "exemplars.parquet: row 0: image is 9; expected an image of images.parquet"
    assert str(raised.value) == f"{tmp_path}/dump/{said}"


@pytest.mark.parametrize(
    ("path", "data", "said"),
    [
        (None, None, "image 0: expected exactly one of path and data"),
        ("a.png", b"a", "image 0: expected exactly one of path and data"),
        ("a.png", None, "image 0: there is no file a.png"),
    ],
)
def test_an_image_has_one_source(
    tmp_path: Path, info: DumpInfo, path: str | None, data: bytes | None, said: str
) -> None:
    with pytest.raises(DumpError) as raised, DumpWriter(tmp_path / "dump", info) as writer:
        writer.add_image(0, path=path, data=data)

    assert str(raised.value) == said


def test_a_value_too_large_for_its_column_is_one_line(tmp_path: Path, info: DumpInfo) -> None:
    def write() -> None:
        with DumpWriter(tmp_path / "dump", info) as writer:
            writer.add_feature(FeatureRow(2**40, 4, 1, 1.0, None, None), [])

    with pytest.raises(DumpError, match=r"features\.parquet: a value does not fit its column: [^\n]+\Z"):
        write()


def test_parts_begin_at_the_end_of_a_row_group_and_read_as_one(tmp_path: Path, info: DumpInfo) -> None:
    exemplars = [Exemplar(image, 1.0, "q1", 0.5, None, None) for image in range(2000)]
    with DumpWriter(tmp_path / "dump", info, rows_per_part=6000) as writer:
        for image in range(2000):
            writer.add_image(image, path="x.png", size=(2, 2), sha256=DIGEST)
        for feature in range(8):
            writer.add_feature(row(feature), exemplars)

    files = sorted(path.name for path in (tmp_path / "dump").glob("exemplars*"))
    sizes = [pq.read_metadata(tmp_path / "dump" / file).num_rows for file in files]
    with open_dump(tmp_path / "dump") as dump:
        lengths = [len(feature.exemplars) for feature in dump.features()]

    assert files == ["exemplars-00000.parquet", "exemplars-00001.parquet", "exemplars-00002.parquet"]
    assert sizes == [6000, 6000, 4000]
    assert lengths == [2000] * 8


def test_a_dump_is_as_readable_as_other_folders(tmp_path: Path, info: DumpInfo) -> None:
    (tmp_path / "other").mkdir()

    with DumpWriter(tmp_path / "dump", info):
        pass

    assert (tmp_path / "dump").stat().st_mode == (tmp_path / "other").stat().st_mode
    assert sorted(path.name for path in (tmp_path / "dump").iterdir()) == [
        "dump.json",
        "exemplars.parquet",
        "features.parquet",
        "images.parquet",
    ]
