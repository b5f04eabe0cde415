"""The calibration of scripted judges whose error is known; they see no pixel, only which scene is asked about."""

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from random import Random

import pytest

from autointerp.calibration.questions import Plan, make_plan
from autointerp.commands.calibrate import SIDES, calibrate, slug
from autointerp.dump.reader import open_dump
from autointerp.errors import EndpointError, SettingsError
from autointerp.images.picture import Tile, longest
from autointerp.jobs.calibrate import CalibrationResult
from autointerp.lmm.outcomes import CallError
from autointerp.lmm.request import Completion, Images, Request
from autointerp.scoring.calibration import Calibration, load_calibration
from autointerp.scoring.sampling import make_pool
from autointerp.session import gateway as session
from autointerp.settings import EngineSettings, ScoreSettings
from autointerp.synthetic.concepts import CONCEPTS, KINDS, holds_all, likeness
from autointerp.synthetic.evidence import GRID, write_dump

CALLS = 60
BY_TEXT = {c.text: c for c in CONCEPTS}
Fit = Callable[[str, int, bool, int, int], str]
"""The answer by concept, image, truth, place and number of images in the call."""


REFUSED = "refused"


class Judging:
    """Answers by truth and habit."""

    def __init__(self, plan: Plan, fit: Fit) -> None:
        self.plan = plan
        self.fit = fit
        self.asked = 0

    async def complete(self, request: Request, images: Images, slot: AbstractAsyncContextManager[object]) -> Completion:
        self.asked += 1
        concept = BY_TEXT[request.subject]
        ids = [tile.image for picture in request.pictures for tile in picture.tiles]
        async with slot:
            told = {
                f"image_{p + 1}": self.fit(concept.text, i, bool(holds_all(concept, self.plan.scenes)[i]), p, len(ids))
                for p, i in enumerate(ids)
            }
        refusal = "not this one" if REFUSED in told.values() else None
        return Completion(json.dumps(told), 100, 10, 0, "stop", refusal, "judge-2026")


def truly(text: str, image: int, true: bool, place: int, n: int) -> str:
    return "yes" if true else "no"


@pytest.fixture(scope="module")
def plan() -> Plan:
    """Twenty boards of 12, ten of them in each further format of many, and twenty single images."""
    return make_plan(ScoreSettings(), CALLS, 0)


@pytest.fixture(scope="module")
def drawn(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The planted images, drawn once."""
    folder = tmp_path_factory.mktemp("planted") / "dump"
    write_dump(folder, plan.name, "2026-01-31T12:00:00Z", plan.scenes, plan.features, SIDES)
    return folder


Run = Callable[[Fit], CalibrationResult]


@pytest.fixture
def ask(plan: Plan, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Calibrates a judge with that habit."""

    def run(fit: Fit) -> CalibrationResult:
        client = Judging(plan, fit)
        monkeypatch.setattr(session, "_client", lambda *_: client)
        engine = EngineSettings(concurrency=4, attempts=1)
        return calibrate(model="judge", out=tmp_path / "judge.json", calls=CALLS, engine=engine, keep_images=drawn)

    return run


def found(result: CalibrationResult) -> Calibration:
    assert result.calibration is not None, result
    return result.calibration


def test_a_third_of_the_calls_is_in_the_own_format_and_a_sixth_in_each_other_one(plan: Plan):
    counts = {form.text: sum(call.form == form for call in plan.asked) for form in plan.forms}

    assert counts == {
        "sheet of 12": 20,
        "single images": 10,
        "separate of 12": 10,
        "sheet of 12 as crop": 10,
        "sheet of 12 reversed": 10,
    }
    assert all(len(call.placed) == call.form.per_call for call in plan.asked)


def test_boards_differ_in_their_share_and_hold_near_misses_and_random_images(plan: Plan):
    boards = [call for call in plan.asked if call.form == plan.forms[0]]
    shares = [sum(origin == "true" for _, origin in b.placed) for b in boards]
    near, random = (sum(o == kind for b in boards for _, o in b.placed) for kind in ("near", "random"))

    assert len(set(shares)) >= 5
    assert 80 <= sum(shares) <= 160
    assert min(near, random) >= 35


def test_half_of_the_single_images_is_true_a_quarter_near_and_a_quarter_random(plan: Plan):
    origins = [call.placed[0][1] for call in plan.asked if call.form.per_call == 1]

    assert (origins.count("true"), origins.count("near"), origins.count("random")) == (5, 3, 2)


def test_images_are_true_near_or_random_by_the_scenes_themselves(plan: Plan):
    for call in plan.asked:
        concept = plan.concepts[call.number]
        for exemplar, origin in call.placed:
            assert bool(holds_all(concept, plan.scenes)[exemplar.image]) is (origin == "true")


def test_no_image_comes_twice_on_the_boards_of_a_concept(plan: Plan):
    seen = [(c.number, e.image) for c in plan.asked if c.form == plan.forms[0] for e, _ in c.placed]

    assert len(set(seen)) == len(seen) == 240


def test_a_run_of_single_images_is_calibrated_by_them():
    forms = make_plan(ScoreSettings(per_call=1), 12, 0).forms

    assert [f.text for f in forms] == [
        "single images",
        "sheet of 12",
        "separate of 12",
        "sheet of 12 as crop",
        "sheet of 12 reversed",
    ]


def test_a_judge_that_sees_all_has_no_error(ask: Run, tmp_path: Path):
    result = ask(truly)

    c = found(result)
    assert (c.sensitivity, c.specificity, c.n_true + c.n_false, c.unanswered) == (1.0, 1.0, 240, 0)
    assert c.order is not None
    assert (c.order.equal, c.order.kappa, c.order.n) == (1.0, 1.0, 120)
    assert [a.kappa for a in c.agreements] == [1.0, 1.0, 1.0]
    assert [k.kind for k in c.kinds] == sorted(KINDS)
    assert c.usage.calls == result.done == result.selected == 60
    assert [f.input_tokens for f in c.formats] == [2000, 1000, 1000, 1000]
    assert (result.warnings, result.complete) == ((), True)
    assert load_calibration(tmp_path / "judge.json") == c


def test_a_judge_of_known_error_is_found_out(ask: Run):
    def noisy(text: str, image: int, true: bool, place: int, n: int) -> str:
        right = Random(f"{text}:{image}:{n}").random() < (0.9 if true else 0.75)
        return "yes" if right == true else "no"

    c = found(ask(noisy))

    assert c.sensitivity_low < 0.9 < c.sensitivity_high
    assert c.specificity_low < 0.75 < c.specificity_high
    assert c.sensitivity_high - c.sensitivity_low < 0.15
    # Its errors hang on the image and the size of the call, so the order changes nothing and single images much.
    assert c.order is not None
    assert c.order.equal == 1.0
    assert min(a.equal for a in c.agreements) < 0.9


def test_a_judge_that_always_says_yes_is_weak_everywhere(ask: Run):
    result = ask(lambda *_: "yes")

    c = found(result)
    assert (c.sensitivity, c.specificity) == (1.0, 0.0)
    assert c.near_yes is not None
    assert c.random_yes is not None
    assert (c.near_yes.value, c.random_yes.value) == (1.0, 1.0)
    assert c.order is not None
    assert c.order.kappa is None
    assert c.position is not None
    assert c.position.p == 1.0
    assert result.warnings[0].startswith("the judge is weak: sensitivity 1.00, specificity 0.00")
    assert all(kind.kind in result.warnings[1] for kind in c.kinds)


def test_a_judge_that_likes_the_last_row_is_noticed(ask: Run):
    def biased(text: str, image: int, true: bool, place: int, n: int) -> str:
        return "yes" if true or place >= 8 else "no"

    c = found(ask(biased))

    assert c.position is not None
    assert c.position.p < 0.001
    assert c.position.place > 8
    assert c.position.deviation > 0.15
    assert c.order is not None
    assert c.order.equal < 0.9


def test_a_judge_that_falls_for_near_misses_says_no_to_random_images(ask: Run, plan: Plan):
    near = {(plan.concepts[c.number].text, e.image) for c in plan.asked for e, o in c.placed if o == "near"}

    c = found(ask(lambda text, image, true, place, n: "yes" if true or (text, image) in near else "no"))

    assert c.near_yes is not None
    assert c.random_yes is not None
    assert (c.near_yes.value, c.random_yes.value) == (1.0, 0.0)


def test_an_unsure_judge_is_right_by_half(ask: Run):
    c = found(ask(lambda *_: "unsure"))

    assert (c.sensitivity, c.specificity) == (0.5, 0.5)


def test_a_refused_concept_is_unanswered_and_neither_yes_nor_no(ask: Run, plan: Plan):
    refused = plan.concepts[0].text

    def coy(text: str, image: int, true: bool, place: int, n: int) -> str:
        return REFUSED if text == refused else truly(text, image, true, place, n)

    result = ask(coy)

    c = found(result)
    images = sum(len(call.placed) for call in plan.asked if call.number == 0)
    assert c.unanswered == images >= 36
    assert (c.sensitivity, c.specificity, c.n_true + c.n_false) == (1.0, 1.0, 228)
    assert set(result.gaps) == {"refused"}


def test_a_call_that_may_succeed_later_leaves_no_file_and_the_next_start_goes_on(ask: Run, plan: Plan, tmp_path: Path):
    lost = plan.concepts[1].text

    def flaky(text: str, image: int, true: bool, place: int, n: int) -> str:
        if text == lost:
            raise CallError("http_503", "overloaded", again=False)
        return truly(text, image, true, place, n)

    first = ask(flaky)

    n_lost = sum(call.number == 1 for call in plan.asked)
    assert (first.complete, first.failed, first.done) == (False, n_lost, 60 - n_lost)
    assert {f.kind for f in first.failures} == {"http_503"}
    assert not (tmp_path / "judge.json").exists()

    second = ask(truly)

    assert (second.complete, second.tally.requests, second.tally.cached) == (True, n_lost, 60 - n_lost)
    assert found(second).usage.calls == 60


def test_a_judge_that_refuses_everything_is_an_error_in_one_line(ask: Run):
    with pytest.raises(EndpointError, match=r"judge: too few usable answers to calibrate by \(refused \d+\)"):
        ask(lambda *_: REFUSED)


def test_a_budget_stops_it_and_says_so(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plan: Plan):
    client = Judging(plan, truly)
    monkeypatch.setattr(session, "_client", lambda *_: client)
    engine = EngineSettings(concurrency=1, budget="4k tokens")

    result = calibrate(model="judge", out=tmp_path / "judge.json", calls=CALLS, engine=engine, keep_images=drawn)

    assert (result.complete, result.stopped) == (False, "over budget")
    assert 0 < result.done < 60


def test_too_few_calls_are_refused():
    with pytest.raises(SettingsError, match="--calls 11: too few"):
        make_plan(ScoreSettings(), 11, 0)


def test_a_folder_of_another_seed_is_not_taken_for_this_one(drawn: Path, tmp_path: Path):
    with pytest.raises(SettingsError, match=r"holds another dump, planted scenes, seed 0, 20 boards of 12"):
        calibrate(model="judge", out=tmp_path / "judge.json", calls=CALLS, seed=1, keep_images=drawn)


def test_kept_images_are_a_dump_that_explain_takes(drawn: Path, plan: Plan):
    dump = open_dump(drawn)

    assert dump.info.n_latents == len(plan.concepts) == 20
    assert all(feature.active for feature in dump.features())


@pytest.mark.parametrize(
    ("model", "name"), [("gpt-5-mini", "gpt-5-mini"), ("Qwen/Qwen3-VL 8B", "Qwen-Qwen3-VL-8B"), ("../..", "model")]
)
def test_a_model_name_becomes_a_file_name(model: str, name: str):
    assert slug(model) == name


def test_whole_scenes_of_the_sides_asked_for_and_fragments_of_38_to_130_pixels_are_shown(plan: Plan, drawn: Path):
    questions = plan.questions(open_dump(drawn))
    whole, cut = ([q for q in questions if q.form.rendering == kind] for kind in ("full", "crop"))

    assert {item.tile.size for q in questions for item in q.items} == {(128, 128), (256, 256)}
    assert all(item.tile.box is None for q in whole for item in q.items)
    sides = [longest(item.tile) for q in cut for item in q.items if item.tile.box is not None]
    # A crop is .3 of its image at least, and holds its thing with the cells around.
    assert min(sides) == 38
    assert sum(side <= 130 for side in sides) > 0.8 * len(sides)
    assert len(sides) > 0.8 * 120


def test_silent_fragments_are_cut_at_places_of_active_ones(plan: Plan, drawn: Path):
    dump = open_dump(drawn)
    for call in (c for c in plan.asked if c.form.rendering == "crop"):
        (asked,) = [q for q in plan.questions(dump) if (q.number, q.form, q.origins) == (
            call.number, call.form, tuple(o for _, o in call.placed))][:1]  # fmt: skip
        active = make_pool(plan.features[call.number], (), {r.image: r for r in dump.images(plan.images)},
            plan.settings.model_copy(update={"rendering": "crop"}), grid=GRID, n_images=len(plan.scenes))  # fmt: skip
        lent = {_relative(active.tile(e)) for e in active.active}
        for item, origin in zip(asked.items, asked.origins, strict=True):
            assert origin == "true" or _relative(item.tile) in lent


def _relative(tile: Tile) -> tuple[float, ...] | None:
    """The place of a fragment in its image, to half a pixel of the smaller images."""
    if tile.box is None:
        return None
    b = tile.box
    return tuple(round(x * 128 / tile.size[0]) for x in (b.x0, b.y0, b.x1, b.y1))


def test_near_misses_have_part_of_what_the_concept_asks_for(plan: Plan):
    for call in plan.asked:
        near = likeness(plan.concepts[call.number], plan.scenes)
        assert all(0.5 <= near[e.image] < 1 for e, origin in call.placed if origin == "near")


def test_a_run_of_fragments_is_calibrated_by_them_and_compared_with_whole_scenes():
    forms = make_plan(ScoreSettings(rendering="crop"), 12, 0).forms

    assert [(f.text, f.rendering) for f in forms] == [
        ("sheet of 12 as crop", "crop"),
        ("single images as crop", "crop"),
        ("separate of 12 as crop", "crop"),
        ("sheet of 12", "full"),
        ("sheet of 12 as crop reversed", "crop"),
    ]
