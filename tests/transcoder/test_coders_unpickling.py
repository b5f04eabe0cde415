"""Pickles of other tools are read as plain data, and what would run anything is refused in one line."""

import gzip
import io
import os
import pickle
import pickletools
import struct
import zipfile
from pathlib import Path

import pytest
import torch
from standin.foreign import PRISMA, PRISMA_CLASS, save_pickled, weights

from autointerp.errors import SettingsError
from autointerp.pickles import Plain, attributes_of
from autointerp.transcoder.coders.torch_files import MAGIC, read_plain


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """A file that is there only if something has run."""
    return tmp_path / "ran"


class Here:
    """Stands for a persistent id."""


class Runs:
    """Pickles as a call of a function."""

    def __init__(self, function: object, *values: object) -> None:
        self.call = (function, values)

    def __reduce__(self) -> object:
        return self.call


def refused(path: Path, message: str) -> str:
    with pytest.raises(SettingsError, match=message) as caught:
        read_plain(path)
    said = str(caught.value)
    assert said.startswith(f"{path}: ")
    assert "\n" not in said
    return said


@pytest.mark.parametrize("file", ["a.pt", "a.pth", "a.pkl", "a.pkl.gz"])
def test_settings_and_weights_come_back_from_each_kind_of_file(tmp_path: Path, file: str):
    state = weights() | {"half": torch.arange(6).view(2, 3).half().T, "k": torch.tensor(3), "flag": torch.tensor(True)}
    config = PRISMA | {"dtype": torch.float32, "device": torch.device("cuda:1"), "shape": torch.Size([2, 3])}
    save_pickled(tmp_path / file, PRISMA_CLASS, config, state)

    found = read_plain(tmp_path / file)

    cfg = attributes_of(found)["cfg"]
    assert isinstance(cfg, Plain)
    assert cfg.kind == PRISMA_CLASS
    assert attributes_of(cfg) == PRISMA | {"dtype": torch.float32, "device": "cuda:1", "shape": (2, 3)}
    read = attributes_of(attributes_of(found)["state_dict"])
    assert {n: (t.dtype, t.shape) for n, t in read.items()} == {n: (t.dtype, t.shape) for n, t in state.items()}
    assert all(torch.equal(read[name], state[name]) for name in state)


@pytest.mark.parametrize(
    ("function", "values", "name"),
    [
        (os.system, ("touch {}",), r"posix\.system"),
        (eval, ("open('{}', 'w')",), r"(builtins|__builtin__)\.eval"),
        (exec, ("open('{}', 'w')",), r"(builtins|__builtin__)\.exec"),
        (getattr, ("{}", "format"), r"(builtins|__builtin__)\.getattr"),
        (os.open, ("{}", os.O_CREAT), r"posix\.open"),
        (torch.load, ("{}",), r"torch\.serialization\.load"),
    ],
)
@pytest.mark.parametrize("kind", ["zip", "legacy", "plain", "gzip"])
def test_a_pickle_that_calls_a_function_is_refused(
    tmp_path: Path, mark: Path, kind: str, function: object, values: tuple[object, ...], name: str
):
    filled = tuple(v.format(mark) if isinstance(v, str) else v for v in values)
    what = {"state_dict": {"W_enc": torch.ones(2)}, "cfg": [{"inner": Runs(function, *filled)}]}
    path = tmp_path / "a.pt"
    match kind:
        case "zip":
            torch.save(what, path)
        case "legacy":
            torch.save(what, path, _use_new_zipfile_serialization=False)
        case "plain":
            path.write_bytes(pickle.dumps(what))
        case _:
            path.write_bytes(gzip.compress(pickle.dumps(what)))

    said = refused(path, f"wants to run {name}, which is not plain data")

    assert said.endswith("; save its weights as safetensors, or give another file")
    assert not mark.exists()


def test_a_call_inside_of_what_a_storage_holds_is_refused(tmp_path: Path, mark: Path):
    inner = io.BytesIO()
    torch.save(Runs(os.system, f"touch {mark}"), inner, _use_new_zipfile_serialization=False)
    outer = Runs(torch.storage._load_from_bytes, inner.getvalue())
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"state_dict": outer}))

    refused(tmp_path / "a.pkl", r"wants to run posix\.system")

    assert not mark.exists()


def test_a_call_in_a_persistent_id_is_refused(tmp_path: Path, mark: Path):
    class Writes(pickle.Pickler):
        def persistent_id(self, obj: object) -> object:
            return ("storage", Runs(os.system, f"touch {mark}"), "0", "cpu", 1) if isinstance(obj, Here) else None

    file = io.BytesIO()
    Writes(file, 2).dump({"state_dict": Here()})
    (tmp_path / "a.pkl").write_bytes(file.getvalue())

    refused(tmp_path / "a.pkl", r"wants to run posix\.system")

    assert not mark.exists()


@pytest.mark.parametrize("pid", [("module", "x", "source", "code"), "text", ("storage", "FloatStorage", "0", "cpu", 1)])
def test_a_persistent_id_that_is_no_storage_is_refused(tmp_path: Path, pid: object):
    class Writes(pickle.Pickler):
        def persistent_id(self, obj: object) -> object:
            return pid if isinstance(obj, Here) else None

    file = io.BytesIO()
    Writes(file, 2).dump([Here()])
    (tmp_path / "a.pkl").write_bytes(file.getvalue())

    refused(tmp_path / "a.pkl", "points to something that is not a tensor's numbers")


def test_a_foreign_class_is_no_way_to_another_module(tmp_path: Path):
    # Protocol 4 allows dotted names, which the usual unpickler follows from attribute to attribute.
    for name in ("vit_prisma.sae.config", "torch.nn.modules"):
        data = b"\x80\x04\x8c" + bytes([len(name)]) + name.encode() + b"\x8c\x0bos.path.sys\x93."
        (tmp_path / "a.pkl").write_bytes(data)
        found = read_plain(tmp_path / "a.pkl")
        assert isinstance(found, type)
        assert issubclass(found, Plain)
    (tmp_path / "a.pkl").write_bytes(b"\x80\x04\x8c\x05torch\x8c\x09os.system\x93.")
    refused(tmp_path / "a.pkl", r"wants to run torch\.os\.system")


def test_what_a_pickle_may_call_cannot_be_changed_by_it(tmp_path: Path):
    data = b"\x80\x02ctorch._utils\n_rebuild_parameter\nN}X\x08\x00\x00\x00__code__K\x01s\x86b."
    assert [op.name for op, *_ in pickletools.genops(data)][-2] == "BUILD"
    (tmp_path / "a.pkl").write_bytes(data)

    refused(tmp_path / "a.pkl", "changes a function")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x80\x02\x82\x01.", "uses registered extensions of pickle"),
        (b"\x80\x02Nr\xff\xff\xff\x7f.", "states more memory than it fills"),
        (b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\x00\x00x.", "is a broken pickle"),
        (b"\x80\x02}", "is a broken pickle"),
        (b"no pickle", "is a broken pickle"),
        (b"", "is a broken pickle"),
        (
            b"\x80\x02ccollections\nOrderedDict\n]]K\x01a\x85R.",
            "makes a dictionary in a way that torch does not|broken",
        ),
    ],
)
def test_broken_and_greedy_pickles_are_refused(tmp_path: Path, data: bytes, message: str):
    (tmp_path / "a.pkl").write_bytes(data)

    refused(tmp_path / "a.pkl", message)


def zipped(path: Path, pickled: bytes, storages: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickled)
        for key, data in storages.items():
            archive.writestr(f"archive/data/{key}", data)
    return path


def tensor_pickle(n: int, size: tuple[int, ...], stride: tuple[int, ...], offset: int = 0) -> bytes:
    """The pickle of one float32 tensor in a storage of n numbers, whatever is said of it."""

    class Writes(pickle.Pickler):
        def persistent_id(self, obj: object) -> object:
            return ("storage", torch.FloatStorage, "0", "cpu", n) if isinstance(obj, Here) else None

    file = io.BytesIO()
    Writes(file, 2).dump({"W": Runs(torch._utils._rebuild_tensor_v2, Here(), offset, size, stride, False, None)})
    return file.getvalue()


FOUR = struct.pack("4f", 1, 2, 3, 4)


def test_a_tensor_is_read_with_its_strides_and_offset(tmp_path: Path):
    path = zipped(tmp_path / "a.pt", tensor_pickle(4, (3,), (1,), offset=1), {"0": FOUR})
    assert attributes_of(read_plain(path))["W"].tolist() == [2, 3, 4]
    path = zipped(tmp_path / "b.pt", tensor_pickle(4, (2, 2), (1, 2)), {"0": FOUR})
    assert attributes_of(read_plain(path))["W"].tolist() == [[1, 3], [2, 4]]
    path = zipped(tmp_path / "c.pt", tensor_pickle(4, (0, 5), (5, 1)), {"0": FOUR})
    assert attributes_of(read_plain(path))["W"].shape == (0, 5)


@pytest.mark.parametrize(
    ("pickled", "storages", "message"),
    [
        (tensor_pickle(10**12, (10**12,), (1,)), {"0": FOUR}, "another size than it has"),
        (tensor_pickle(4, (10**9,), (0,)), {"0": FOUR}, "larger than the file"),
        (tensor_pickle(4, (4,), (1,), offset=1), {"0": FOUR}, "larger than the file"),
        (tensor_pickle(4, (2,), (-1,)), {"0": FOUR}, "larger than the file"),
        (tensor_pickle(4, (2, 2), (1,)), {"0": FOUR}, "contradict each other"),
        (tensor_pickle(4, (4,), (1,)), {}, "lacks the numbers"),
    ],
)
def test_tensors_that_are_larger_than_the_file_are_refused(
    tmp_path: Path, pickled: bytes, storages: dict[str, bytes], message: str
):
    refused(zipped(tmp_path / "a.pt", pickled, storages), message)


def test_archives_that_grow_are_refused(tmp_path: Path):
    # 40 MB of zeros in 40 kB.
    path = zipped(
        tmp_path / "a.pt", tensor_pickle(10**7, (10**7,), (1,)), {"0": bytes(4 * 10**7)}, zipfile.ZIP_DEFLATED
    )
    assert path.stat().st_size < 10**5
    refused(path, "is compressed inside, which torch's files are not")

    (tmp_path / "a.pkl.gz").write_bytes(gzip.compress(bytes(10**7)))
    refused(tmp_path / "a.pkl.gz", "unpacks to more than")

    # The directory of the archive names the same bytes forty times.
    once = zipped(tmp_path / "b.pt", tensor_pickle(4, (4,), (1,)), {"0": FOUR * 4096}).read_bytes()
    end = once.rindex(b"PK\x05\x06")
    start = once.index(b"PK\x01\x02")
    entry = once[once.rindex(b"PK\x01\x02") : end]
    many = once[start:end] + b"".join(entry.replace(b"data/0", b"data/" + bytes([65 + i])) for i in range(40))
    tail = b"PK\x05\x06" + struct.pack("<4H2LH", 0, 0, 42, 42, len(many), start, 0)
    (tmp_path / "c.pt").write_bytes(once[:start] + many + tail)
    refused(tmp_path / "c.pt", "states more bytes than it has|is a broken file")


def test_a_legacy_file_that_declares_a_huge_storage_is_refused(tmp_path: Path):
    head = b"".join(pickle.dumps(part, 2) for part in (MAGIC, 1001, {"little_endian": True}))
    (tmp_path / "a.pt").write_bytes(head + tensor_pickle(10**12, (4,), (1,)) + pickle.dumps(["0"], 2))
    refused(tmp_path / "a.pt", "larger than the file")

    short = head + tensor_pickle(4, (4,), (1,)) + pickle.dumps(["0"], 2) + struct.pack("<q", 4) + FOUR[:8]
    (tmp_path / "a.pt").write_bytes(short)
    refused(tmp_path / "a.pt", "ends before its tensors do")
    (tmp_path / "a.pt").write_bytes(head + tensor_pickle(4, (4,), (1,)) + pickle.dumps([["0"]], 2))
    refused(tmp_path / "a.pt", "lacks the numbers")


def test_a_file_of_torch_that_was_cut_off_is_refused(tmp_path: Path):
    torch.save(weights(), tmp_path / "a.pt")
    whole = (tmp_path / "a.pt").read_bytes()
    for kept in (2, 40, len(whole) // 2, len(whole) - 10):
        (tmp_path / "a.pt").write_bytes(whole[:kept])
        refused(tmp_path / "a.pt", "is a broken file|is a broken pickle")
    # Names in the archive that are no text, and a directory that points before the file's beginning.
    for broken in (whole.replace(b"a/data.pkl", b"a/d\xff\xffa.pkl"), b"PK\x03\x04" + whole[13:]):
        (tmp_path / "a.pt").write_bytes(broken)
        refused(tmp_path / "a.pt", "is a broken file")
    with pytest.raises(SettingsError, match=r"none\.pt: cannot be read"):
        read_plain(tmp_path / "none.pt")
