"""A dump that does not say how many images were run: nothing computed from it is called a share of all images."""

import json
import shutil
from pathlib import Path

import pytest
from standin.commands import Command, run
from standin.planted import Population
from standin.records import scores

from autointerp.dump.reader import open_dump
from autointerp.errors import typed
from autointerp.schema import Scored

NOTE = "the dump does not say how many images were run: densities are unknown"


def counted(planted: Population, kind: str) -> Path:
    """The planted dump, in the working folder, that says so of its counts."""
    shutil.copytree(planted.folder, "dump")
    info = json.loads(Path("dump/dump.json").read_text()) | {"population": kind}
    Path("dump/dump.json").write_text(json.dumps(info))
    return Path("dump")


def test_inspect_says_that_densities_are_unknown(planted: Population, here: Path):
    dump = counted(planted, "unknown")

    said, told = run("inspect", dump), json.loads(run("inspect", dump, "--json").out)

    assert "\n  density     unknown\n" in said.out
    assert "stored of an unknown number that were run;" in said.out
    assert (told["population"], told["density_quantiles"]) == ("unknown", [])


@pytest.mark.parametrize(
    ("kind", "on_the_card", "in_the_table"),
    [
        ("unknown", " images of the dump", '<td role="cell" class="num" data-label="density">unknown</td>'),
        ("sample", " % of images of a sample (", " %</td>"),
    ],
)
def test_scores_and_report_say_of_which_images_they_speak(
    planted: Population, explain: Command, score: Command, here: Path, kind: str, on_the_card: str, in_the_table: str
):
    explain("--features", "0", dump=counted(planted, kind))

    scored = score("--scorers", "detection,accuracy")
    run("report", "run", "--out", "page.html")

    page = Path("page.html").read_text()
    for scorer, said in (("detection", kind), ("accuracy", None)):
        (found,) = scores(here / "run", scorer).values()
        assert isinstance(found, Scored)
        assert found.details.get("population") == said
    assert (NOTE in scored.out) == (kind == "unknown")
    assert "population scores" in scored.out
    assert "population scores" in page
    assert on_the_card in page
    assert in_the_table in page


def test_a_complete_dump_says_nothing_of_it(planted: Population, explain: Command, score: Command, here: Path):
    explain("--features", "0")

    scored = score("--scorers", "detection")
    run("report", "run", "--out", "page.html")

    (found,) = scores(here / "run").values()
    assert isinstance(found, Scored)
    assert "population" not in found.details
    assert "population scores" not in scored.out + Path("page.html").read_text()


def test_import_says_what_is_not_known_and_how_to_tell_it(planted: Population, here: Path):
    source = here / "source" / "12"
    source.mkdir(parents=True)
    for name in ("0.png", "2.png"):
        shutil.copy(planted.folder / "images" / name, source / name)

    untold, told = run("import", "folder", "source", "a"), run("import", "folder", "source", "b", "--population", "40")

    assert NOTE in untold.out
    assert "if you know, give --population" in untold.out
    assert "population" not in told.out
    assert "  density     median 5.000%" in run("inspect", "b").out


def test_of_a_source_with_only_a_top_list_scores_and_report_say_what_they_cannot_say(
    planted: Population, explain: Command, score: Command, here: Path
):
    shutil.copytree(planted.folder, "dump")
    with open_dump("dump") as opened:
        top = {"k": opened.feature(0).row.n_active, "n_full": 1, "counted": False}
    info = json.loads(Path("dump/dump.json").read_text()) | {"top_only": top}
    Path("dump/dump.json").write_text(json.dumps(info))
    explain("--features", "0", dump=Path("dump"))

    scored = score("--scorers", "detection")
    run("report", "run", "--out", "page.html")

    (found,) = scores(here / "run", "detection").values()
    assert isinstance(found, Scored)
    assert (found.details["active_covered"], found.details["silent_covered"]) == (None, None)
    note = "only the stratum top is covered: of 1 feature the source keeps the"
    page = Path("page.html").read_text()
    assert note in scored.out
    assert f"O{note[1:]}" in page
    assert "at least" in page
    assert note in run("inspect", "dump").out


def test_the_command_named_next_allows_images_outside_where_this_one_did(explain: Command, score: Command, here: Path):
    allowed = explain("--features", "0", "--allow-outside").out, score("--scorers", "accuracy", "--allow-outside").out
    plain = score("--scorers", "accuracy").out

    assert [out.splitlines()[-1] for out in (*allowed, plain)] == [
        f"next: autointerp score {typed(here / 'run')} --allow-outside",
        f"next: autointerp report {typed(here / 'run')} --allow-outside",
        f"next: autointerp report {typed(here / 'run')}",
    ]
