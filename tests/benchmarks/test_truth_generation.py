"""The planted world of generation scores: what its network sees, what its endpoint paints and what its judge says."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from autointerp import ScoreSettings, open_dump
from autointerp.schema import Scored
from benchmarks.truth.generation.__main__ import JSON, README
from benchmarks.truth.generation.figures import Found, auroc, coverage, f1, p_paired, ranking
from benchmarks.truth.generation.network import ABOVE
from benchmarks.truth.generation.painter import Painter
from benchmarks.truth.generation.planted import GENERIC, LATENTS
from benchmarks.truth.generation.running import World, concepts, endpoint_of, make_world, scored, texts_of
from benchmarks.truth.generation.stages import Said, Size, Stage
from benchmarks.truth.generation.tables import below, fault, markdown


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world"), 300, 0)


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setenv("AUTOINTERP_CACHE", str(tmp_path / "cache"))


def test_latents_fire_where_their_true_texts_hold(world: World):
    fires = world.activations > ABOVE

    agree = [f1(world.extension(text), fires[:, i]) for i, text in texts_of("true").items()]

    assert min(agree) > 0.85
    assert np.mean(agree) > 0.97


def test_the_dump_has_the_activations_that_slow_code_finds(world: World):
    with open_dump(world.folder / "dump") as dump:
        off = [abs(world.activations[e.image, f.id] - e.activation) for f in dump.features() for e in f.exemplars]

    assert max(off) < 1e-5


def test_texts_are_wrong_in_the_way_that_their_kind_says(world: World):
    for latent in LATENTS:
        own = {kind: world.extension(concept.text) for kind, concept in latent.texts.items()}

        assert not np.any(own["true"] & ~own["too broad"]), latent
        assert not np.any(own["too narrow"] & ~own["true"]), latent
        assert own["too narrow"].sum() < own["true"].sum() < own["too broad"].sum() < own["generic"].sum() == 300
        assert "half" not in own or 0 < own["half"].sum() < own["true"].sum()


def test_pictures_show_what_a_prompt_says_whatever_stands_around_it(world: World):
    painter = Painter(concepts(), 1)

    shown = world.encoded([painter.paint("exact", f"A photograph of {texts_of('true')[10]}.", n) for n in range(20)])
    astray = world.encoded([painter.paint("noisy", f"A photograph of {texts_of('true')[10]}.", n) for n in range(20)])

    assert (shown[:, 10] > ABOVE).all()
    assert 8 <= (astray[:, 10] > ABOVE).sum() < 20


def test_a_judge_that_knows_scenes_gives_detection_what_the_texts_are_worth(world: World, tmp_path: Path):
    settings = ScoreSettings(scorers=("detection",), layout="separate", n_controls=0, bootstrap=100)

    with endpoint_of(world, 1) as endpoint:
        found = {
            kind: scored(
                world, texts_of(kind), tmp_path / kind, settings, judge_model="knows", judge_base_url=endpoint.url
            ).values()
            for kind in ("true", "wrong")
        }

    assert min(score.value for score in found["true"] if isinstance(score, Scored)) > 0.85
    assert max(score.value for score in found["wrong"] if isinstance(score, Scored)) < 0.5


def test_pictures_of_true_texts_fire_their_latents_and_those_of_dealt_ones_do_not(world: World, tmp_path: Path):
    true = {i: text for i, text in texts_of("true").items() if i % 5 == 0}
    dealt = dict(zip(true, [*list(true.values())[1:], true[0]], strict=True))
    few = Size(many=24)

    with endpoint_of(world, 1) as endpoint:
        stage = Stage(world, endpoint, 0, few)
        own, others = (stage.generation("exact", kind, 0, of) for kind, of in (("true", true), ("dealt", dealt)))
        estimated = {i: stage.estimated("exact", text, i) for i, text in true.items()}

    for i, score in own.items():
        other = others[i]
        assert isinstance(score, Scored)
        assert isinstance(other, Scored)
        assert score.value > 0.75
        assert score.value > other.value
        assert score.low <= estimated[i] <= score.high
        assert score.number("fires") == 1.0


def test_refused_prompts_are_missing_pictures_and_no_zeros(world: World):
    painter = Painter(concepts(), 1)
    prompts = [f"{text} in a photograph" for text in concepts()]

    refused = [painter.refuses("refusing", prompt) for prompt in prompts]

    assert 0 < sum(refused) < len(prompts) / 3
    assert not any(painter.refuses("exact", prompt) for prompt in prompts)


def found(latent: int, kind: str, value: float | None, worth: float, by: str = "exact") -> Found:
    return Found(latent, kind, by, 0, value, 0.0, 1.0, 0.5, worth)


def test_a_fault_is_bold_where_every_one_of_eight_latents_scores_lower():
    scores = [found(i, kind, value, 1.0) for i in range(8) for kind, value in (("true", 0.9), ("wrong", 0.5))]
    mixed = [found(i, "half", 0.95 if i == 0 else 0.9, 0.7) for i in range(8)]

    assert fault([*scores, *mixed], "wrong") == "**0.50**"
    assert fault([*scores, *mixed], "half") == "0.91"
    assert fault([*scores, *mixed], "true") == "0.90"
    assert fault(scores, "half") == "–"


def test_both_rank_better_where_each_errs_on_other_texts():
    worth = np.tile([4.0, 3.0, 2.0, 1.0], 3)[None]
    one, other = np.tile([4.0, 2.0, 3.0, 1.0], 3)[None], np.tile([2.0, 3.5, 1.0, 1.5], 3)[None]

    found = ranking(one, other, worth, np.repeat([0, 1, 2], 4))

    assert found["detection"] == pytest.approx((0.8, 0.8, 0.8))
    assert found["generation"][0] < 0.8
    # 8, 7, 3 and 1.5 are in the order of the truth.
    assert found["product"] == pytest.approx((1.0, 1.0, 1.0))
    assert found["product − detection"] == pytest.approx((0.2, 0.2, 0.2))


def test_a_text_is_below_a_cutoff_where_its_images_match_and_as_many_others_do():
    figures = [(1.0, 0.7), (1.0, 0.8), (0.6, 0.7), (0.3, 0.2), (0.5, 0.4)]
    found = [Said(2, "knows", "too broad", None, *each, undetermined=False) for each in figures]
    open_one = Said(2, "knows", "too broad", None, 1.0, 0.1, undetermined=True)

    # The first and the last: precise enough, less recall, no match.
    assert below([*found, open_one], "knows", ("too broad",), 0.75) == 2 / 5
    assert below(found, "knows", ("too broad",), 0.9) == 3 / 5
    assert below(found, "errs", ("too broad",), 0.75) is None


def test_coverage_counts_scores_alone():
    own = [Found(0, "true", "exact", 0, 0.5, low, 0.7, 0.4, 1.0) for low in (0.3, 0.45)]

    assert coverage([*own, found(1, "true", None, 1.0)]) == (0.5, pytest.approx(0.325), pytest.approx(0.1), 2)


def test_the_committed_tables_are_those_of_the_committed_figures():
    page = README.read_text(encoding="utf-8")

    for name, rows in json.loads(JSON.read_text(encoding="utf-8")).items():
        marks = (f"<!-- generation: {name} -->", f"<!-- /generation: {name} -->")
        assert page.split(marks[0])[1].split(marks[1])[0].strip() == markdown(rows)


def test_figures_are_those_one_can_count():
    assert f1(np.array([1, 1, 0, 0], bool), np.array([1, 0, 1, 0], bool)) == 0.5
    assert auroc(np.array([1.0, 3.0]), np.array([0.0, 1.0, 2.0])) == (1.5 / 3 + 1) / 2
    # Of the 16 ways to sign four differences of 1 only one has as large a mean.
    assert p_paired([2.0] * 4, [1.0] * 4) == 1 / 16
    assert p_paired([2.0] * 20, [1.0] * 20) == 1 / 10_000
    assert GENERIC.text == "an object"
