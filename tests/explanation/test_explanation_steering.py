"""What a steered model is asked: the directions, the pictures, and the controls, which hang on the feature alone."""

import asyncio
from dataclasses import replace

import numpy as np
from builders import feature, image_rows

from autointerp.explanation.steering import Steerer, random_direction
from autointerp.images.picture import Tile
from autointerp.lmm.outcomes import Answer, Failure
from autointerp.prompts import load_prompt
from autointerp.replies import SteerReply
from autointerp.schema import Exemplar, Explanation, FailureRecord, Usage
from autointerp.settings import ExplainSettings, ModelSettings
from autointerp.unexplainable import UNEXPLAINABLE

ROWS = image_rows(range(8))
HOT = bytes([255, 0, 0, 0])


class Rows:
    """Latent i writes along axis i of twelve."""

    name, hookpoint = "axes", "blocks.3.resid"

    def of(self, latent: int) -> np.ndarray:
        return np.eye(12, dtype=np.float32)[latent]


class Script:
    """Says a word for each direction that is added, `blank` for none."""

    def __init__(self, words: dict[int, str | None]) -> None:
        self.words, self.asked = words, []

    async def ask(self, request, reply):
        self.asked.append(request)
        added = request.addition
        axis = None if added is None else np.frombuffer(added.direction, "<f4")
        word = "blank" if axis is None else self.words.get(int(axis.argmax())) if axis.max() == 1 else "random"
        if word is None:
            return Failure("malformed", "went on", 1)
        return Answer(SteerReply(text=word), Usage(calls=1), "m", cached=False)


def steerer(**steer: object) -> Steerer:
    settings = ExplainSettings.model_validate({"steer": {"coefficient": 5.0, "embedder": None} | steer, "n_top": 3})
    assert settings.steer is not None
    model = ModelSettings.model_validate("hf:m")
    ids = np.array([1, 4, 6, 9])
    return Steerer(model, settings, settings.steer, load_prompt("steer", None), (2, 2), ids, Rows())


def explained(asks: Steerer, script: Script, number: int = 4, heats: tuple[bytes | None, ...] = (HOT,) * 8):
    rows = [Exemplar(i, 8.0 - i, "top", 1.0, None, heat) for i, heat in enumerate(heats)]
    made = feature(rows)
    made = replace(made, row=replace(made.row, feature=number))
    return asyncio.run(asks.explain(made, ROWS, script))  # pyright: ignore[reportArgumentType]


def test_a_feature_is_asked_about_once_and_its_controls_without_its_direction():
    script = Script({4: "A cat.", 9: "a Cat"})

    record, gaps = explained(steerer(), script)

    assert isinstance(record, Explanation)
    assert record.steered is not None
    own = np.frombuffer(script.asked[0].addition.direction, "<f4")
    assert (own.tolist(), script.asked[0].addition.coefficient) == (np.eye(12)[4].tolist(), 5.0)
    assert (record.text, record.usage.calls, gaps) == ("A cat.", 4, ())
    # Of features 1, 4, 6 and 9, the one two further on is 9. Case and punctuation make no difference.
    assert [(c.kind, c.feature, c.text, c.same) for c in record.steered.controls] == [
        ("nothing", None, "blank", False),
        ("random", None, "random", False),
        ("other", 9, "a Cat", True),
    ]


def test_each_feature_lends_its_direction_to_one_other():
    others = [
        explained(steerer(), Script(dict.fromkeys(range(12), "w")), n)[0].steered.controls[2].feature
        for n in (1, 4, 6, 9)
    ]

    assert others == [6, 9, 1, 4]


def test_a_random_direction_has_unit_length_and_is_the_features_own():
    first = random_direction(7, 64, 0)

    assert abs(np.linalg.norm(first) - 1) < 1e-6
    assert np.array_equal(first, random_direction(7, 64, 0))
    assert abs(first @ random_direction(8, 64, 0)) < 0.6
    assert abs(first @ random_direction(7, 64, 1)) < 0.6


def test_on_top_only_images_with_a_heat_map_are_shown_whole_and_masked():
    script = Script({4: "cat", 9: "dog"})

    record, _ = explained(steerer(on="top"), script, heats=(HOT, None, bytes(4), HOT, HOT, HOT, HOT, HOT))

    tiles = [tile for picture in script.asked[0].pictures for tile in picture.tiles]
    assert isinstance(record, Explanation)
    assert record.images == tuple(tile.image for tile in tiles)
    assert 0 < len(tiles) <= 3
    assert {1, 2} & set(record.images) == set()
    assert all(isinstance(t, Tile) and t.rendering == "mask" and t.heat == HOT for t in tiles)
    assert all(request.pictures == script.asked[0].pictures for request in script.asked)


def test_without_any_heat_map_a_feature_cannot_be_steered_on_top():
    record, _ = explained(steerer(on="top"), Script({}), heats=(None,) * 8)

    assert isinstance(record, FailureRecord)
    assert (record.kind, record.message) == (UNEXPLAINABLE, "none of its highest images has a heat map to steer at")


def test_a_control_without_an_answer_is_left_out_and_recorded():
    record, gaps = explained(steerer(), Script({4: "cat", 9: None}))

    assert isinstance(record, Explanation)
    assert record.steered is not None
    assert [c.kind for c in record.steered.controls] == ["nothing", "random"]
    assert [(g.kind, g.message) for g in gaps] == [("malformed", "went on")]


def test_a_feature_without_an_answer_is_a_failure_and_its_controls_are_not_asked():
    script = Script({4: None})

    record, _ = explained(steerer(), script)

    assert isinstance(record, FailureRecord)
    assert (record.stage, record.kind, len(script.asked)) == ("explain", "malformed", 1)


def test_a_coefficient_of_0_asks_the_question_without_an_addition():
    script = Script({})

    record, _ = explained(steerer(coefficient=0.0), script)

    assert isinstance(record, Explanation)
    assert {request.key for request in script.asked} == {script.asked[0].key}
    assert record.text == "blank"


def test_what_is_added_is_part_of_a_questions_key_and_nothing_leaves_it_as_it_was():
    asks = steerer()
    plain = asks.request(None, (), ROWS)
    near = replace(asks, plan=asks.plan.model_copy(update={"coefficient": 6.0}))
    direction = Rows().of(4)

    assert plain == replace(plain, addition=None)
    keys = {plain.key, asks.request(direction, (), ROWS).key, near.request(direction, (), ROWS).key}
    assert len(keys | {asks.request(Rows().of(5), (), ROWS).key}) == 4


class Near:
    """Puts `cat` and `tiger` at a cosine of .92."""

    name = "near"

    async def texts(self, texts):
        known = {"cat": (1.0, 0.0), "tiger": (0.92, 0.39), "blank": (0.0, 1.0), "random": (0.0, 1.0)}
        return np.array([known[t] for t in texts], np.float32)


def test_texts_that_the_embedder_finds_alike_are_the_same():
    record, _ = explained(replace(steerer(), embedder=Near()), Script({4: "cat", 9: "tiger"}))

    assert isinstance(record, Explanation)
    assert record.steered is not None
    assert [(c.likeness, c.same) for c in record.steered.controls] == [(0.0, False), (0.0, False), (0.92, True)]


class Down(Near):
    async def texts(self, texts):
        return Failure("timeout", "nobody", 3)


def test_without_the_embedders_word_a_feature_stays_pending():
    record, _ = explained(replace(steerer(), embedder=Down()), Script({4: "cat", 9: "dog"}))

    assert isinstance(record, FailureRecord)
    assert record.kind == "timeout"
