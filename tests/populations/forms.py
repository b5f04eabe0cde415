"""One small population in every form that people keep one in."""

import csv
import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

CLASSES = ("blue", "implausible", "plausible")
"""Folders; the last two say which images have an attribute."""
N = 12


def tree(folder: Path) -> list[Path]:
    """Twelve noise pictures in three folders, ordered by path, four in each; every third is a JPEG."""
    chance = np.random.default_rng(5)
    made: list[Path] = []
    for i in range(N):
        pixels = chance.integers(0, 120, (20, 30, 3)) + 60 * np.eye(3)[i % 3]
        path = folder / CLASSES[i // 4] / f"{i:02d}.{'jpg' if i % 3 == 0 else 'png'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(path)
        made.append(path)
    return made


def flag(file: Path) -> str:
    """1, 0 or nothing, as the folder of a picture says it."""
    return {"implausible": "1", "plausible": "0"}.get(file.parent.name, "")


def csv_list(target: Path, files: Sequence[Path], by: str = ",") -> Path:
    """Absolute paths and flags."""
    with target.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=by)
        writer.writerow(("path", "label", "comment"))
        writer.writerows((path.absolute(), flag(path), "as it came") for path in files)
    return target


def parquet_list(target: Path, files: Sequence[Path]) -> Path:
    """Absolute paths and flags."""
    flags = [{"1": True, "0": False}.get(flag(path)) for path in files]
    pq.write_table(pa.table({"path": [str(path.absolute()) for path in files], "label": flags}), target)
    return target


def zipped(target: Path, files: Sequence[Path], root: Path) -> Path:
    """The folder packed whole, with what macOS adds."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            archive.write(path, f"{root.name}/{path.relative_to(root).as_posix()}")
            archive.writestr(f"__MACOSX/{root.name}/._{path.name}", b"junk")
    return target


def tarred(target: Path, files: Sequence[Path], root: Path) -> Path:
    """The folder packed whole, file by file in this order."""
    with tarfile.open(target, "w") as archive:
        for path in files:
            archive.add(path, f"./{path.relative_to(root).as_posix()}")
    return target


def member(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    """Adds a file."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def shards(folder: Path, files: Sequence[Path], size: int = 5) -> Path:
    """WebDataset shards: numbered from 0 in each, with a class beside each image."""
    folder.mkdir()
    for start in range(0, len(files), size):
        with tarfile.open(folder / f"train-{start // size:06d}.tar", "w") as archive:
            for i, path in enumerate(files[start : start + size]):
                member(archive, f"{i:04d}.{path.suffix[1:]}", path.read_bytes())
                member(archive, f"{i:04d}.cls", path.parent.name.encode())
                member(archive, f"{i:04d}.json", json.dumps({"source": f"s{i % 2}", "size": [1, 2]}).encode())
    return folder


def rows(files: Sequence[Path]) -> pa.Table:
    """As `datasets` keeps images with the names of their classes."""
    features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": list(CLASSES)}}
    images = [{"bytes": path.read_bytes(), "path": path.name} for path in files]
    image = pa.array(images, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    label = pa.array([CLASSES.index(path.parent.name) for path in files], pa.int64())
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    return pa.table({"image": image, "label": label}).replace_schema_metadata(metadata)


def hub_folder(folder: Path, files: Sequence[Path]) -> Path:
    """Two Parquet shards of one split, with small row groups."""
    (folder / "data").mkdir(parents=True)
    for i, part in enumerate((files[:7], files[7:])):
        pq.write_table(rows(part), folder / "data" / f"train-{i:05d}-of-00002.parquet", row_group_size=3)
    return folder


def saved(folder: Path, files: Sequence[Path]) -> Path:
    """What `Dataset.save_to_disk` writes: Arrow files in the streaming format, and which they are."""
    folder.mkdir()
    names = [f"data-{i:05d}-of-00002.arrow" for i in range(2)]
    for name, part in zip(names, (files[:6], files[6:]), strict=True):
        table = rows(part)
        with pa.OSFile(str(folder / name), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=4)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names]}))
    (folder / "dataset_info.json").write_text("{}")
    return folder


FORMS: dict[str, Callable[[Path, list[Path], Path], object]] = {
    "csv": lambda here, files, root: csv_list(here / "list.csv", files),
    "tsv": lambda here, files, root: csv_list(here / "list.tsv", files, "\t"),
    "parquet list": lambda here, files, root: parquet_list(here / "list.parquet", files),
    "zip": lambda here, files, root: zipped(here / "images.zip", files, root),
    "tar": lambda here, files, root: tarred(here / "images.tar", files, root),
    "webdataset": lambda here, files, root: shards(here / "shards", files),
    "pattern": lambda here, files, root: str(shards(here / "shards", files) / "train-{000000..000002}.tar"),
    "hub parquet": lambda here, files, root: hub_folder(here / "hub", files),
    "save_to_disk": lambda here, files, root: saved(here / "saved", files),
    "list of paths": lambda here, files, root: files,
    "list of tuples": lambda here, files, root: [(p.name, p.read_bytes(), p.parent.name) for p in files],
    "generator": lambda here, files, root: ((p.name, p.read_bytes(), p.parent.name) for p in files),
}
"""Each makes the form from the files of a tree and its folder."""
WORDS = frozenset({"webdataset", "pattern", "hub parquet", "save_to_disk", "list of tuples", "generator"})
"""Forms whose labels are class names, of which only `--attribute` makes an attribute."""
