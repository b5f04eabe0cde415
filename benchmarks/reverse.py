"""Measures what the explorer's index by image costs: `python -m benchmarks.reverse --features 100000`."""

import argparse
import resource
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from autointerp.dump.format import EXEMPLARS, DumpInfo
from autointerp.dump.reader import open_dump
from autointerp.dump.writer import N_GROUP_EXEMPLARS, DumpWriter
from autointerp.explorer.reverse import make_reverse
from autointerp.schema import FeatureRow

PER_FEATURE = 100
N_IMAGES = 50_000
SHARES = (("top", 0.5), ("q1", 0.25), ("silent", 0.25))


def write(folder: Path, n: int) -> None:
    """Writes a dump of so many rows, without pictures and heat maps."""
    info = DumpInfo(
        name=f"{n:,} rows",
        created="2026-01-01T00:00:00Z",
        created_by="benchmarks/reverse.py",
        model="none",
        hookpoint="none",
        n_latents=n // PER_FEATURE,
        widths=(n // PER_FEATURE,),
        n_images=N_IMAGES,
        active_above=0.0,
    )
    with DumpWriter(folder, info) as writer:
        for image in range(N_IMAGES):
            writer.add_image(image, data=b"none", size=(640, 480), sha256=f"{image:064x}")
        for feature in range(n // PER_FEATURE):
            writer.add_feature(FeatureRow(feature, info.n_latents, PER_FEATURE, 1.0, None, None), [])
    _exemplars(folder / "exemplars.parquet", n // PER_FEATURE)


def _exemplars(file: Path, n_features: int) -> None:
    chance = np.random.default_rng(0)
    stratum = np.repeat([name for name, _ in SHARES], [round(PER_FEATURE * share) for _, share in SHARES])
    per = N_GROUP_EXEMPLARS // PER_FEATURE
    with pq.ParquetWriter(file, EXEMPLARS) as out:
        for start in range(0, n_features, per):
            features = np.arange(start, min(n_features, start + per))
            n = len(features) * PER_FEATURE
            images = chance.integers(0, N_IMAGES, (len(features), 1)) + 7919 * np.arange(PER_FEATURE)
            strata = np.tile(stratum, len(features))
            columns = {
                "feature": np.repeat(features, PER_FEATURE),
                "image": (images % N_IMAGES).ravel(),
                "activation": np.where(strata == "silent", 0.0, chance.uniform(0.1, 1, n)),
                "stratum": strata,
                "probability": np.where(strata == "top", 1.0, 0.1),
                **{name: np.full(n, at) for name, at in (("x0", 10), ("y0", 20), ("x1", 300), ("y1", 400))},
            }
            arrays = [pa.array(columns[f.name]) if f.name in columns else pa.nulls(n) for f in EXEMPLARS]
            fields = zip(arrays, EXEMPLARS, strict=True)
            out.write_table(pa.Table.from_arrays([a.cast(f.type) for a, f in fields], schema=EXEMPLARS))


def main() -> None:
    """Prints rows, seconds of processor time, and how much the memory grew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", type=int, default=100_000)
    rows = parser.parse_args().features * PER_FEATURE
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "dump", rows)
        with open_dump(Path(folder) / "dump") as dump:
            # Whatever a command does first anyway.
            _ = dump.digest, dump.feature_ids
            before = resource.getrusage(resource.RUSAGE_SELF)
            made = make_reverse(dump, Path(folder) / "cache")
        after = resource.getrusage(resource.RUSAGE_SELF)
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        grown = (after.ru_maxrss - before.ru_maxrss) / 1024
        size = made.file.stat().st_size / rows
        print(f"{rows:,} rows: {seconds:.1f} s of processor time, {grown:.0f} MB more, {size:.0f} bytes a row")


if __name__ == "__main__":
    main()
