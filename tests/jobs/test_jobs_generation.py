"""`score --scorers generation` from end to end: an Images API that draws the words, and a planted network."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from PIL import Image
from standin.painting import Painting, Payload, error

from autointerp.commands.estimate import estimate
from autointerp.commands.merge import merge
from autointerp.commands.report import report
from autointerp.commands.score import score
from autointerp.errors import EndpointError, SettingsError
from autointerp.lmm.images.store import picture_file
from autointerp.runs.folder import open_run
from autointerp.settings import EngineSettings, ExplainSettings, PictureSettings, ScoreSettings
from autointerp.transcoder.settings import NetworkChoice
from benchmarks.truth.causal import planted_dump
from benchmarks.truth.causal_world import CELLS, COLOURS, PlantedNetwork

NETWORK = NetworkChoice(coder="raw:marks", backbone=PlantedNetwork())
TEXTS = ["a red mark", "a blue mark", "a green mark", "a yellow mark", "a magenta mark and a white mark"]
"""Of the latents local, displaced, context, redundant and mixed: true, true, half (no yellow one), wrong, true."""


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return planted_dump(tmp_path_factory.mktemp("planted"), 150, 0, whole=False)


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    file = tmp_path / "texts.csv"
    file.write_text("feature,text\n" + "".join(f"{i},{text}\n" for i, text in enumerate(TEXTS)))
    return file


def drawn(payload: Payload) -> Image.Image:
    """Marks of the colours that the prompt names, on a grey that depends on the seed."""
    prompt, seed = str(payload["prompt"]), int(str(payload["seed"]))
    cells = np.full((CELLS, CELLS, 3), 0.3 + 0.05 * (seed % 4))
    for place, colour in enumerate(colour for colour in COLOURS if f"{colour} mark" in prompt):
        cells[2 * place, 2] = 0.95 * np.array(COLOURS[colour])
    pixels = (255 * cells).round().astype(np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    return Image.fromarray(pixels, "RGB")


def settings(server: Painting, **more: object) -> ScoreSettings:
    pictures = PictureSettings(model="painter", base_url=server.url, size="64x64", n=8)
    return ScoreSettings.model_validate(
        {"scorers": ("generation",), "bootstrap": 200, "pictures": pictures, "min_active": 2} | more
    )


def adopted(dump: Path, texts: Path, run: Path, server: Painting, **more: object):
    return score(str(dump), explanations=texts, new_run=run, settings=settings(server), network=NETWORK, **more)


def lines(run: Path) -> dict[int, dict[str, object]]:
    """What was scored, without when."""
    found = [json.loads(line) for line in (run / "scores.jsonl").read_text().splitlines()]
    return {line["feature"]: {k: v for k, v in line.items() if k != "created"} for line in found}


def number(line: Mapping[str, object], name: str) -> float:
    details = line["details"]
    assert isinstance(details, dict)
    return details[name]


def test_pictures_of_true_explanations_fire_their_features_and_those_of_wrong_ones_do_not(
    dump: Path, texts: Path, tmp_path: Path
):
    with Painting(drawn) as server:
        adopted(dump, texts, tmp_path / "run", server)

    found = lines(tmp_path / "run")
    assert {i: number(found[i], "fires") for i in found} == {0: 1, 1: 1, 2: 0, 3: 0, 4: 1}
    assert all(float(str(found[i]["value"])) > 0.9 for i in (0, 1, 4))
    assert all(float(str(found[i]["value"])) < 0.6 for i in (2, 3))
    assert number(found[0], "selectivity_other") == 1.0
    assert number(found[0], "p_other") == pytest.approx(1 / 5)
    # The yellow mark of the wrong text fires no latent, and the red one of the first fires its own alone.
    assert number(found[0], "n_stronger") == 0
    # One set of eight pictures a text, and one of the text that says nothing.
    assert len(server.asked) == 8 * 6
    assert len({(p["prompt"], p["seed"]) for p in server.asked}) == 48


def test_each_picture_is_recorded_and_lies_in_the_runs_folder(dump: Path, texts: Path, tmp_path: Path):
    with Painting(drawn) as server:
        adopted(dump, texts, tmp_path / "run", server)

    made, silent = (lines(tmp_path / "run")[i]["generated"] for i in (0, 2))
    assert isinstance(made, list)
    assert isinstance(silent, list)
    assert len(made) == 8
    # The red mark is in the third cell of the first row, and fires its own cell alone.
    heats = [list(bytes.fromhex(one["heat"])) for one in made]
    assert all(heat[2] == 255 and sum(heat) == 255 and len(heat) == CELLS * CELLS for heat in heats)
    assert not any("heat" in one for one in silent)
    assert {one["style"] for one in made} == {"photograph", "snapshot", "plain", "drawing"}
    assert all(one["prompt"].startswith("a red mark.") and one["fires"] for one in made)
    assert all(picture_file(tmp_path / "run" / "pictures", one["picture"]) is not None for one in made)


def test_it_is_scored_again_from_the_cache_and_shards_come_to_the_same(dump: Path, texts: Path, tmp_path: Path):
    with Painting(drawn) as server:
        adopted(dump, texts, tmp_path / "run", server)
        whole, n = lines(tmp_path / "run"), len(server.asked)
        (tmp_path / "run" / "scores.jsonl").unlink()
        for i in range(2):
            score(str(tmp_path / "run"), settings=settings(server), network=NETWORK, shard=f"{i}/2")
        merge(str(tmp_path / "run"))

        assert len(server.asked) == n

    assert lines(tmp_path / "run") == whole
    made = whole[4]["generated"]
    assert isinstance(made, list)
    assert picture_file(tmp_path / "run" / "pictures", made[0]["picture"]) is not None


def test_the_controls_are_fixed_in_the_run_and_a_feature_scored_alone_has_the_same_score(
    dump: Path, texts: Path, tmp_path: Path
):
    with Painting(drawn) as server:
        adopted(dump, texts, tmp_path / "run", server)
        adopted(dump, texts, tmp_path / "alone", server, features="1")
        stage = open_run(tmp_path / "alone").info.score
        score(str(tmp_path / "alone"), settings=settings(server), network=NETWORK)

    assert stage is not None
    assert stage.controls is not None
    assert sorted(stage.controls.texts) == sorted(TEXTS)
    assert list(stage.controls.neighbours) == [1]
    both = [open_run(tmp_path / name).info.score for name in ("run", "alone")]
    assert both[0] == both[1]
    assert lines(tmp_path / "alone") == lines(tmp_path / "run")


def test_scores_of_a_judge_and_of_pictures_stand_in_one_judging(dump: Path, texts: Path, tmp_path: Path):
    with Painting(drawn) as server:
        plain = settings(server, scorers=("causal",), pictures=None)
        score(str(dump), explanations=texts, new_run=tmp_path / "run", settings=plain, network=NETWORK)
        score(str(tmp_path / "run"), settings=settings(server), network=NETWORK)
        score(str(tmp_path / "run"), settings=plain, network=NETWORK)

    info = open_run(tmp_path / "run").info
    assert info.more_scores == {}
    assert info.score is not None
    assert info.score.settings.pictures is not None
    assert info.score.controls is not None


def test_a_refused_prompt_leaves_a_feature_unscored_and_the_others_go_on(dump: Path, texts: Path, tmp_path: Path):
    blocked = error(400, "rejected by the safety system", code="moderation_blocked")

    with Painting(drawn, lambda payload, n: blocked if "blue" in str(payload["prompt"]) else None) as server:
        done = adopted(dump, texts, tmp_path / "run", server)

    found = lines(tmp_path / "run")
    assert found[1]["status"] == "unscored"
    assert "8 refused" in str(found[1]["reason"])
    assert {i for i in found if found[i]["status"] == "scored"} == {0, 2, 3, 4}
    assert done.failed == 0


def test_a_budget_in_dollars_stops_it_and_the_next_start_pays_only_what_is_left(
    dump: Path, texts: Path, tmp_path: Path
):
    prices = tmp_path / "prices.toml"
    prices.write_text("[painter]\nimage = 0.01\n")
    run = tmp_path / "run"

    with Painting(drawn) as server:
        done = adopted(dump, texts, run, server, prices=prices, engine=EngineSettings(budget="0.20usd", concurrency=1))
        assert len(server.asked) == 20
        assert done.spent == pytest.approx(0.20)
        assert done.failed
        score(str(run), settings=settings(server), network=NETWORK, prices=prices)

        assert len(server.asked) == 48

    assert {line["status"] for line in lines(run).values()} == {"scored"}


def test_without_an_image_model_or_a_scorer_for_it_one_line_says_so(dump: Path, texts: Path, tmp_path: Path):
    with Painting(drawn) as server:
        with pytest.raises(SettingsError, match=r"name who makes pictures with image_model"):
            score(
                str(dump),
                explanations=texts,
                new_run=tmp_path / "run",
                settings=settings(server, pictures=None),
                network=NETWORK,
            )
        with pytest.raises(SettingsError, match=r"image_model: no scorer that is named has pictures made"):
            score(
                str(dump),
                explanations=texts,
                new_run=tmp_path / "run",
                settings=settings(server, scorers=("causal",)),
                network=NETWORK,
            )
        server.fault = lambda payload, n: error(404, "Not Found")
        with pytest.raises(EndpointError, match=r"has no Images API"):
            adopted(dump, texts, tmp_path / "run", server)

        assert len(server.asked) == 1


def test_an_estimate_counts_pictures_and_what_they_cost(dump: Path):
    asked = {"models": ("gpt-4o",), "features": "0-2", "explain": ExplainSettings()}
    pictures = PictureSettings(model="gpt-image-1", quality="low")
    dear = ScoreSettings(scorers=("generation",), pictures=pictures)
    unknown = dear.model_copy(update={"pictures": PictureSettings(model="nobody-knows")})

    found, other = estimate(str(dump), score=dear, **asked), estimate(str(dump), score=unknown, **asked)

    # Eight of each of three explanations, and of the text that says nothing; $0.011 each.
    assert found.picture_dollars == pytest.approx(32 * 0.011)
    assert found.pictures.startswith("up to 32 pictures by gpt-image-1 at $0.011 each")
    assert "$0.35" in found.pictures
    # The 24 of explanations may be run twice, for their heat maps.
    assert found.passes == 56
    assert other.picture_dollars is None
    assert "not known" in other.pictures


def test_the_report_names_the_score_and_links_what_fires_more(dump: Path, texts: Path, tmp_path: Path):
    texts.write_text("feature,text\n3,a red mark\n0,a red mark\n")

    with Painting(drawn) as server:
        adopted(dump, texts, tmp_path / "run", server)
    report(str(tmp_path / "run"), out=tmp_path / "page.html")

    assert number(lines(tmp_path / "run")[3], "stronger") == "0"
    page = (tmp_path / "page.html").read_text()
    assert '<a href="#f0">feature 0</a>' in page.split('<article class="card" id="f3"')[1].split("</article>")[0]
    assert "Generation, AUROC" in page
