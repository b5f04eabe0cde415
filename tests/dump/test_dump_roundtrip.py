"""What a writer was given, a reader gives back."""

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from autointerp.dump.format import DumpInfo
from autointerp.dump.reader import open_dump
from autointerp.dump.validate import validate
from autointerp.dump.writer import DumpWriter
from autointerp.schema import STRATA, Box, Exemplar, Feature, FeatureRow

SIZE = (20, 10)
ABOVE = 0.5

float32s = st.floats(width=32, allow_nan=False, allow_infinity=False)
above = float32s.filter(lambda x: x > ABOVE)
below = float32s.filter(lambda x: x <= ABOVE)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    x0, x1 = sorted(draw(st.lists(st.integers(0, SIZE[0]), min_size=2, max_size=2, unique=True)))
    y0, y1 = sorted(draw(st.lists(st.integers(0, SIZE[1]), min_size=2, max_size=2, unique=True)))
    return Box(x0, y0, x1, y1)


@st.composite
def exemplars(draw: st.DrawFn, images: list[int]) -> tuple[Exemplar, ...]:
    found: list[Exemplar] = []
    for image in draw(st.lists(st.sampled_from(images), unique=True, max_size=6)) if images else []:
        stratum = draw(st.sampled_from(STRATA))
        activation = draw(below if stratum in ("silent", "guided") else above)
        probability = 1.0 if stratum == "top" else draw(st.floats(0, 1, exclude_min=True))
        box = draw(st.none() | boxes())
        heat = draw(st.none() | st.binary(min_size=6, max_size=6))
        reached = activation if stratum in ("silent", "guided") else None
        found.append(Exemplar(image, activation, stratum, probability, box, heat, reached))
    return tuple(found)


@st.composite
def rows(draw: st.DrawFn, feature: int) -> FeatureRow:
    n_active = draw(st.integers(0, 2**40))
    attribute = draw(st.none() | st.integers(0, n_active))
    counts = st.lists(st.integers(0, 2**62), min_size=50, max_size=50).map(tuple)
    return FeatureRow(
        feature, draw(st.sampled_from((30, 90))), n_active, draw(float32s), attribute, draw(st.none() | counts)
    )


@st.composite
def dumps(draw: st.DrawFn) -> tuple[list[int], list[Feature]]:
    images = sorted(draw(st.sets(st.integers(0, 2**62), max_size=8)))
    numbers = sorted(draw(st.sets(st.integers(0, 89), max_size=6)))
    return images, [Feature(draw(rows(number)), draw(exemplars(images)), ABOVE) for number in numbers]


@settings(max_examples=60, deadline=None)
@given(dump=dumps(), rows_per_part=st.integers(1, 4))
def test_features_come_back_as_they_were_written(dump: tuple[list[int], list[Feature]], rows_per_part: int) -> None:
    images, features = dump
    info = DumpInfo(
        name="any",
        created="2026-01-01",
        created_by="test",
        model="m",
        hookpoint="h",
        n_latents=90,
        widths=(30, 90),
        n_images=2**40,
        active_above=ABOVE,
        patch_grid=(2, 3),
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "dump")

        with DumpWriter(folder, info, rows_per_part=rows_per_part) as writer:
            for image in images:
                writer.add_image(image, path="x.png", size=SIZE, sha256="0" * 64)
            for feature in features:
                writer.add_feature(feature.row, feature.exemplars)
        with open_dump(folder) as opened:
            read = list(opened.features())
            singly = [opened.feature(feature.id) for feature in features]

            assert opened.info == info
            assert opened.n_features == len(features)
            assert np.array_equal(opened.feature_ids, [feature.id for feature in features])
            assert [row.image for row in opened.images(images)] == images
            broken = {problem.message for problem in validate(opened) if ".parquet: row" in problem.where}
        assert read == features
        assert singly == features
        assert broken <= {"there is no file x.png"}
