"""Validation finds every rule that is broken and says what is odd."""

import hashlib
import json
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from autointerp.dump.format import DumpInfo
from autointerp.dump.reader import open_dump
from autointerp.dump.validate import Problem, validate
from autointerp.dump.writer import DumpWriter
from autointerp.schema import Exemplar, FeatureRow

Spoil = Callable[[Path, str, int, Mapping[str, object]], None]


def problems_of(folder: Path) -> list[str]:
    with open_dump(folder) as dump:
        return [str(problem).replace(f"{folder}/", "") for problem in validate(dump)]


@pytest.fixture
def sound(small: Path) -> Path:
    """The small dump with its image files, of which nothing but few exemplars is to be said."""
    (small / "images").mkdir()
    for image in range(4):
        (small / "images" / f"{image}.png").write_bytes(b"x")
    return small


USUAL = ["odd: feature 5: has no exemplars", "odd: feature 0: has fewer than 20 active exemplars (3 such)"]


def test_a_sound_dump_has_only_what_is_odd_in_it(sound: Path) -> None:
    assert problems_of(sound) == USUAL


@pytest.mark.parametrize(("row", "feature"), [(0, 0), (3, 1)])
def test_a_heat_map_of_zeros_is_odd(sound: Path, spoil: Spoil, row: int, feature: int) -> None:
    spoil(sound, "exemplars.parquet", row, {"heat": bytes(4)})

    said = f"odd: feature {feature}: has a heat map of zeros, which marks no region and counts as none; write null"
    assert said in problems_of(sound)


@pytest.mark.parametrize(
    ("file", "row", "columns", "said"),
    [
        (
            "exemplars.parquet",
            4,
            {"probability": 2.0},
            "error: exemplars.parquet: row 4: probability is 2.0; expected more than 0 and at most 1",
        ),
        (
            "exemplars.parquet",
            8,
            {"feature": 3},
            "error: exemplars.parquet: row 8: feature is 3; expected one of features.parquet",
        ),
        (
            "exemplars.parquet",
            0,
            {"activation": float("nan")},
            "error: exemplars.parquet: row 0: activation is nan; expected a finite number",
        ),
        ("exemplars.parquet", 0, {"image": None}, "error: exemplars.parquet: row 0: image is None; expected a value"),
        ("exemplars.parquet", 1, {"activation": 2.5, "stratum": "top", "probability": 1.0}, None),
        (
            "exemplars.parquet",
            1,
            {"activation": 3.5},
            "odd: feature 0: has an exemplar of another stratum above one of top",
        ),
        ("exemplars.parquet", 1, {"activation": 3.5}, "error: feature 0: has an exemplar above its max_activation"),
        (
            "exemplars.parquet",
            2,
            {"probability": 1.0},
            "odd: feature 0: has a silent exemplar of probability 1, as if no image had been left out",
        ),
        (
            "exemplars.parquet",
            2,
            {"stratum": "q1", "activation": 0.75},
            "odd: feature 0: has no silent exemplars, so it cannot be scored",
        ),
        (
            "features.parquet",
            1,
            {"width": 8},
            "error: feature 1: has a width that is not the smallest prefix holding it",
        ),
        (
            "features.parquet",
            1,
            {"n_active": 1, "histogram": None},
            "error: feature 1: has more active exemplars than n_active",
        ),
        (
            "features.parquet",
            1,
            {"n_active": 7},
            "odd: feature 1: has a histogram whose counts do not add up to n_active",
        ),
        (
            "features.parquet",
            1,
            {"n_active_attribute": 2},
            "odd: feature 1: has n_active_attribute in a dump without an attribute",
        ),
        (
            "features.parquet",
            1,
            {"n_active": -1},
            "error: features.parquet: row 1: n_active is -1; expected 0 to n_images, 10",
        ),
        ("images.parquet", 1, {"path": "gone.png"}, "error: images.parquet: row 1: there is no file gone.png"),
        (
            "images.parquet",
            1,
            {"bytes": b"x"},
            "error: images.parquet: row 1: both path and bytes are there; expected one of them",
        ),
        (
            "images.parquet",
            1,
            {"path": None},
            "error: images.parquet: row 1: neither path nor bytes is there; expected one of them",
        ),
        ("images.parquet", 1, {"attribute": True}, "odd: images.parquet: attribute in a dump without an attribute"),
        (
            "images.parquet",
            1,
            {"sha256": "0" * 64},
            "odd: images.parquet: one file under several ids, sha256 000000000000…; give them one group or one id",
        ),
    ],
)
def test_each_kind_is_found(
    sound: Path, spoil: Spoil, file: str, row: int, columns: Mapping[str, object], said: str | None
) -> None:
    spoil(sound, file, row, columns)

    found = problems_of(sound)

    assert found == USUAL if said is None else said in found


def test_rows_that_share_a_fault_are_counted_and_errors_come_first(sound: Path, spoil: Spoil) -> None:
    for row in (1, 4, 7):
        spoil(sound, "exemplars.parquet", row, {"probability": 2.0})

    found = problems_of(sound)

    said = "row 1: probability is 2.0; expected more than 0 and at most 1 (3 such)"
    assert found == [f"error: exemplars.parquet: {said}", *USUAL]


def test_a_link_that_leaves_the_dump_is_an_error(sound: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"x")
    (sound / "images" / "2.png").unlink()
    (sound / "images" / "2.png").symlink_to(tmp_path / "secret")

    found = problems_of(sound)

    said = "path is 'images/2.png', outside the dump; if you trust it, allow it with --allow-outside"
    assert found[0] == f"error: images.parquet: row 2: {said}"


def test_a_feature_that_spans_row_groups_is_odd_and_an_image_in_both_an_error(sound: Path, spoil: Spoil) -> None:
    path = sound / "exemplars.parquet"
    spoil(sound, "exemplars.parquet", 2, {"image": 1})
    pq.write_table(pq.read_table(path), path, row_group_size=2)

    found = problems_of(sound)

    assert "odd: feature 0: spans row groups of exemplars; row groups hold whole features (3 such)" in found
    assert "error: feature 0: has an image twice, in two row groups of exemplars" in found


def test_a_declared_attribute_that_is_nowhere_is_odd(sound: Path) -> None:
    content = json.loads((sound / "dump.json").read_text())
    content["attribute"] = {"name": "broken", "description": "Shows a physical error."}
    (sound / "dump.json").write_text(json.dumps(content))

    found = problems_of(sound)

    assert "odd: images.parquet: no image has the dump's attribute stated" in found
    assert "odd: feature 0: has no n_active_attribute in a dump with an attribute (4 such)" in found


def test_twenty_active_exemplars_are_enough(tmp_path: Path, info: DumpInfo) -> None:
    with DumpWriter(tmp_path / "dump", info.model_copy(update={"n_images": 100})) as writer:
        for image in range(25):
            writer.add_image(image, data=b"x", size=(4, 4), sha256=f"{image:064x}")
        active = [Exemplar(image, 1.0, "top", 1.0, None, None) for image in range(20)]
        silent = [Exemplar(image, 0.0, "silent", 0.5, None, None) for image in range(20, 25)]
        writer.add_feature(FeatureRow(0, 4, 20, 1.0, None, None), [*active, *silent])

    with open_dump(tmp_path / "dump") as dump:
        assert validate(dump) == []


def png(shade: int) -> bytes:
    """4 x 4 pixels."""
    target = BytesIO()
    Image.new("L", (4, 4), shade).save(target, "PNG")
    return target.getvalue()


def test_contents_are_compared_with_their_rows_when_asked(tmp_path: Path, info: DumpInfo) -> None:
    with DumpWriter(tmp_path / "dump", info) as writer:
        (writer.work / "a.png").write_bytes(png(1))
        writer.add_image(0, path="a.png")
        writer.add_image(1, data=png(2), size=(4, 4))
        writer.add_image(2, data=png(3), size=(4, 4), sha256="0" * 64)
        writer.add_image(3, data=png(4), size=(5, 4))

    with open_dump(tmp_path / "dump") as dump:
        cursory = validate(dump)
        found = validate(dump, content=True)

    where = f"{tmp_path}/dump/images.parquet"
    digest = hashlib.sha256(png(3)).hexdigest()
    changed = f"sha256 is 000000000000…; expected {digest[:12]}…, that of the file"
    resized = "width and height are 5x4; expected 4x4, those of the file"
    assert cursory == []
    assert found == [Problem("error", f"{where}: row 2", changed, 1), Problem("error", f"{where}: row 3", resized, 1)]


def test_a_file_that_breaks_off_is_found_when_contents_are_checked(tmp_path: Path, info: DumpInfo) -> None:
    """Its header and its digest are right; half of its pixels are missing."""
    noise = BytesIO()
    Image.effect_noise((40, 40), 50).save(noise, "PNG")
    whole = noise.getvalue()
    with DumpWriter(tmp_path / "dump", info) as writer:
        writer.add_image(0, data=whole, size=(40, 40))
        writer.add_image(1, data=whole[: len(whole) // 2], size=(40, 40))
        writer.add_image(2, data=whole[:-200], size=(40, 40))

    with open_dump(tmp_path / "dump") as dump:
        (found,) = validate(dump, content=True)

    assert (found.severity, found.where, found.count) == ("error", f"{tmp_path}/dump/images.parquet: row 1", 2)
    assert found.message.startswith(f"cannot be read: file of {len(whole) // 2} bytes: broken image; replace it (")


def test_a_problem_reads_as_one_line() -> None:
    problem = Problem("odd", "feature 3", "has no exemplars", 2)

    assert str(problem) == "odd: feature 3: has no exemplars (2 such)"
