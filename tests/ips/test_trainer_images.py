"""The trainer with a picture in the prompt: a tiny LLaVA."""

# ruff: noqa: E402  # what comes after the skip needs the extra

from collections.abc import Sequence
from pathlib import Path

import pytest

from autointerp.extras import RL

for module in RL:
    pytest.importorskip(module, reason="the extra `rl` is not installed")

import torch
from datasets import Dataset
from PIL import Image

from autointerp.ips import IPSGRPOTrainer
from benchmarks.ips.tiny import SIDE, cpu_options, image_policy, tokenizer

# TRL 1.16 reads and sets the older of two names that transformers 5.23 has for one option.
pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.* is deprecated:FutureWarning")


def test_prompts_with_pictures_are_trained_on_and_outcome_fn_is_given_the_pictures(tmp_path: Path):
    words = tokenizer(["say", "cat", "dog"])
    model, processor = image_policy(words, 0)
    before = {name: value.clone() for name, value in model.named_parameters()}
    colours: list[list[tuple[int, ...]]] = []

    def outcome_fn(completions: Sequence[object], image: Sequence[Image.Image], **columns: object) -> list[int]:
        colours.append([picture.getpixel((0, 0)) for picture in image])
        return [0, 0, 0, 1] * 2

    data = Dataset.from_list(
        [
            {"prompt": [{"role": "user", "content": "say"}], "image": Image.new("RGB", (SIDE, SIDE), colour)}
            for colour in ("red", "blue")
        ]
    )
    options = {"num_generations": 4, "per_device_train_batch_size": 8, "max_completion_length": 1, "max_steps": 2}
    made = IPSGRPOTrainer(
        model,
        lambda completions, **columns: [1.0] * len(completions),
        cpu_options(tmp_path, **options, learning_rate=1e-3),
        data,
        processing_class=processor,
        outcome_fn=outcome_fn,
    )

    made.train()

    assert colours == [[(255, 0, 0)] * 4 + [(0, 0, 255)] * 4] * 2
    assert made.state.log_history[-1]["ips/weight"] == pytest.approx(2)
    moved = {name for name, value in model.named_parameters() if not torch.equal(value, before[name])}
    assert any("vision" in name for name in moved)
