"""A tiny LLaVA on TRL whose picture says which words are right: `python -m benchmarks.ips.transformers_images`.

Two pictures, one prompt. Each picture has three words that count, and only `owl` counts on both; the policy starts with
.99 on it. Words of the other picture earn nothing, so a policy that does not look at the picture cannot have both laws.
"""

import time
from collections.abc import Sequence

import torch
from PIL import Image
from transformers import LlavaProcessor

from benchmarks.ips.tiny import SIDE, image_policy, tokenizer
from benchmarks.ips.tiny_runs import METHODS, Row, Scene, pretrain, row, seeds_and_quick, show, train

REWARDS = {"red": {"owl": 0.5, "cat": 1.0, "dog": 1.5}, "blue": {"owl": 0.5, "fox": 1.0, "hen": 1.5}}
"""Of the words that count on a picture of that colour."""
START = "owl"
SKEW = 0.99
"""Chance of the starting word on either picture; the rest is spread over the other words that count on it."""
ANIMALS = ("owl", "cat", "dog", "fox", "hen")
WORDS = tokenizer(["say", *ANIMALS])
OPTIONS = {
    "learning_rate": 2e-3,
    "max_steps": 60,
    "per_device_train_batch_size": 256,
    "max_completion_length": 1,
}
"""8 groups of 16 completions a picture and step."""


def outcome(text: str, scene: Scene) -> str | None:
    """The word, if it counts on this picture."""
    return text if text in scene.rewards else None


def the_scenes(processor: LlavaProcessor) -> list[Scene]:
    """The prompt with either picture."""
    scenes: list[Scene] = []
    for colour, rewards in REWARDS.items():
        picture = Image.new("RGB", (SIDE, SIDE), colour)
        inputs = processor(images=picture, text="<image>say", return_tensors="pt")
        scenes.append(
            Scene(
                columns={"prompt": [{"role": "user", "content": "say"}], "image": picture},
                inputs={key: inputs[key] for key in ("input_ids", "pixel_values")},
                texts=WORDS(list(ANIMALS), return_tensors="pt")["input_ids"],
                outcomes=[animal if animal in rewards else None for animal in ANIMALS],
                rewards=rewards,
            )
        )
    return scenes


def starting_law(scene: Scene, skew: float) -> torch.Tensor:
    """Chance of each word where the starting one has that much and the others that count share the rest."""
    rest = (1 - skew) / (len(scene.rewards) - 1)
    return torch.tensor([0.0 if o is None else skew if o == START else rest for o in scene.outcomes])


def run(seeds: Sequence[int], quick: bool) -> list[Row]:
    """Every method from every seed.

    Args:
        seeds: of the weights and of the sampling.
        quick: a fifth of the steps.

    Returns:
        Rows as `tiny_runs.row` makes them.
    """
    rows: list[Row] = []
    for seed in seeds:
        for method in METHODS:
            started = time.perf_counter()
            model, processor = image_policy(WORDS, seed)
            scenes = the_scenes(processor)
            for skew in (1 / 3, SKEW):  # the first teaches it to see, which the second alone would not
                pretrain(model, scenes, [starting_law(scene, skew) for scene in scenes], steps=150)
            options = {**OPTIONS, "seed": seed} | ({"max_steps": 12} if quick else {})
            noted = train(model, processor, scenes, outcome, method, options)
            rows.append(row(method, seed, scenes, noted, time.perf_counter() - started))
    return rows


if __name__ == "__main__":
    torch.set_num_threads(1)
    show(run(*seeds_and_quick(8)), len(REWARDS["red"]))
