"""Run as two processes by `test_trainer_processes.py`: one group of four completions, two on each.

The argument is the file over which the two find each other: unlike a port it cannot be taken by another process.
"""

import json
import os
import sys
from tempfile import TemporaryDirectory

import torch
import torch.distributed
from datasets import Dataset

from autointerp.ips import IPSGRPOTrainer
from benchmarks.ips.tiny import cpu_options, text_policy, tokenizer

RANK = int(os.environ["RANK"])
REWARDS = [[1.0, 2.0], [3.0, 4.0]][RANK]
OUTCOMES = [["a", "a"], ["a", "b"]][RANK]


def say(**values: object) -> None:
    sys.stdout.write(json.dumps(values) + "\n")


class Seeing(IPSGRPOTrainer):
    """Says what the hook returns."""

    def _calculate_rewards(self, *args: object) -> torch.Tensor:
        scaled = super()._calculate_rewards(*args)
        say(rewards=scaled[:, 0].tolist(), weight=self._metrics["train"]["ips/weight"])
        return scaled


def train(outcomes: list[str]) -> None:
    words = tokenizer(["say", "cat"])
    with TemporaryDirectory() as folder:
        options = {"num_generations": 4, "per_device_train_batch_size": 2, "max_completion_length": 1, "max_steps": 1}
        trainer = Seeing(
            text_policy(words, 0),
            lambda **columns: REWARDS,
            cpu_options(folder, **options),
            Dataset.from_dict({"prompt": ["say"]}),
            processing_class=words,
            outcome_fn=lambda **columns: outcomes,
        )
        trainer.train()


if __name__ == "__main__":
    torch.distributed.init_process_group("gloo", init_method=f"file://{sys.argv[1]}", rank=RANK, world_size=2)
    train(OUTCOMES)
    try:
        train(OUTCOMES[: 2 - RANK])  # one too few on the second process only
    except ValueError as error:
        say(error=str(error))
