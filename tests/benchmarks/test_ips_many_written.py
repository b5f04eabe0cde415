"""Small transformers: how their samples are counted, and that training one keeps answers with IPS-GRPO."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from benchmarks.ips.many.cells import Cell
from benchmarks.ips.many.written import answered, examples, together, vocabulary
from benchmarks.ips.methods import GRPO, IPS, Method


def test_samples_are_counted_in_sets_of_as_many_as_there_are_outcomes():
    said = [("a",), ("b",), ("b",), ("x",), ("y",), ("a",), ("a",)]
    outcomes = ["A", "B", "B", None, None, "A", "A"]

    got = answered(outcomes, said, 3)

    # Two whole sets: A B B, and two different texts that are not admissible beside A; the seventh is left over.
    assert got["valid"] == 5 / 7
    assert abs(got["recovery"] - (2 / 3 + 1 / 3) / 2) < 1e-12
    assert abs(got["unique"] - (2 / 3 + 3 / 3) / 2) < 1e-12
    assert got["largest"] == 3 / 5


def test_nothing_valid_is_no_error():
    got = answered([None, None, None], [("x",), ("x",), ("y",)], 3)

    assert (got["valid"], got["recovery"], got["largest"]) == (0, 0, 0)


def test_seeds_are_put_together_by_task_method_and_coefficient():
    def cell(method: str, coefficient: float | None, value: float) -> Cell:
        kept = {"valid": (value,)}
        return Cell(task="t", group=16, method=method, coefficient=coefficient, figures=kept, seconds=1.5)

    got = together([cell("a", None, 0.1), cell("b", 0.3, 0.2), cell("a", None, 0.3), cell("b", 0.1, 0.4)])

    assert [(c.method, c.coefficient, c.figures["valid"], c.seconds) for c in got] == [
        ("a", None, (0.1, 0.3), 3.0),
        ("b", 0.3, (0.2,), 1.5),
        ("b", 0.1, (0.4,), 1.5),
    ]


def test_a_warm_start_is_shown_words_that_it_knows_and_mostly_readers_of_the_prompt():
    rows = examples("voxels", np.random.default_rng(0), 200)

    known = set(vocabulary("voxels"))
    assert all(set(prompt.split()) | set(answer) <= known for prompt, answer in rows)
    right = [np.array([[int(c) for c in row] for row in a]).reshape(3, 9).any(0) for _, a in rows]
    views = [np.array([int(c) for c in prompt.replace(" ", "")[:9]], bool) for prompt, _ in rows]
    assert np.mean([(a == b).all() for a, b in zip(right, views, strict=True)]) > 0.4


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.* is deprecated:FutureWarning")
@pytest.mark.skipif(importlib.util.find_spec("trl") is None, reason="needs the extra rl")
def test_ips_keeps_both_answers_where_grpo_keeps_one(tmp_path: Path):
    from benchmarks.ips.many import writer

    words = ("say", "left", "right", "wrong", "now")

    def shown(chance: np.random.Generator, n: int) -> list[tuple[str, tuple[str, ...]]]:
        drawn = chance.choice(3, n, p=[0.6, 0.3, 0.1])
        return [("say", (words[1 + i], "now")) for i in drawn]

    def judge(_: int, answer: tuple[str, ...]) -> writer.Judged:
        good = len(answer) == 2 and answer[0] in ("left", "right") and answer[1] == "now"
        return writer.Judged(float(good) * (1 + (answer[0] == "left")), answer[0]) if good else writer.Judged(0, None)

    writer.save(writer.warm_start(words, shown, 40), tmp_path / "start.safetensors")
    shares: dict[str, float] = {}
    for method in (GRPO, IPS, Method("SGRPO", diversity=0.9)):
        model = writer.load(tmp_path / "start.safetensors", words)
        seconds = writer.train(model, words, ["say"], judge, method, writer.Lessons(25, 3e-3, 2), seed=0)
        said = writer.answers(model, words, "say", 512, 2, seed=0)
        shares[method.name] = said.count(("right", "now")) / 512
        assert seconds > 0

    assert shares["GRPO"] < 0.05
    assert 0.2 < shares["IPS-GRPO"] < 0.45  # rewards 2 and 1: a third is due
    assert shares["GRPO"] < shares["SGRPO"]
