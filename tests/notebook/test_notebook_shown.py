"""What a notebook shows of records: small, escaped, with pictures where there are any."""

import base64
import copy
import pickle
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from builders import exemplars, explanation, feature, several
from PIL import Image

from autointerp.dump.format import DumpInfo
from autointerp.dump.reader import Dump, open_dump
from autointerp.dump.writer import DumpWriter
from autointerp.images.decode import decode
from autointerp.jobs.demo import demo_dump
from autointerp.notebook.shown import html_of
from autointerp.runs.folder import Run, RunWriter, open_run
from autointerp.runs.info import DumpReference, ExplainStage, RunInfo
from autointerp.runs.tables import EXPLANATIONS, SCORES
from autointerp.schema import Control, Scored, Unscored
from autointerp.settings import ExplainSettings, ModelName, ModelSettings

WHEN = "2026-01-31T12:00:00Z"
HOSTILE = (
    '</td><script>alert(1)</script><img src=x onerror=alert(2)>" onload="alert(3) $\\href{javascript:1}{x}$ \u202egnp'
)


class Page(HTMLParser):
    """The elements of a piece of HTML, the attributes of each, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.open += [] if tag in ("img", "br") else [tag]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += f"{data}\n"

    @property
    def pictures(self) -> list[bytes]:
        found = [attributes["src"] or "" for tag, attributes in self.elements if tag == "img"]
        return [base64.b64decode(src.removeprefix("data:image/jpeg;base64,"), validate=True) for src in found]


def page(record: object) -> Page:
    """What is shown, which is nothing but tables, text and pictures that are all there."""
    shown = Page(record._repr_html_())  # pyright: ignore[reportAttributeAccessIssue]
    assert shown.open == []
    assert {tag for tag, _ in shown.elements} <= {"div", "b", "span", "table", "tr", "th", "td", "img", "br"}
    assert {name for _, attributes in shown.elements for name in attributes} <= {
        "class",
        "style",
        "src",
        "alt",
        "title",
    }
    assert "mathjax_ignore" in (shown.elements[0][1]["class"] or "")
    return shown


@pytest.fixture(scope="module")
def demo() -> Dump:
    return open_dump(demo_dump())


def scored(number: int = 3, text: str = "m", scorer: str = "detection", value: float = 0.75) -> Scored:
    controls = {"permuted": Control(value=0.25, low=0.125, high=0.5), text: Control(value=0.5)}
    details = {"precision": 0.5, "form": "whole", "sure": True, "odd": None}
    return Scored(
        feature=number,
        scorer=scorer,
        value=value,
        low=0.5,
        high=0.875,
        n=1200,
        details=details,
        controls=controls,
        judge=text,
        prompt="0" * 12,
        created=WHEN,
    )


def test_a_dump_shows_what_it_is_of_and_the_first_features_that_fire(demo: Dump):
    shown = page(demo)

    assert "Dump demo" in shown.text
    assert f"{demo.n_features:,} of 2,048 latents" in shown.text
    assert "2,521" in shown.text
    assert len(shown.pictures) == 8
    assert f"feature {demo.feature_ids[0]}" in shown.text


def test_a_feature_shows_its_strongest_images_then_some_on_which_it_is_silent(demo: Dump):
    found = demo.feature(94)
    strongest = max(e.activation for e in found.exemplars)

    shown = page(found)

    assert ("Feature 94" in shown.text, f"{found.row.n_active:,} images" in shown.text) == (True, True)
    assert f"\n{strongest:.3g}\n" in shown.text
    assert shown.text.count("silent\n") == 4 + 1  # one stands in the table
    assert len(shown.pictures) == 12
    assert {max(decode(jpeg, at_most=None).size) for jpeg in shown.pictures} == {96}


def test_pictures_are_bounded_in_bytes(demo: Dump):
    assert len(html_of(demo)) < 60_000
    assert all(len(html_of(found)) < 100_000 for found in map(demo.feature, demo.feature_ids[:5].tolist()))


def test_a_feature_by_itself_shows_its_figures(demo: Dump):
    alone, found = feature(exemplars("top", [1, 2])), demo.feature(94)

    for one in (alone, copy.deepcopy(found), pickle.loads(pickle.dumps(found))):
        assert page(one).pictures == []
        assert f"Feature {one.id}" in page(one).text
    assert copy.deepcopy(found) == found


def test_an_image_that_cannot_be_read_leaves_the_others(tmp_path: Path):
    dump = little(tmp_path / "dump", drawn(tmp_path, "red", "blue"), label="square")
    (tmp_path / "dump" / "1.png").write_bytes(b"none")

    shown = page(dump.feature(3))

    assert len(shown.pictures) == 1
    assert "cannot be read" in shown.text


def drawn(folder: Path, *colours: str) -> list[Path]:
    """A picture of each colour."""
    for colour in colours:
        Image.new("RGB", (32, 16), colour).save(folder / f"{colour}.png")
    return [folder / f"{colour}.png" for colour in colours]


def little(folder: Path, files: list[Path], *, label: str, name: str = "little") -> Dump:
    """Feature 3, which fires on each image."""
    info = DumpInfo(
        name=name,
        created=WHEN,
        created_by="a test",
        model=name,
        hookpoint=name,
        n_latents=8,
        widths=(8,),
        n_images=len(files),
        active_above=0.0,
        patch_grid=None,
        attribute=None,
    )
    with DumpWriter(folder, info) as writer:
        for number, file in enumerate(files):
            shutil.copy(file, writer.work / f"{number}.png")
            writer.add_image(number, path=f"{number}.png", label=label)
        found = feature(exemplars("top", range(len(files))), n_active=len(files))
        writer.add_feature(found.row, found.exemplars)
    return open_dump(folder)


def test_a_dump_with_a_broken_row_says_so_instead_of_pictures(tmp_path: Path):
    dump = little(tmp_path / "dump", drawn(tmp_path, "red"), label="red")
    (tmp_path / "dump" / "exemplars.parquet").write_bytes(b"PAR1")

    dump.close()

    assert "exemplars.parquet" in page(dump).text


def test_an_explanation_shows_its_text_and_its_parts():
    shown = page(several("red circle", "blue square"))

    assert "red circle; or blue square\n" in shown.text
    assert "explanations of their own\nred circle, blue square\n" in shown.text
    none = explanation(text="").model_copy(update={"none": True, "text": ""})
    assert "no common property" in page(none).text


def test_a_score_shows_its_interval_beside_what_should_lose():
    shown = page(scored())

    assert "detection of feature 3" in shown.text
    assert "0.75 [0.50, 0.88]\n" in shown.text
    assert "1,200" in shown.text
    assert "control: permuted\n0.25 [0.12, 0.50]\n" in shown.text
    assert "control: m\n0.50\n" in shown.text


def test_an_undetermined_score_and_one_that_was_not_given_say_so():
    wide = scored().model_copy(update={"low": 0.0})
    missing = Unscored(feature=3, scorer="naming", reason="too few images", judge="m", created=WHEN)

    assert "0.75 [0.00, 0.88] undetermined" in page(wide).text
    assert "not scored: too few images" in page(missing).text


def written(folder: Path, *, text: str = "red", n: int = 3) -> Run:
    """A run in which feature 0 is explained twice, and each of `n` features is scored twice."""
    stage = ExplainStage(
        model=ModelSettings(model=ModelName("gpt")), settings=ExplainSettings(), prompts={"explain": "0" * 12}
    )
    dump = DumpReference(name=text, path="d", digest="0", n_latents=8)
    with RunWriter(folder, RunInfo(version="1", created=WHEN, dump=dump, explain=stage)) as writer:
        for number in range(n):
            writer.explanation(explanation(number, text=f"{text} {number}", images=(7, 9)))
            writer.score(scored(number, value=0.5))
            writer.score(scored(number, value=number / 4))
        writer.score(Unscored(feature=0, scorer="naming", reason=text, judge="m", created=WHEN))
        writer.explanation(explanation(0, text=f"{text} again"))
    return open_run(folder)


def test_a_run_shows_its_first_features_with_the_last_score_of_each(tmp_path: Path):
    shown = page(written(tmp_path / "run", n=12))

    assert "Run run" in shown.text
    assert "12 explained" in shown.text
    assert "0\nred again\n0.00 [0.50, 0.88]\nnot scored: red\n" in shown.text
    assert "2\nred 2\n0.50 [0.50, 0.88]\n" in shown.text
    assert "red 9" in shown.text
    assert "red 10" not in shown.text
    assert "and 2 more: explanations_table(), scores_table()" in shown.text


def test_a_run_of_nothing_and_a_broken_one_are_shown_too(tmp_path: Path):
    empty = written(tmp_path / "empty", n=0)
    broken = written(tmp_path / "broken")
    (tmp_path / "broken" / "scores.jsonl").write_text("{\n")

    assert "1 explained" in page(empty).text
    assert "scores.jsonl:1: not a line of a run" in page(broken).text


def test_hostile_text_is_text(tmp_path: Path):
    dump = little(tmp_path / "dump", drawn(tmp_path, "red"), label=HOSTILE, name=HOSTILE)
    missing = Unscored(feature=3, scorer=HOSTILE, reason=HOSTILE, judge=HOSTILE, created=WHEN)
    run = written(tmp_path / "run", text=HOSTILE)

    for record in (dump, dump.feature(3), explanation(text=HOSTILE), scored(text=HOSTILE), missing, run):
        shown = page(record)
        assert not any(name.startswith("on") for _, attributes in shown.elements for name in attributes)
        assert "\u202e" not in html_of(record)
        assert re.search("<script|<img src=x", html_of(record)) is None


def test_a_long_text_is_shortened():
    long = explanation(text="red " * 100_000)

    assert len(html_of(long)) < 5_000
    assert "red …" in html_of(long)


def test_explanations_are_a_table_with_a_row_a_feature(tmp_path: Path):
    table = written(tmp_path / "run").explanations_table()

    assert table.schema == EXPLANATIONS
    assert table["feature"].to_pylist() == [0, 1, 2]
    assert table["text"].to_pylist() == ["red again", "red 1", "red 2"]
    first = table.slice(1, 1).to_pylist()[0]
    assert (first["concepts"], first["images"], first["input_tokens"], first["domain"]) == (["red 1"], [7, 9], 10, None)


def test_scores_are_a_table_with_a_column_for_each_control_and_figure(tmp_path: Path):
    table = written(tmp_path / "run").scores_table()

    assert table.column_names == [*SCORES.names, "control_m", "control_permuted", "detail_precision"]
    assert table["feature"].to_pylist() == [0, 0, 1, 2]
    assert table["scorer"].to_pylist() == ["detection", "naming", "detection", "detection"]
    assert table["value"].to_pylist() == [0.0, None, 0.25, 0.5]
    assert table["reason"].to_pylist() == [None, "red", None, None]
    assert table["undetermined"].to_pylist() == [False, None, False, False]
    assert table["control_permuted"].to_pylist() == [0.25, None, 0.25, 0.25]


def test_a_run_without_scores_has_a_table_without_rows(tmp_path: Path):
    run = written(tmp_path / "run", n=0)
    (tmp_path / "run" / "scores.jsonl").unlink()

    assert (run.scores_table().num_rows, run.scores_table().column_names) == (0, SCORES.names)
