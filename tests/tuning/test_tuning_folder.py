"""The folder of a tuned explainer."""

import json
from pathlib import Path

import pytest
from pydantic import JsonValue

from autointerp.errors import SettingsError
from autointerp.runs.info import DumpReference
from autointerp.tuning.folder import Features, TuneFolder, TuneInfo, measured


def info(digest: str = "d", train: tuple[int, ...] = (1, 2), **settings: JsonValue) -> TuneInfo:
    return TuneInfo(
        version="1",
        versions={"torch": "2"},
        created="2026-01-31T12:00:00+00:00",
        dump=DumpReference(name="n", path="/dump", digest=digest, n_latents=8),
        features=Features(train=train, held_out=(3,)),
        settings=settings,
    )


def test_figures_of_steps_that_are_done_again_are_dropped_and_a_torn_line_too(tmp_path: Path):
    with TuneFolder(tmp_path / "out", info()) as folder:
        folder.begin(0)
        for step in (1, 2, 3):
            folder.metric(step, {"reward": step / 10})
    with (tmp_path / "out" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "rew')

    with TuneFolder(tmp_path / "out", info()) as folder:
        folder.begin(2)
        folder.metric(3, {"reward": 0.5})

    lines = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    assert [(line["step"], line["reward"]) for line in lines] == [(1, 0.1), (2, 0.2), (3, 0.5)]


OTHERS = [
    (info("e", steps=3, explain={"n_top": 8}), "was made with another dump, /dump; give another --out"),
    (info(steps=4, explain={"n_top": 8}), "was made with steps 3, which is now 4; give the same, or another --out"),
    (
        info(steps=3, explain={"n_top": 2}),
        "was made with explain.n_top 8, which is now 2; give the same, or another --out",
    ),
    (info(train=(1,), steps=3, explain={"n_top": 8}), "was made with other features; give the same, or another --out"),
]


@pytest.mark.parametrize(("other", "message"), OTHERS)
def test_a_folder_of_something_else_is_refused_by_name(other: TuneInfo, message: str, tmp_path: Path):
    TuneFolder(tmp_path / "out", info(steps=3, explain={"n_top": 8})).__exit__(None, None, None)

    with pytest.raises(SettingsError) as caught:
        TuneFolder(tmp_path / "out", other)

    assert str(caught.value) == f"{tmp_path / 'out'}: {message}"


def test_a_folder_in_use_is_refused(tmp_path: Path):
    with (
        TuneFolder(tmp_path / "out", info()),
        pytest.raises(SettingsError, match="another autointerp is working on it"),
    ):
        TuneFolder(tmp_path / "out", info())


def test_an_interval_is_over_the_features_that_have_the_figure():
    found = measured(
        {"reward": [0.5, 0.5, 0.5], "collapse": [float("nan"), 1.0, 0.0], "none": [float("nan")], "one": [2.0]}, 0
    )

    assert (found["reward"].mean, found["reward"].low, found["reward"].high) == (0.5, 0.5, 0.5)
    assert (found["collapse"].mean, found["collapse"].low, found["collapse"].high) == (0.5, 0.0, 1.0)
    assert (found["one"].mean, found["one"].low, found["one"].high) == (2.0, None, None)
    assert "none" not in found


def test_a_folder_whose_maker_was_killed_at_once_is_gone_on_with(tmp_path: Path):
    out = tmp_path / "out"
    out.mkdir()
    (out / ".lock").touch()
    (out / ".tune.json").write_text('{"half')

    with TuneFolder(out, info()) as folder:
        assert folder.info == info()

    assert json.loads((out / "tune.json").read_text())["version"] == "1"
