"""Tiny transformers trained by four methods: what the benchmark's rows hold."""

# ruff: noqa: E402  # what comes after the skip needs the extra

import json

import pytest

from autointerp.extras import RL

for module in RL:
    pytest.importorskip(module, reason="the extra `rl` is not installed")

import torch

from benchmarks.ips import transformers_images, transformers_text
from benchmarks.ips.tiny_runs import GRPO, IPS, Scene, Shares, row

# TRL 1.16 reads and sets the older of two names that transformers 5.23 has for one option.
pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.* is deprecated:FutureWarning")


def scene(**rewards: float) -> Scene:
    return Scene(columns={}, inputs={}, texts=torch.empty(0), outcomes=(), rewards=rewards)


def test_a_row_tells_how_far_shares_are_from_the_law_and_which_modes_have_half_their_due():
    scenes = [scene(a=3.0, b=1.0), scene(a=1.0, b=1.0)]
    noted = Shares(torch.nn.Module(), scenes, every=5)  # pyright: ignore[reportArgumentType]
    noted.steps, noted.shares = [0, 5], [[[1.0, 0.0], [1.0, 0.0]], [[0.85, 0.15], [0.9, 0.1]]]

    made = row(IPS, 7, scenes, noted, seconds=1.25)

    assert (made["method"], made["seed"]) == ("IPS-GRPO", 7)
    assert made["l1"] == pytest.approx((0.2 + 0.8) / 2)
    assert made["found"] == (2 + 1) / 2


@pytest.mark.long
def test_the_text_task_starts_on_one_mode_and_gives_a_plain_row_a_method():
    rows = transformers_text.run([0], quick=True)

    assert [r["method"] for r in rows] == ["GRPO", "GRPO + entropy", "soft count", "IPS-GRPO", "IPS-GRPO, G=64"]
    for made in json.loads(json.dumps(rows)):
        assert made["steps"] == [0, 5, 10, 15, 20]
        cat, dog, owl, fox = made["shares"][0][0]
        assert dog > 0.995
        assert max(cat, owl, fox) < 0.002
        assert 0 <= made["l1"] <= 2


@pytest.mark.long
def test_the_image_task_starts_from_a_policy_that_sees(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(transformers_images, "METHODS", (GRPO,))

    (made,) = transformers_images.run([0], quick=True)

    for owl, second, third in made["shares"][0]:  # pyright: ignore[reportGeneralTypeIssues]
        assert owl == pytest.approx(0.99, abs=0.005)
        # Half of the rest each; blind, it would be a quarter, as four words share it over the two pictures.
        assert second == pytest.approx(0.005, abs=0.0015)
        assert third == pytest.approx(0.005, abs=0.0015)


def test_a_word_counts_only_on_the_picture_that_has_it():
    red = scene(**transformers_images.REWARDS["red"])

    found = [transformers_images.outcome(word, red) for word in transformers_images.ANIMALS]

    assert found == ["owl", "cat", "dog", None, None]


def test_paraphrases_are_one_outcome_and_a_no_is_none():
    words = scene(**transformers_text.REWARDS)

    found = [transformers_text.outcome(text, words) for text in ("a cat", "one cat", "no cat", "cat a", "cat")]

    assert found == ["cat", "cat", None, None, None]
