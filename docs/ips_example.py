"""A prime below twenty, and not always the same one: `python docs/ips_example.py MODEL FOLDER [STEPS]`."""

import re
import sys
from collections.abc import Sequence

import torch
from datasets import Dataset

from autointerp.ips import IPSGRPOConfig, IPSGRPOTrainer

PRIMES = {2, 3, 5, 7, 11, 13, 17, 19}


def number(completion: list[dict[str, str]]) -> int | None:
    """What the completion says, whichever way it says it; None where it says no prime."""
    found = re.findall(r"\d+", completion[-1]["content"])
    return int(found[0]) if found and int(found[0]) in PRIMES else None


def is_prime(completions: Sequence[list[dict[str, str]]], **columns: object) -> list[float]:
    """The reward: >= 0."""
    return [float(number(completion) is not None) for completion in completions]


def which(completions: Sequence[list[dict[str, str]]], **columns: object) -> list[int | None]:
    """The outcome: which prime it is."""
    return [number(completion) for completion in completions]


def main(model: str, folder: str, steps: str = "200") -> None:
    """Trains the model, and prints how many primes a group of 16 named at the first and at the last step."""
    on_gpu = torch.cuda.is_available()
    options = IPSGRPOConfig(
        folder,
        num_generations=16,
        per_device_train_batch_size=16,
        max_completion_length=8,
        max_steps=int(steps),
        logging_steps=1,
        report_to="none",
        use_cpu=not on_gpu,
        bf16=on_gpu,
    )
    prompt = [{"role": "user", "content": "Name a prime number below twenty."}]
    prompts = Dataset.from_dict({"prompt": [prompt] * 64})
    trainer = IPSGRPOTrainer(model, is_prime, options, prompts, outcome_fn=which)
    trainer.train()

    logged = [line for line in trainer.state.log_history if "ips/distinct" in line]
    for line in (logged[0], logged[-1]):
        print(f"reward {line['reward']:.2f}, different primes {line['ips/distinct']:.1f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
