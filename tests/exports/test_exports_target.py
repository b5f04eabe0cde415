"""Where an export is written, and what it leaves alone."""

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from autointerp.commands.export import export
from autointerp.errors import AutointerpError
from autointerp.exports.table import FeatureTable
from autointerp.exports.target import written


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_there_already_stays_unless_told_otherwise(run: Path, tmp_path: Path):
    out = tmp_path / "mine.csv"
    out.write_text("mine")

    with pytest.raises(AutointerpError, match=r"mine.csv: exists already; name another place"):
        export(run, "csv", out)
    assert out.read_text() == "mine"

    assert export(run, "csv", out, overwrite=True).features == 6
    assert out.read_text().startswith("feature,state,reason,width")


@pytest.mark.parametrize("form", ["csv", "parquet", "neuronpedia", "datasette", "site"])
def test_an_export_that_is_interrupted_leaves_nothing(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
):
    """Ctrl-C comes after the last feature, before the file or the folder is closed."""
    reads = "batches" if form in ("csv", "parquet") else "evidence"
    whole = getattr(FeatureTable, reads)

    def cut(self: FeatureTable) -> Iterator[object]:
        yield from whole(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(FeatureTable, reads, cut)
    names_there = {"model_id": "vit", "source": "1-sae"} if form == "neuronpedia" else {}
    (tmp_path / "out").mkdir()

    with pytest.raises(KeyboardInterrupt):
        export(run, form, tmp_path / "out" / "there", **names_there)
    assert names(tmp_path / "out") == []


def test_a_folder_that_a_killed_export_left_is_removed_by_the_next(run: Path, tmp_path: Path):
    (tmp_path / "out").mkdir()
    gone = 2**22 + 1  # no process has so high a number
    half = tmp_path / "out" / f".site.{gone}.part" / "cards"
    half.mkdir(parents=True)

    export(run, "site", tmp_path / "out" / "site")

    assert names(tmp_path / "out") == ["site"]


def test_what_a_killed_export_left_is_removed_by_the_next(run: Path, tmp_path: Path):
    (tmp_path / "out").mkdir()
    gone = 2**22 + 1  # no process has so high a number
    (tmp_path / "out" / f".a.csv.{gone}.part").write_text("half")

    export(run, "csv", tmp_path / "out" / "a.csv")

    assert names(tmp_path / "out") == ["a.csv"]


def test_nothing_is_written_into_the_dump_nor_into_a_folder_that_is_not_there(run: Path, dump: Path, tmp_path: Path):
    with pytest.raises(AutointerpError, match="lies in the dump"):
        export(run, "csv", dump / "a.csv")
    with pytest.raises(AutointerpError, match="there is no folder"):
        export(run, "csv", tmp_path / "none" / "a.csv")
    assert not (dump / "a.csv").exists()


def test_a_run_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(AutointerpError, match=r"no-run: no run.json here"):
        export(tmp_path / "no-run", "csv")


@pytest.mark.parametrize(
    ("form", "option", "said"),
    [
        ("csv", {"pictures": 8}, "pictures: is for to='datasette' and to='site' alone; leave it out"),
        ("neuronpedia", {"pictures": 3}, "pictures: is for to='datasette' and to='site' alone; leave it out"),
        ("datasette", {"title": "mine"}, "title: is for to='site' alone; leave it out"),
        ("site", {"model_id": "vit"}, "model_id: is for to='neuronpedia' alone; leave it out"),
        ("parquet", {"source": "1-sae"}, "source: is for to='neuronpedia' alone; leave it out"),
    ],
)
def test_an_option_that_a_form_does_not_use_is_refused(run: Path, form: str, option: dict[str, object], said: str):
    there = names(run)

    with pytest.raises(AutointerpError) as caught:
        export(run, form, **option)
    assert (str(caught.value), names(run)) == (said, there)


@pytest.mark.parametrize("form", ["csv", "parquet", "datasette", "site"])
def test_a_disk_that_is_full_is_told_in_a_line_and_leaves_nothing(run: Path, tmp_path: Path, form: str):
    (tmp_path / "out").mkdir()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(AutointerpError, match="there: cannot be written"):
            export(run, form, tmp_path / "out" / "there")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert names(tmp_path / "out") == []


def test_a_folder_with_a_format_of_its_own_has_no_mark_of_exports(tmp_path: Path):
    with written(tmp_path / "pack", folder=True, overwrite=False, marked=False) as draft:
        (draft / "pack.json").write_text("{}")

    assert [p.name for p in (tmp_path / "pack").iterdir()] == ["pack.json"]
