"""Arrays in files of other tools are mapped as they are, and files that lie about themselves are refused."""

import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from standin.top_lists import bfloat16, save_safetensors

from autointerp.dump.importers.tensors import Stored, read_json, read_npy, read_safetensors
from autointerp.errors import DumpError


def test_safetensors_are_read_with_bfloat16(tmp_path: Path) -> None:
    values = np.array([[1.5, -2.0], [0.0, 256.0]], np.float32)
    ids = np.array([[3, 4], [5, 6]], "<i8")
    path = save_safetensors(tmp_path / "a", {"x": ("BF16", bfloat16(values)), "i": ("I64", ids)}, {"k": "2"})
    found, notes = read_safetensors(path)
    assert found["x"].floats().tolist() == values.tolist()
    assert found["x"].floats(1).tolist() == [0.0, 256.0]
    assert found["i"].ints().tolist() == ids.tolist()
    assert notes == {"k": "2"}


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (
            b'{"x": {"dtype": "F32", "shape": [1000000, 1000000], "data_offsets": [0, 4000000000000]}}',
            "larger than the",
        ),
        (b'{"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}', "other bytes than its sizes"),
        (b'{"x": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}}', "does not say where it is"),
        (b'{"x": {"dtype": "O", "shape": [2], "data_offsets": [0, 8]}}', "which is not read"),
        (b'{"x": 1}', "which is not read"),
        (b'{"x": {"dtype": ["F32"], "shape": [2], "data_offsets": [0, 8]}}', "which is not read"),
        (b"[1]", "not an object"),
        (b"{{", "not JSON"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_safetensors_that_lie_are_refused_before_anything_is_reserved(tmp_path: Path, header: bytes, said: str) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    with pytest.raises(DumpError, match=said):
        read_safetensors(path)


def test_a_safetensors_file_that_ends_in_its_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", 2**60) + b"{}")
    with pytest.raises(DumpError, match="ends in its header"):
        read_safetensors(path)


def test_whole_numbers_that_were_stored_as_float32_are_read_up_to_where_it_tells_them_apart() -> None:
    stored = Stored("f", np.array([0, 7, 2**24 - 1], np.float32))
    assert stored.ints().tolist() == [0, 7, 2**24 - 1]
    for bad in (2**24, 0.5, np.nan, np.inf):
        with pytest.raises(DumpError, match="expected whole numbers below 16,777,216"):
            Stored("f", np.array([1, bad], np.float32)).ints()


def test_arrays_of_numpys_are_mapped_in_both_orders(tmp_path: Path) -> None:
    values = np.arange(6, dtype=np.uint8).reshape(2, 3)
    np.save(tmp_path / "c.npy", values)
    np.save(tmp_path / "f.npy", np.asfortranarray(values))
    assert read_npy(tmp_path / "c.npy").ints().tolist() == values.tolist()
    assert read_npy(tmp_path / "f.npy").ints().tolist() == values.tolist()


def test_an_array_of_objects_is_refused_and_not_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "o.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(DumpError, match="a pickle may be inside"):
        read_npy(tmp_path / "o.npy")


def test_an_array_that_states_more_than_its_file_has_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros(4))
    data = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "x.npy").write_bytes(data.replace(b"(4,), }" + b" " * 12, b"(4000000000000,), }"))
    with pytest.raises(DumpError, match="larger than the file"):
        read_npy(tmp_path / "x.npy")


def test_what_is_no_array_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(DumpError, match=r"no \.npy file"):
        read_npy(tmp_path / "x.npy")


@pytest.mark.parametrize("text", ["[1]", "{", "[" * 100_000])
def test_settings_that_are_no_object_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "m.json").write_text(text)
    with pytest.raises(DumpError, match="JSON"):
        read_json(tmp_path / "m.json")
