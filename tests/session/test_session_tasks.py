"""The kinds of questions: their names, the shapes that batch manifests hold, and who answers without an endpoint."""

from dataclasses import replace

import pytest
from builders import question

from autointerp.batch.lines import reply_of, shape_of
from autointerp.explanation.meanings import SameReply
from autointerp.replies import DomainReply, ExplainReply, Reply, judge_reply, number_reply
from autointerp.scoring.case import Scorer
from autointerp.scoring.judge import JUDGE
from autointerp.scoring.scorer_list import SCORERS
from autointerp.scoring.scorers.localisation import PointReply
from autointerp.session.gateway import expected_output
from autointerp.session.tasks import LOCAL_ANSWERERS, REPLIES, TASKS

SHAPES: dict[str, type[Reply]] = {
    "explain": ExplainReply,
    "domain": DomainReply,
    "localisation": PointReply,
    "same": SameReply,
    "judge:12": judge_reply(12),
    "intruder:odd:5": number_reply("odd", 5),
    "choice:better:2": number_reply("better", 2),
    "naming:description:1": number_reply("description", 1),
}
"""What the manifests of batch jobs have held since version 0.1."""


@pytest.mark.parametrize("shape", SHAPES)
def test_the_shapes_in_manifests_made_so_far_lead_to_their_replies(shape: str):
    assert reply_of(shape, REPLIES) is SHAPES[shape]
    assert shape_of(replace(question(reply=SHAPES[shape]), task=shape.split(":")[0]), REPLIES) == shape


def test_the_embedded_model_answers_every_question_asked_so_far():
    asked = {shape.split(":")[0] for shape in SHAPES}

    assert asked <= set(LOCAL_ANSWERERS) <= set(TASKS)


@pytest.mark.parametrize("scorer", SCORERS.values(), ids=SCORERS.keys())
def test_a_scorer_that_asks_questions_of_its_own_gives_them_its_name(scorer: Scorer):
    assert scorer.task in (None, JUDGE) or scorer.task.name == scorer.name


def test_no_two_kinds_of_questions_have_one_name():
    own = [s.task for s in SCORERS.values() if s.task not in (None, JUDGE)]

    assert len({task.name for task in own} | {"explain", "domain", "same", "judge"}) == len(own) + 4


@pytest.mark.parametrize(
    ("task", "tokens"),
    [("explain", 220), ("domain", 160), ("same", 8), ("localisation", 40), ("choice", 16), ("judge", 10 + 3 * 9)],
)
def test_a_usual_reply_has_so_many_tokens_and_a_judges_nine_an_image(task: str, tokens: int):
    assert expected_output(replace(question(pictures=3), task=task)) == tokens
