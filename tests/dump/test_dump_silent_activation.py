"""What a feature reached on its silent images: an optional column, which older dumps lack."""

from collections.abc import Callable, Mapping
from math import nan
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from autointerp.dump.format import DumpInfo
from autointerp.dump.reader import Dump, open_dump
from autointerp.dump.summary import summarise
from autointerp.dump.writer import DumpWriter
from autointerp.errors import DumpError
from autointerp.schema import Exemplar, Feature, FeatureRow

Spoil = Callable[[Path, str, int, Mapping[str, object]], None]
UNKNOWN = "silent exemplars that do not say what the feature reached on them, so none is known to nearly fire it"


def dump_of(folder: Path, info: DumpInfo, *silent: Exemplar) -> Dump:
    """One feature that fires above 0.5 on image 0, with these silent rows."""
    with DumpWriter(folder, info) as writer:
        for image in range(4):
            writer.add_image(image, path=f"{image}.png", size=(16, 12), sha256=f"{image:064x}")
        top = Exemplar(0, 3.0, "top", 1.0, None, None)
        writer.add_feature(FeatureRow(0, 4, 6, 3.0, None, None), (top, *silent))
    return open_dump(folder)


def reached(dump: Dump) -> dict[int, float | None]:
    one, streamed = dump.feature(0), next(iter(dump.features()))
    assert one == streamed
    return {e.image: e.silent_activation for e in one.negatives}


def test_it_comes_back_as_it_was_written(tmp_path: Path, info: DumpInfo) -> None:
    dump = dump_of(
        tmp_path / "d",
        info,
        Exemplar(1, 0.25, "silent", 0.5, None, None, 0.25),
        Exemplar(2, 0.0, "guided", 0.5, None, None, 0.0),
        Exemplar(3, 0.0, "guided", 0.5, None, None),
    )

    assert reached(dump) == {1: 0.25, 2: 0.0, 3: None}
    assert summarise(dump).n_silent_known == 2
    assert f"{UNKNOWN}: 1" in summarise(dump).odd


def test_an_older_dump_tells_it_by_its_activations_unless_all_are_0(tmp_path: Path, info: DumpInfo) -> None:
    levels = {"told": (0.25, 0.0), "unknown": (0.0, 0.0)}
    found = {}
    for name, (one, two) in levels.items():
        rows = Exemplar(1, one, "silent", 0.5, None, None), Exemplar(2, two, "guided", 0.5, None, None)
        dump_of(tmp_path / name, info, *rows).close()
        file = tmp_path / name / "exemplars.parquet"
        pq.write_table(pq.read_table(file).drop_columns(["silent_activation"]), file)
        with open_dump(tmp_path / name) as older:
            found[name] = reached(older), summarise(older).n_silent_known

    assert found == {"told": ({1: 0.25, 2: 0.0}, 2), "unknown": ({1: None, 2: None}, 0)}


def test_another_programs_nan_is_null(tmp_path: Path, info: DumpInfo, spoil: Spoil) -> None:
    dump_of(tmp_path / "d", info, Exemplar(1, 0.0, "silent", 0.5, None, None, 0.0)).close()

    spoil(tmp_path / "d", "exemplars.parquet", 1, {"silent_activation": nan})

    assert reached(open_dump(tmp_path / "d")) == {1: None}


@pytest.mark.parametrize(
    ("row", "value", "said"),
    [
        (2, 0.75, "is 0.75; expected 0.5 or less where stratum is silent or guided (active_above), or null"),
        (2, -float("inf"), "is -inf; expected 0.5 or less where stratum is silent or guided (active_above), or null"),
        (0, 3.0, "is 3.0; expected null where the feature fires"),
    ],
)
def test_one_that_cannot_be_is_named(small: Path, spoil: Spoil, row: int, value: float, said: str) -> None:
    spoil(small, "exemplars.parquet", row, {"silent_activation": value})

    with pytest.raises(DumpError, match=r"row \d: silent_activation") as error:
        open_dump(small).feature(0)
    assert str(error.value).endswith(f"row {row}: silent_activation {said}")


def test_the_margin_holds_what_reached_more_than_a_share_of_the_threshold() -> None:
    def silent(number: float | None) -> Exemplar:
        return Exemplar(1, 0.0, "silent", 0.5, None, None, number)

    feature = Feature(FeatureRow(0, 4, 6, 3.0, None, None), (), 2.0)
    shares = [0.0, 1.0, 1.01, 2.0, None]

    assert [feature.in_margin(silent(n), 0.5) for n in shares] == [False, False, True, True, False]
    assert [feature.in_margin(silent(n), 1.0) for n in shares] == [False] * 5
    assert [silent(n).share_reached(2.0) for n in (-1.0, 1.0, None)] == [0.0, 0.5, None]
    assert not feature.in_margin(Exemplar(1, 3.0, "top", 1.0, None, None), 0.5)
    at_zero = Feature(feature.row, ())
    assert silent(0.0).share_reached(0.0) is None
    assert not at_zero.in_margin(silent(0.0), 0.5)
