"""Rewards of a batch, and those that are not known."""

from collections.abc import Sequence

import pytest

from autointerp.ips.rewards import Judged, Rewards, means, neutral, said
from autointerp.ips.weights import ips_weights


def test_a_reward_that_is_not_known_is_set_to_the_mean_of_the_scaled_ones():
    group = [Judged(0.5, 0), Judged(0.5, 0), Judged(0.4, 1), Judged(None, None)]

    rewards = neutral(group, alpha=1.0, epsilon=0.0)

    # Scaled by 4/2, 4/2 and 4/1: 1, 1 and 1.6.
    assert rewards == pytest.approx([0.5, 0.5, 0.4, 1.2])
    scaled = rewards * ips_weights([j.outcome for j in group], group_size=4)
    assert scaled[3] == pytest.approx(scaled.mean())


def test_without_scaling_it_is_the_plain_mean_and_of_nothing_known_it_is_nought():
    some = [Judged(0.5, 0), Judged(0.1, 1), Judged(None, None)]
    none = [Judged(None, None)] * 2

    assert neutral(some, alpha=0.0, epsilon=0.0) == pytest.approx([0.5, 0.1, 0.3])
    assert neutral(none, alpha=1.0, epsilon=0.0) == [0.0, 0.0]


def test_each_group_is_judged_as_one_batch_and_has_figures_of_its_own():
    batches: list[tuple[list[int], list[str]]] = []

    def judging(features: Sequence[int], replies: Sequence[str]) -> list[Judged]:
        batches.append((list(features), list(replies)))
        return [Judged(0.8, 0), Judged(0.4, 0), Judged(0.0, None), Judged(None, None)]

    rewards = Rewards(judging, group=2, alpha=1.0, epsilon=0.0)
    replies = [[{"role": "assistant", "content": text}] for text in "abcd"]

    given = rewards.reward(replies, [7, 7, 9, 9])

    assert batches == [([7, 7, 9, 9], ["a", "b", "c", "d"])]
    assert given == [0.8, 0.4, 0.0, 0.0]
    assert rewards.outcome(replies) == [0, 0, None, None]
    first, second = rewards.groups
    assert first == (7, pytest.approx(0.6), 1.0, 1.0, 0.0, 0.0)
    assert (second.feature, second.reward, second.distinct) == (9, 0.0, 0.0)
    assert (second.unusable, second.unknown) == (0.5, 0.5)
    assert means(rewards.groups)["collapse"] == 1.0


def test_a_completion_is_plain_text_or_a_message_of_text_or_parts():
    assert said("a") == "a"
    assert said([{"role": "assistant", "content": "b"}]) == "b"
    assert said([{"role": "assistant", "content": [{"type": "text", "text": "c"}]}]) == "c"
