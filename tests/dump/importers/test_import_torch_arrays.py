"""torch's files are read without torch, as plain data; what wants more is refused and not run."""

import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from autointerp.dump.importers.tensors import Stored
from autointerp.dump.importers.torch_arrays import entries_of, plain_array, read_torch
from autointerp.errors import DumpError

torch = pytest.importorskip("torch", reason="torch writes the files that are read")


def test_tensors_of_every_type_are_as_torch_has_them(tmp_path: Path) -> None:
    plain = torch.arange(12).reshape(3, 4)
    made = {
        "f": plain.float() / 8,
        "b": plain.bfloat16(),
        "h": plain.half(),
        "i": plain,
        "part": plain[1:, ::2].float(),
        "turned": plain.T.int(),
        "none": torch.zeros(0, 3),
    }
    torch.save(made, tmp_path / "x.pt")
    found = entries_of(read_torch(tmp_path / "x.pt"), "x")
    for name, tensor in made.items():
        stored = found[name]
        assert isinstance(stored, Stored)
        assert stored.floats().tolist() == tensor.float().tolist(), name
    assert found["i"].ints(2).tolist() == [8, 9, 10, 11]  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("protocol", [2, 4])
def test_arrays_of_numpys_within_are_read(tmp_path: Path, protocol: int) -> None:
    array = np.arange(4, dtype=np.float32).reshape(2, 2) - 1.5
    made = {"heat": [array, None, np.asfortranarray(array)], "ids": [3, 1], "mean": np.float32(0.25), "v": [0.5, 2]}
    torch.save(made, tmp_path / "x.pt", pickle_protocol=protocol)
    found = entries_of(read_torch(tmp_path / "x.pt"), "x")
    heat = found["heat"]
    assert isinstance(heat, list)
    assert plain_array(heat[0], "x").floats().tolist() == array.tolist()
    assert heat[1] is None
    assert plain_array(heat[2], "x").floats().tolist() == array.tolist()
    assert (found["ids"], found["mean"]) == ([3, 1], 0.25)
    assert plain_array(found["v"], "x").floats().tolist() == [0.5, 2.0]


class Harm:
    """Runs a command when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.mark}",)


def test_a_hostile_pickle_is_refused_by_name_and_not_run(tmp_path: Path) -> None:
    torch.save({"top_ids": Harm(tmp_path / "ran")}, tmp_path / "x.pt")
    with pytest.raises(
        DumpError, match=r"wants to run (posix|nt)\.system, which is not plain data; nothing of it was run"
    ):
        read_torch(tmp_path / "x.pt")
    assert not (tmp_path / "ran").exists()


def test_an_array_of_objects_is_refused(tmp_path: Path) -> None:
    torch.save({"heat": np.array([{"a": 1}], object)}, tmp_path / "x.pt")
    with pytest.raises(DumpError, match="is not read"):
        read_torch(tmp_path / "x.pt")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no file that torch"),
        (b"PK\x03\x04 broken", "no file that torch"),
        (pickle.dumps([1]), "no file that torch"),
    ],
)
def test_what_is_no_file_of_torchs_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(DumpError, match=said):
        read_torch(tmp_path / "x.pt")


def test_tensors_that_state_more_than_the_file_has_are_refused(tmp_path: Path) -> None:
    torch.save(torch.zeros(4), tmp_path / "x.pt")
    with zipfile.ZipFile(tmp_path / "x.pt") as archive:
        parts = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    with zipfile.ZipFile(tmp_path / "y.pt", "w") as archive:
        for name, data in parts.items():
            # The size, 4, is a one-byte number in the pickle: K\x04.
            archive.writestr(name, data.replace(b"K\x04\x85", b"K\xff\x85"))
    with pytest.raises(DumpError, match="larger than the file"):
        read_torch(tmp_path / "y.pt")


def test_a_zip_file_that_is_compressed_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", bytes(10**6))
    with pytest.raises(DumpError, match="compressed inside"):
        read_torch(tmp_path / "x.pt")
