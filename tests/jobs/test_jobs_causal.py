"""`score --scorers causal` from end to end on a planted network: no model is asked, no key is needed."""

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

from autointerp.commands.estimate import estimate
from autointerp.commands.merge import merge
from autointerp.commands.report import report
from autointerp.commands.score import score
from autointerp.errors import SettingsError
from autointerp.runs.folder import open_run
from autointerp.settings import ExplainSettings, ScoreSettings
from autointerp.transcoder.settings import NetworkChoice
from benchmarks.truth.causal import planted_dump
from benchmarks.truth.causal_world import PlantedNetwork

SETTINGS = ScoreSettings(scorers=("causal",), n_causal=8, bootstrap=200)
PLANTED = PlantedNetwork()
NETWORK = NetworkChoice(coder="raw:marks", backbone=PLANTED)


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return planted_dump(tmp_path_factory.mktemp("planted"), 150, 0, whole=False)


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "AUTOINTERP_BASE_URL", "AUTOINTERP_JUDGE_MODEL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AUTOINTERP_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    file = tmp_path / "texts.csv"
    file.write_text("feature,text\n" + "".join(f"{i},a mark number {i}\n" for i in range(5)))
    return file


def lines(run: Path) -> dict[int, dict[str, object]]:
    """What was scored, without when."""
    found = [json.loads(line) for line in (run / "scores.jsonl").read_text().splitlines()]
    return {line["feature"]: {k: v for k, v in line.items() if k != "created"} for line in found}


def adopted(dump: Path, texts: Path, run: Path, network: NetworkChoice = NETWORK):
    return score(str(dump), explanations=texts, new_run=run, settings=SETTINGS, network=network)


def test_a_run_is_scored_without_a_judge_and_again_from_the_cache(dump: Path, texts: Path, tmp_path: Path):
    adopted(dump, texts, tmp_path / "run")
    first = lines(tmp_path / "run")
    n_run = PLANTED.n_run

    adopted(dump, texts, tmp_path / "again")

    assert [first[i]["value"] for i in (0, 1)] == [1.0, 0.0]
    assert lines(tmp_path / "again") == first
    assert PLANTED.n_run == n_run


def test_without_a_judge_scores_stand_beside_those_of_the_first_one(dump: Path, texts: Path, tmp_path: Path):
    score(str(dump), explanations=texts, new_run=tmp_path / "run", settings=SETTINGS, network=NETWORK, judge="j")

    done = score(str(tmp_path / "run"), settings=SETTINGS, network=NETWORK)

    info = open_run(tmp_path / "run").info
    assert info.score is not None
    assert (info.score.judge.model, info.more_scores, done.before) == ("j", {}, 5)


def test_shards_and_what_was_stopped_come_to_the_same(dump: Path, texts: Path, tmp_path: Path):
    adopted(dump, texts, tmp_path / "run")
    whole = lines(tmp_path / "run")
    (tmp_path / "run" / "scores.jsonl").unlink()

    for i in range(2):
        score(str(tmp_path / "run"), settings=SETTINGS, network=NETWORK, shard=f"{i}/2")
    merge(str(tmp_path / "run"))

    assert lines(tmp_path / "run") == whole


def test_without_a_coder_it_stops_before_anything_is_written(dump: Path, texts: Path, tmp_path: Path):
    with pytest.raises(SettingsError, match="name its coder with coder"):
        adopted(dump, texts, tmp_path / "run", NetworkChoice())

    assert lines(tmp_path / "run") == {}


def test_the_report_marks_the_feature_whose_crops_do_not_fire_it_and_shows_the_pictures(
    dump: Path, texts: Path, tmp_path: Path
):
    adopted(dump, texts, tmp_path / "run")

    report(str(tmp_path / "run"), out=tmp_path / "page.html")

    page = (tmp_path / "page.html").read_text()
    cards = {i: page.split(f'<article class="card" id="f{i}"')[1].split("</article>")[0] for i in (0, 1)}
    assert "crops do not fire it" in cards[1]
    assert "crops do not fire it" not in cards[0]
    assert "taken away: " in cards[0]
    assert "put into image" in cards[0]


def test_an_estimate_counts_the_forward_passes(dump: Path):
    asked = {"models": ("gpt-4o",), "features": "0", "explain": ExplainSettings()}

    found = estimate(str(dump), score=SETTINGS, **asked)
    none = estimate(str(dump), score=ScoreSettings(), **asked)

    # Ten pictures of each of eight images, and twelve regions of another feature.
    assert (found.passes, none.passes) == (92, 0)
