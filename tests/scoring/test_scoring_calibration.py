import json
from pathlib import Path

import pytest

from autointerp.errors import SettingsError
from autointerp.schema import Usage
from autointerp.scoring.calibration import (
    Calibration,
    KindCalibration,
    corrects,
    family,
    family_warning,
    idle_because,
    load_calibration,
    save_calibration,
    warnings_for,
    weaknesses,
)
from autointerp.settings import RegionSettings, ScoreSettings
from autointerp.statistics.rates import wilson


def kind(name: str, se: float, sp: float) -> KindCalibration:
    return KindCalibration(
        kind=name,
        n_true=10,
        n_false=10,
        sensitivity=se,
        sensitivity_low=0,
        sensitivity_high=1,
        specificity=sp,
        specificity_low=0,
        specificity_high=1,
    )


def calibration(se: float = 0.9, sp: float = 0.8, *kinds: KindCalibration, **changes: object) -> Calibration:
    """Of the judge `gemini-3-flash` on sheets of 12 at 224 pixels."""
    whole = {
        "n_true": 100,
        "n_false": 100,
        "sensitivity": se,
        "sensitivity_low": 0.0,
        "sensitivity_high": 1.0,
        "specificity": sp,
        "specificity_low": 0.0,
        "specificity_high": 1.0,
        "kinds": kinds,
        "formats": (),
        "order": None,
        "agreements": (),
        "near_yes": None,
        "random_yes": None,
        "position": None,
        "unanswered": 0,
        "model": "gemini-3-flash",
        "prompt": "0" * 12,
        "layout": "sheet",
        "per_call": 12,
        "rendering": "full",
        "side": 224,
        "planted": (128, 256),
        "seed": 0,
        "usage": Usage(),
        "created": "2026-01-31T12:00:00Z",
        "version": "0.1.0",
    }
    return Calibration.model_validate(whole | changes)


def test_youden_is_what_sensitivity_and_specificity_pass_one_by():
    assert calibration(0.9, 0.8).youden == pytest.approx(0.7)


def test_what_is_saved_is_loaded(tmp_path: Path):
    before, file = calibration(0.9, 0.8, kind("shape", 1.0, 0.5)), tmp_path / "new" / "judge.json"

    save_calibration(before, file)

    assert load_calibration(file) == before
    assert [p.name for p in file.parent.iterdir()] == ["judge.json"]


def test_a_missing_file_says_how_to_make_it(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"no\.json: no such file; `autointerp calibrate"):
        load_calibration(tmp_path / "no.json")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "whole file: Invalid JSON"),
        ('{"model": "m"}', "n_true: Field required"),
    ],
)
def test_another_file_is_refused_in_one_line(tmp_path: Path, content: str, said: str):
    file = tmp_path / "bad.json"
    file.write_text(content)

    with pytest.raises(SettingsError) as caught:
        load_calibration(file)

    assert f"bad.json: {said}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_is_no_calibration(tmp_path: Path):
    with pytest.raises(SettingsError, match="cannot be read"):
        load_calibration(tmp_path)


def test_a_calibration_that_cannot_be_written_names_the_file(tmp_path: Path):
    (tmp_path / "file").write_text("")

    with pytest.raises(SettingsError, match=r"file/x\.json: cannot be written"):
        save_calibration(calibration(), tmp_path / "file" / "x.json")


def test_a_good_judge_of_another_family_with_the_same_settings_gives_no_warning():
    same = ScoreSettings(region=RegionSettings(side=224))

    assert warnings_for(calibration(), "gemini-3-flash", "gpt-5-mini", "0" * 12, same) == ()


@pytest.mark.parametrize(
    ("judge", "explainer", "said"),
    [
        ("gpt-5-mini", "gpt-5-mini", "the judge is the explainer, gpt-5-mini"),
        ("openai/gpt-5-mini", "gpt-4o", "of one family"),
        ("qwen2.5-vl-7b", "Qwen/Qwen3-VL-8B", "of one family"),
    ],
)
def test_a_judge_that_is_kin_to_the_explainer_is_told(judge: str, explainer: str, said: str):
    (line,) = family_warning(judge, explainer)

    assert said in line


def test_strangers_are_not_kin():
    assert family_warning("gemini-3-flash", "gpt-5-mini") == ()
    assert family_warning("o4-mini", "omni-2") == ()


@pytest.mark.parametrize(
    ("model", "name"),
    [("gpt-5-mini", "gpt"), ("google/gemini-3-flash", "gemini"), ("local@12ab", "local"), ("o4-mini", "o4")],
)
def test_a_family_is_the_first_word_of_the_name(model: str, name: str):
    assert family(model) == name


def test_another_model_prompt_and_layout_are_told_in_a_line_each():
    settings = ScoreSettings(layout="separate", per_call=4, region=RegionSettings(side=224))

    lines = warnings_for(calibration(), "claude-x", "gpt-5-mini", "1" * 12, settings)

    assert lines == (
        "the calibration is of gemini-3-flash, the judge is claude-x: calibrate the judge itself",
        "calibrated with another judging prompt (000000000000, now 111111111111)",
        "calibrated with sheet of 12, 224 px, judging with separate of 4, 224 px",
    )


def test_a_judge_calibrated_at_another_detail_is_told():
    alike = ScoreSettings(layout="sheet", per_call=12, region=RegionSettings(side=224))

    lines = warnings_for(calibration(), "gemini-3-flash", "gpt-5-mini", "0" * 12, alike, "low")

    assert lines == ("calibrated with sheet of 12, 224 px, judging with sheet of 12, 224 px at low detail",)


def test_single_images_are_the_same_in_either_layout():
    single = calibration(layout="separate", per_call=1)
    settings = ScoreSettings(layout="sheet", per_call=1, region=RegionSettings(side=224))

    assert warnings_for(single, "gemini-3-flash", "gpt-5-mini", "0" * 12, settings) == ()


def test_a_weak_judge_is_told_overall_and_by_kind():
    weak = calibration(0.7, 0.7, kind("count", 0.6, 0.8), kind("shape", 0.8, 0.8), kind("shadow", 1.0, 0.0))

    overall, by_kind = weaknesses(weak)

    assert overall.startswith("the judge is weak: sensitivity 0.70, specificity 0.70 on planted images; together 1.40")
    assert by_kind.endswith("count (0.60 and 0.80), shadow (1.00 and 0.00)")


def test_a_calibration_corrects_what_is_shown_as_its_images_were_and_nothing_else():
    shown = ScoreSettings(layout="sheet", per_call=12, region=RegionSettings(side=224))
    parts = shown.model_copy(update={"rendering": "crop"})

    assert idle_because(calibration(), shown) is None
    assert idle_because(calibration(rendering="crop"), parts) is None
    assert idle_because(calibration(), parts) == (
        "calibrated on images shown as full, judging crop: the error rates are those of another question, and no score "
        "is corrected by them"
    )
    assert warnings_for(calibration(), "gemini-3-flash", "gpt-5-mini", "0" * 12, parts) == (
        idle_because(calibration(), parts),
    )


def test_a_calibration_on_whole_scenes_alone_corrects_nothing_and_still_loads(tmp_path: Path):
    old = calibration().model_dump(mode="json")
    del old["planted"]
    (tmp_path / "old.json").write_text(json.dumps(old))

    known = load_calibration(tmp_path / "old.json")

    assert idle_because(known, ScoreSettings()) == corrects(known)
    assert corrects(known).startswith("calibrated on whole scenes of 256 pixels by an earlier version")


def test_a_ceiling_says_what_it_can_correct():
    # Of 100 each without an error the Wilson bounds leave z²/(n + z²), 3.7 %.
    bound = 1 - wilson(100, 100).low
    perfect = calibration(1.0, 1.0, sensitivity_low=1 - bound, specificity_low=1 - bound)

    assert corrects(calibration()) == "corrects scores judged as sheet of 12, of images of 128 to 256 pixels"
    assert corrects(perfect) == (
        "corrects scores judged as sheet of 12, of images of 128 to 256 pixels; no error was met, so that it changes "
        "no score: at 95 % the judge misses up to 3.7% and falsely accepts up to 3.7%, which its interval holds"
    )
