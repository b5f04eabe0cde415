"""`benchmark report`: what the page says, that it runs nothing, and that every figure and plot is a file."""

import csv
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pyarrow.parquet as pq
import pytest
from generators_world import MODE, judged_table, named
from PIL import Image

from autointerp.commands.benchmark_report import benchmark_report
from autointerp.commands.benchmark_run import benchmark_run
from autointerp.errors import SettingsError
from autointerp.generators.result import RESULT_FILE
from autointerp.jobs.benchmark_run import Ran


@pytest.fixture
def result(ran: Ran, tmp_path: Path) -> Path:
    return Path(shutil.copytree(ran.out, tmp_path / "result"))


def page(folder: Path) -> str:
    return (folder / "report/report.html").read_text(encoding="utf-8")


def test_the_page_says_first_who_fails_how_much_more_often(result: Path):
    benchmark_report(result)

    head = page(result).partition('<section id="leaderboard">')[0]
    words = " ".join(re.sub(r"<[^>]+>", "", head.partition("<header>")[2]).split())
    assert "b 6.0 times as often as a: a red square that floats" in words
    assert "it fires on 30.0 % [" in words
    assert "+25.0 points" in words


def test_twelve_images_of_it_stand_below(result: Path):
    benchmark_report(result)

    finding = page(result).partition('<article class="finding">')[2].partition("</article>")[0]
    assert finding.count("<use ") == 12
    assert finding.count('class="out dark"') == 12


def test_every_picture_is_in_the_page_once_and_nothing_is_run_or_fetched(result: Path):
    benchmark_report(result)

    text = page(result)
    keys = re.findall(r'<image id="(p\d+)"', text)
    assert len(keys) == len(set(keys)) == len({s for s in re.findall(r'<use href="#(p\d+)"', text)})
    assert "<script" not in text
    assert "default-src 'none'" in text
    assert not re.findall(r'(?:src|href)="(?!#|data:)', text)


def test_the_tables_hold_the_figures_of_the_result(result: Path, ran: Ran):
    benchmark_report(result)

    with (result / "report/tables/modes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    parquet = pq.read_table(result / "report/tables/modes.parquet").to_pylist()
    figures = json.loads((result / "report/tables/figures.json").read_text())
    b = ran.result.sets[1].modes[MODE].rate
    for table in (rows, parquet, figures["modes"]):
        own = next(r for r in table if r["set"] == "b")
        assert [float(own[f"rate_{f}"]) for f in ("value", "low", "high", "hits")] == [b.value, b.low, b.high, b.hits]
    assert set(figures) == {"sets", "modes", "categories", "differences", "ranks"}


def test_every_plot_is_there_as_svg_and_as_png(result: Path):
    benchmark_report(result)

    plots = result / "report/plots"
    names = sorted(p.name for p in plots.iterdir())
    assert names == sorted(f"{n}.{e}" for n in ("leaderboard", "categories", "modes", "ranks") for e in ("svg", "png"))
    for svg in plots.glob("*.svg"):
        box = [float(v) for v in ElementTree.parse(svg).getroot().attrib["viewBox"].split()]
        with Image.open(svg.with_suffix(".png")) as image:
            assert image.size == (round(2 * box[2]), round(2 * box[3]))


def test_names_that_are_markup_are_text(result: Path):
    text = (result / RESULT_FILE).read_text().replace(': "b"', ': "<script>alert(1)</script>"')
    (result / RESULT_FILE).write_text(text)

    benchmark_report(result)

    assert "<script" not in page(result)
    assert "&lt;script&gt;" in page(result)


def test_a_result_names_no_file_outside_its_pictures(result: Path):
    content = json.loads((result / RESULT_FILE).read_text())
    content["strongest"][0]["file"] = "../../secret.jpg"
    (result / RESULT_FILE).write_text(json.dumps(content))

    with pytest.raises(SettingsError, match=r"strongest.0.file"):
        benchmark_report(result)


def test_a_picture_that_is_gone_is_counted_and_left_out(result: Path, ran: Ran):
    (result / ran.result.strongest[0].file).unlink()

    made = benchmark_report(result)

    assert made.missing == 1
    assert made.size == (result / "report/report.html").stat().st_size


def test_a_report_is_replaced_only_where_that_is_said(result: Path):
    benchmark_report(result)
    with pytest.raises(SettingsError, match="exists already"):
        benchmark_report(result)

    assert benchmark_report(result, overwrite=True, title="Again").out == result / "report"
    assert '<h1 dir="auto">Again</h1>' in page(result)


def test_a_folder_without_a_result_is_told(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"result.json: no such file; give the folder of a result"):
        benchmark_report(tmp_path)


def test_a_reference_and_a_generator_of_few_images_are_on_the_page_without_a_rank(
    world: Path, generators: Path, tmp_path: Path
):
    images = named(generators, "a", "b", "sound")
    run = benchmark_run(world / "pack", tmp_path / "one", images=images)
    with_reference = benchmark_run(world / "pack", tmp_path / "two", images=images, reference="sound")

    for ran in (run, with_reference):
        benchmark_report(ran.out)
        row = re.findall(r"<tr><td>sound.*?</tr>", page(ran.out), re.DOTALL)[0]
        assert "no rank" in row


def test_where_a_judge_has_looked_its_word_decides_what_is_found(
    world: Path, generators: Path, ran: Ran, result: Path, tmp_path: Path
):
    answers = judged_table(result, tmp_path / "answers.csv", lambda *_: "no")
    benchmark_run(world / "pack", result, images=named(generators, "a", "b"), verdicts=answers)

    benchmark_report(result)

    assert "No difference between two generators in a single mode stands" in page(result)
    assert "the table answers.csv" in page(result)


def test_failures_an_image_are_counts_and_no_shares_in_plot_and_table(
    world: Path, generators: Path, result: Path, tmp_path: Path
):
    answers = judged_table(result, tmp_path / "answers.csv", lambda _, on: "yes" if on else "no")
    found = benchmark_run(world / "pack", result, images=named(generators, "a", "b"), verdicts=answers).result
    benchmark_report(result)

    b = found.sets[1].judged_per_image
    assert b is not None
    said = f"0.30 [{b.low:.2f}, {b.high:.2f}]"
    texts = [t.text for t in ElementTree.parse(result / "report/plots/leaderboard.svg").getroot().iter() if t.text]
    assert said in texts
    assert not any("%" in text for text in texts if text != texts[0])
    assert f"<td>{said}</td>" in page(result)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c["sets"][0].update(name="x"), "pairs: a, b, any: is no pair of sets"),
        (lambda c: c["pairs"][1].update(what="x"), "pairs: a, b, x: is no pair of sets, or no mode"),
        (lambda c: c["modes"][0].update(category="x"), "sets: a: its modes and categories are not those"),
        (lambda c: c["sets"][1].update(modes={}), "sets: b: its modes and categories are not those"),
        (lambda c: c["sets"].append(c["sets"][0]), "sets: there are none, or one stands twice"),
        (lambda c: c.update(modes=[]), "modes: there are none"),
    ],
)
def test_a_result_whose_parts_do_not_agree_is_refused_in_one_line(
    change: Callable[[dict[str, list[dict[str, object]]]], object], said: str, result: Path
):
    content = json.loads((result / RESULT_FILE).read_text())
    change(content)
    (result / RESULT_FILE).write_text(json.dumps(content))

    with pytest.raises(SettingsError, match=said):
        benchmark_report(result)
    assert not (result / "report").exists()


def test_the_page_says_who_was_judged_and_what_is_taken_out(
    world: Path, generators: Path, ran: Ran, result: Path, tmp_path: Path
):
    images = named(generators, "a", "b", "sound")

    def first(said: str, of: str) -> str:
        """The top of the page where so many sets were judged."""
        asked = benchmark_run(world / "pack", result, images=images, reference="sound")
        answers = judged_table(
            asked.out, tmp_path / f"{said}.csv", lambda image, _: "no" if image["generator"] in of.split() else ""
        )
        benchmark_run(world / "pack", result, images=images, reference="sound", verdicts=answers)
        benchmark_report(result, overwrite=True)
        return page(result).partition('<section id="categories">')[0]

    some, every = first("some", "b"), first("every", "a b sound")

    assert "2 generators and a reference, 280 images" in some
    assert "A judge looked at some of the images. Rates say how often" in some
    assert "so that rates are of what the images show" in every
    assert "counts as false alarms and is taken out of the others' rates" in every
    assert "by the judge's word. More images, or more answers of the judge" in every
