"""Where GRPO falls onto one outcome and IPS-GRPO does not: real training of a tiny policy over several seeds."""

# ruff: noqa: E402  # what comes after the skip needs the extra

import pytest

from autointerp.extras import RL

for module in RL:
    pytest.importorskip(module, reason="the extra `rl` is not installed")

import torch

from benchmarks.ips.tiny import text_policy, tokenizer
from benchmarks.ips.tiny_runs import GRPO, IPS, Method, Scene, pretrain, train

# TRL 1.16 reads and sets the older of two names that transformers 5.23 has for one option.
pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.* is deprecated:FutureWarning")

WORDS = tokenizer(["say", "cat", "dog", "no"])
SCENE = Scene(
    columns={"prompt": "say"},
    inputs={"input_ids": torch.tensor([WORDS.encode("say")])},
    texts=torch.tensor([WORDS.encode(word) for word in ("cat", "dog", "no")]),
    outcomes=["cat", "dog", None],
    rewards={"cat": 1.0, "dog": 0.5},
)
OPTIONS = {"max_steps": 40, "learning_rate": 3e-3, "per_device_train_batch_size": 64, "max_completion_length": 1}


def share_of_cats(method: Method, seed: int) -> float:
    """After training a policy that begins with .1 cats and .9 dogs; the law is 2/3."""
    model = text_policy(WORDS, seed)
    pretrain(model, [SCENE], [torch.tensor([0.1, 0.9, 0.0])], steps=100)
    noted = train(
        model,
        WORDS,
        [SCENE],
        lambda text, scene: text if text in scene.rewards else None,
        method,
        {**OPTIONS, "seed": seed},
    )
    cat, dog = noted.shares[-1][0]
    assert cat + dog > 0.95
    return cat


def test_grpo_loses_an_outcome_that_ips_grpo_keeps_in_proportion_to_its_reward():
    seeds = range(2)

    grpo = [share_of_cats(GRPO, seed) for seed in seeds]
    ips = [share_of_cats(IPS, seed) for seed in seeds]

    assert min(grpo) > 0.97
    assert all(0.5 < share < 0.85 for share in ips)
