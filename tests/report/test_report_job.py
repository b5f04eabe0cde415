import re
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from report_world import calibration, explained, run_info, scored

from autointerp.commands.report import report
from autointerp.dump.format import DumpInfo
from autointerp.dump.reader import open_dump
from autointerp.dump.writer import DumpWriter
from autointerp.errors import AutointerpError, typed
from autointerp.job import Silent, reference
from autointerp.runs.folder import RunWriter
from autointerp.schema import Box, Control, Exemplar, FeatureRow
from autointerp.scoring.calibration import save_calibration


@pytest.fixture
def dump_path(tmp_path: Path) -> Path:
    """Eight features, all active on one red picture."""
    info = DumpInfo(
        name="drawn",
        created="2026-11-23T12:00:00+00:00",
        created_by="a test",
        model="ViT",
        hookpoint="block 3",
        n_latents=8,
        widths=(8,),
        n_images=100,
        active_above=0.0,
    )
    target = BytesIO()
    Image.new("RGB", (80, 60), "red").save(target, "PNG")
    with DumpWriter(tmp_path / "dump", info) as writer:
        writer.add_image(0, data=target.getvalue())
        for feature in range(8):
            exemplar = Exemplar(0, 3.0, "top", 1.0, Box(0, 0, 40, 40), None)
            writer.add_feature(FeatureRow(feature, 8, 5, 3.0, None, None), [exemplar])
    return tmp_path / "dump"


def written(folder: Path, dump: Path, control: float, known: str | None = None) -> Path:
    """A run whose eight features score .51, .52 … and their constant explanation `control`."""
    with open_dump(dump) as opened:
        info = run_info("seer-1", "judge-1", known).model_copy(update={"dump": reference(opened)})
    with RunWriter(folder, info) as writer:
        for feature in range(8):
            writer.explanation(explained(feature, images=(0,)))
            writer.score(scored(feature, 0.51 + feature / 100, controls={"constant": Control(value=control)}))
    return folder


@pytest.mark.parametrize(
    ("control", "said"),
    [
        (0.1, "The explanations beat their negative controls."),
        (0.6, "The explanations do not beat every negative control."),
    ],
)
def test_the_report_of_a_run_begins_with_its_controls(dump_path: Path, tmp_path: Path, control: float, said: str):
    page = report(written(tmp_path / "run", dump_path, control)).read_text()

    body = page[page.index("<body>") :]
    assert 0 < body.index(said) < body.index("<h1")
    assert body.index("<h1") < body.index("The judge is not calibrated")


def test_the_calibration_kept_in_the_run_is_among_the_facts(dump_path: Path, tmp_path: Path):
    run = written(tmp_path / "run", dump_path, 0.1, known="c" * 12)
    save_calibration(calibration(), run / "calibration.json")

    page = report(run).read_text()

    assert "0.90, 95 % interval 0.85 to 0.93" in page
    assert "not calibrated" not in page


def test_a_calibration_that_these_scores_do_not_use_is_passed_over(dump_path: Path, tmp_path: Path):
    run = written(tmp_path / "run", dump_path, 0.1)
    save_calibration(calibration(), run / "calibration.json")

    assert "The judge is not calibrated" in report(run).read_text()


class Noted(Silent):
    """Keeps the lines that a job would show."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_a_run_that_one_file_is_too_small_for_is_told_of(
    dump_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run = written(tmp_path / "run", dump_path, 0.1)
    small, large = Noted(), Noted()

    report(run, progress=small)
    monkeypatch.setattr("autointerp.jobs.report.LARGE", 7)
    report(run, limit=3, progress=large)

    assert small.notes == []
    assert large.notes == [
        "note: the run has 8 features and the page shows 3; --sample 7 shows a random sample, stratified by score; "
        f"all of them are in autointerp export {typed(run)} --to site"
    ]


def test_a_sample_is_stratified_by_score_and_drawn_by_its_seed(dump_path: Path, tmp_path: Path):
    run = written(tmp_path / "run", dump_path, 0.1)

    def cards(seed: int) -> list[int]:
        return [int(n) for n in re.findall(r'class="card" id="f(\d+)"', report(run, sample=4, seed=seed).read_text())]

    drawn = [cards(seed) for seed in range(8)]
    assert drawn[0] == cards(0)
    assert all(len(one) == 4 for one in drawn)
    assert len({tuple(one) for one in drawn}) > 1
    page = report(run, sample=4, seed=7).read_text()
    assert "They are a random sample by seed 7: one from each of 4 equal strata" in page
    # Of the 4 the best, the median and the worst are there by every seed.
    assert len(set.intersection(*map(set, drawn))) == 3
    assert "Those at the top of the page were not drawn: each stands in for the nearest one." in page


@pytest.mark.parametrize(
    ("options", "said"),
    [({"seed": 1}, "^seed: goes with sample"), ({"sample": 2, "limit": 3}, "^limit with sample: each says")],
)
def test_an_option_that_means_nothing_beside_the_others_is_refused(
    dump_path: Path, tmp_path: Path, options: dict[str, int], said: str
):
    run = written(tmp_path / "run", dump_path, 0.1)

    with pytest.raises(AutointerpError, match=said):
        report(run, **options)
    assert not (run / "report.html").exists()
