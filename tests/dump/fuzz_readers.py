"""Reads damaged dumps and sources, each of which ends in a value or in one line; run in a process of its own.

Usage: `python fuzz_readers.py FOLDER FIRST LAST [READER…]`. FOLDER is emptied first. Prints each reader and seed before
it is tried, so that the last one printed is the one that ended the process, and whatever was no value and no line.
"""

import random
import shutil
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path

from PIL import Image

from autointerp.commands.import_folder import import_folder
from autointerp.dump.format import Attribute, DumpInfo
from autointerp.dump.reader import open_dump
from autointerp.dump.summary import summarise
from autointerp.dump.validate import validate
from autointerp.dump.writer import DumpWriter
from autointerp.errors import AutointerpError
from autointerp.images.decode import decode
from autointerp.populations.opening import open_population
from autointerp.schema import Box, Exemplar, FeatureRow

SPECIAL = (0, 1, 63, 127, 128, 255, 34, 44, 91, 123)
"""Bytes that mean something in these formats."""


def png(shade: int) -> bytes:
    """20 x 12 pixels."""
    target = BytesIO()
    Image.new("RGB", (20, 12), (shade, 40, 90)).save(target, "PNG")
    return target.getvalue()


def make(folder: Path) -> None:
    """A dump with every column, a folder to import and a table of labels."""
    info = DumpInfo(
        name="small",
        created="2026-01-31T12:00:00+00:00",
        created_by="a test",
        model="vit",
        hookpoint="layer.6",
        n_latents=8,
        widths=(4, 8),
        n_images=100,
        active_above=0.0,
        patch_grid=(2, 2),
        attribute=Attribute(name="error", description="has one"),
    )
    active = [Exemplar(i, 9.0 - i, "top", 1.0, Box(0, 0, 9, 9), bytes((i, 2, 3, 255))) for i in range(4)]
    active += [Exemplar(i, 1.0, "q3", 0.5, None, None) for i in (4, 5)]
    silent = [Exemplar(i, 0.0, "silent", 0.2, None, None) for i in (6, 7)]
    with DumpWriter(folder / "dump", info) as writer:
        for i in range(8):
            writer.add_image(i, data=png(i), attribute=i % 2 == 0, group="g" if i < 2 else None, label=f"l{i}")
        for f in (0, 1, 2, 5):
            row = FeatureRow(f, 4 if f < 4 else 8, 20, 9.0, 3, (20, *[0] * 49), (1,) if f > 4 else None)
            writer.add_feature(row, (*active, *silent))
    (folder / "src" / "0").mkdir(parents=True)
    for i in range(3):
        (folder / "src" / "0" / f"{i}.png").write_bytes(png(i))
    (folder / "src" / "0" / "activations.csv").write_text(
        "image,activation,stratum,probability\n0.png,3,top,1\n1.png,2,q1,0.5\n2.png,0,silent,0.1\n"
    )
    (folder / "labels.csv").write_text("path,label,group\n0/0.png,1,a\n0/1.png,0,\n./0/2.png,,b\n")
    for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000"):
        Image.radial_gradient("L").resize((20, 12)).convert("RGB").save(folder / f"image.{kind}", kind)


def read_dump(folder: Path, changed: Path) -> None:
    """All that is read of a dump by any command."""
    with open_dump(folder / "dump") as dump:
        summarise(dump)
        validate(dump, content=True)
        for feature in dump.features():
            dump.images([e.image for e in feature.exemplars])


def read_source(folder: Path, changed: Path) -> None:
    """The importer."""
    shutil.rmtree(folder / "imported", ignore_errors=True)
    import_folder(folder / "src", folder / "imported")


def read_labels(folder: Path, changed: Path) -> None:
    """The table of labels."""
    open_population(folder / "src", labels=folder / "labels.csv")


READERS: dict[str, tuple[str, Callable[[Path, Path], object]]] = {
    "dump.json": ("dump/dump.json", read_dump),
    "images.parquet": ("dump/images.parquet", read_dump),
    "features.parquet": ("dump/features.parquet", read_dump),
    "exemplars.parquet": ("dump/exemplars.parquet", read_dump),
    "activations.csv": ("src/0/activations.csv", read_source),
    "labels.csv": ("labels.csv", read_labels),
    "images": ("image.*", lambda folder, changed: decode(changed, at_most=None)),
}


def bent(sound: bytes, seed: str) -> bytes:
    """Some bytes changed, or the end missing, or a piece of it twice; half of all damage is near the end."""
    chance = random.Random(seed)
    data = bytearray(sound)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        place = chance.randrange(len(data) // 2 if chance.random() < 0.5 else 0, len(data))
        data[place] = chance.choice((data[place] ^ (1 << chance.randrange(8)), *SPECIAL))
    if chance.random() < 0.1:
        return bytes(data[: chance.randrange(len(data))])
    if chance.random() < 0.1:
        place = chance.randrange(len(data))
        return bytes(data[:place] + data[place // 2 :])
    return bytes(data)


def main(folder: Path, first: int, last: int, readers: Sequence[str]) -> None:
    """Tries the seeds from `first` to before `last` on each reader."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    make(folder)
    # Pillow's warnings on damaged metadata are no errors outside the tests.
    warnings.simplefilter("ignore")
    for reader in readers or READERS:
        where, read = READERS[reader]
        files = {path: path.read_bytes() for path in sorted(folder.glob(where))}
        for seed in range(first, last):
            path = list(files)[seed % len(files)]
            say(f"{reader} {seed}")
            path.write_bytes(bent(files[path], f"{reader}:{seed}"))
            try:
                read(folder, path)
            except AutointerpError as error:
                if "\n" in str(error):
                    say(f"several lines: {error}")
            except Exception:  # noqa: BLE001 - whatever it is, it is what is looked for
                say(traceback.format_exc())
            path.write_bytes(files[path])


def say(line: str) -> None:
    """Prints at once, since the process may end."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
