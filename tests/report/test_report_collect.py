from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from report_world import calibration, explained, run_info, scored, separation

from autointerp.dump.format import DumpInfo
from autointerp.dump.reader import open_dump
from autointerp.dump.writer import DumpWriter
from autointerp.images.renderer import Renderer
from autointerp.reports.collect import LOCAL_NOTE, collect, judge_facts, judge_notes
from autointerp.reports.page import write_report
from autointerp.runs.folder import Run, RunWriter, open_run
from autointerp.schema import Box, Exemplar, FeatureRow


def png(colour: str) -> bytes:
    target = BytesIO()
    Image.new("RGB", (80, 60), colour).save(target, "PNG")
    return target.getvalue()


@pytest.fixture
def dump_path(tmp_path: Path) -> Path:
    """Feature 2 of 4: active on a red and a blue picture, silent on a white one."""
    info = DumpInfo(
        name="drawn",
        created="2026-11-23T12:00:00+00:00",
        created_by="a test",
        model="ViT",
        hookpoint="block 3",
        n_latents=4,
        widths=(4,),
        n_images=100,
        active_above=0.0,
    )
    with DumpWriter(tmp_path / "dump", info) as writer:
        for image, colour in enumerate(("red", "blue", "white")):
            writer.add_image(image, data=png(colour))
        active = [Exemplar(i, 3.0 - i, "top", 1.0, Box(0, 0, 40, 40), None) for i in range(2)]
        silent = Exemplar(2, 0.0, "silent", 0.1, None, None)
        writer.add_feature(FeatureRow(2, 4, 5, 3.0, None, None), [*active, silent])
    return tmp_path / "dump"


def renderer_of(read) -> Renderer:
    return Renderer(read, workers=1, decoded_mb=4, encoded_mb=4, max_pixels=10_000)


def test_a_run_on_disk_becomes_one_file(dump_path: Path, tmp_path: Path):
    with RunWriter(tmp_path / "first", run_info("seer-1", "judge-1")) as writer:
        writer.explanation(explained(2))
        writer.score(scored(2, 0.75))

    with open_dump(dump_path) as dump:
        renderer = renderer_of(dump.image_source)
        run = open_run(tmp_path / "first")
        data = collect(run, dump, renderer, None, separations=lambda _: (separation(),), calibration=None)
        info = write_report(data, tmp_path / "r.html", limit=9)
        renderer.close()

    # Two active pictures cropped and whole, the silent one whole.
    text = info.path.read_text()
    assert (info.features, info.cards, info.pictures, info.broken) == (1, 1, 5, 0)
    assert info.size == len(text.encode())
    assert "<title>first</title>" in text
    assert "a red wheel" in text
    assert str(tmp_path) not in text


def test_the_facts_name_dump_models_prompts_seed_and_versions(dump_path: Path, tmp_path: Path):
    with open_dump(dump_path) as dump:
        run = Run(tmp_path / "first", run_info("seer-1", "judge-1"))
        data = collect(
            run,
            dump,
            renderer_of(dump.image_source),
            "A title",
            separations=lambda _: (separation(),),
            calibration=None,
        )

    assert data.title == "A title"
    assert data.facts["Dump"] == "drawn"
    assert data.facts["Explainer"] == "seer-1"
    assert data.facts["Judge"] == "judge-1"
    assert data.facts["Prompts"] == "explain 0123456789ab, judge ba9876543210"
    assert data.facts["Seed"] == "7"
    assert data.facts["Run made"] == "2026-11-23 by autointerp 0.1.0"
    assert data.notes == judge_notes(run.info, None)
    assert data.separations(()) == (separation(),)
    assert data.info.attribute is None


def test_a_calibrated_judge_has_its_rates_with_bounds_and_the_day_among_the_facts():
    facts = judge_facts(run_info("seer-1", "judge-1", "c" * 12), calibration())

    assert facts == {
        "Judge": "judge-1",
        "Judge calibrated": "2026-11-20, 500 judgements of known truth",
        "Judge's sensitivity": "0.90, 95 % interval 0.85 to 0.93",
        "Judge's specificity": "0.80, 95 % interval 0.75 to 0.84",
    }


def test_a_run_that_is_not_scored_has_no_judge():
    info = run_info("seer-1", None)

    assert judge_facts(info, None) == {}
    assert judge_notes(info, None) == ()


def test_a_calibration_that_speaks_for_these_scores_leaves_nothing_to_note():
    assert judge_notes(run_info("seer-1", "judge-1", "c" * 12), calibration()) == ()


@pytest.mark.parametrize(
    ("more", "beginning"),
    [
        ({"model": "judge-0"}, "The calibration is of judge-0, the judge is judge-1"),
        ({"side": 224}, "Calibrated with sheet of 12, 224 px"),
        ({"prompt": "a" * 12}, "Calibrated with another judging prompt"),
        ({"sensitivity": 0.6}, "The judge is weak: sensitivity 0.60, specificity 0.80"),
    ],
)
def test_each_doubt_about_a_calibration_is_a_note(more: dict[str, object], beginning: str):
    (note,) = judge_notes(run_info("seer-1", "judge-1", "c" * 12), calibration(**more))

    assert note.startswith(beginning)
    assert note.endswith(".")


def test_an_uncalibrated_judge_is_noted_with_the_command_that_calibrates_it():
    (note,) = judge_notes(run_info("seer-1", "judge-1"), None)

    assert note.startswith("The judge is not calibrated")
    assert "“autointerp calibrate --model judge-1”" in note


def test_a_calibration_that_is_gone_from_the_folder_is_not_taken_for_none():
    (note,) = judge_notes(run_info("seer-1", "judge-1", "abcdefabcdef"), None)

    assert "(abcdefabcdef) that is no longer in the run's folder" in note


def test_a_judge_that_wrote_the_explanations_or_is_of_their_family_is_noted():
    same = judge_notes(run_info("seer-1", "seer-1"), None)
    kin = judge_notes(run_info("seer-1", "seer-2"), None)

    assert same[0].startswith("The judge is the explainer, seer-1, and models favour their own words")
    assert kin[0] == "Judge seer-2 and explainer seer-1 are of one family, which judges favour."


@pytest.mark.parametrize(("explainer", "judge"), [("local@a1", "judge-1"), ("seer-1", "local@a1")])
def test_the_embedded_model_is_noted_on_either_side(explainer: str, judge: str):
    notes = judge_notes(run_info(explainer, judge), None)

    assert notes[0] == LOCAL_NOTE
    assert ("--model local”" in notes[-1]) == (judge == "local@a1")
