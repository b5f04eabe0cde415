"""A tiny Qwen2 on TRL, started with .999 on one of four modes: `python -m benchmarks.ips.transformers_text`.

A completion is two words, a determiner and an animal; the animal is the mode, `no` is not valid. Each mode has two
texts, `a cat` and `one cat`, so that an outcome is not a string.
"""

import time
from collections.abc import Sequence

import torch

from benchmarks.ips.tiny import text_policy, tokenizer
from benchmarks.ips.tiny_runs import IPS_WIDE, METHODS, Row, Scene, pretrain, row, seeds_and_quick, show, train

REWARDS = {"cat": 1.0, "dog": 0.75, "owl": 0.5, "fox": 0.25}
START = "dog"
SKEW = 0.999
"""Chance of the starting mode, nine tenths of it as `a dog`; the rest is spread over the texts of the other modes."""
DETERMINERS = ("a", "one", "no")
WORDS = tokenizer(["say", *DETERMINERS, *REWARDS])
TEXTS = [f"{first} {animal}" for first in DETERMINERS for animal in REWARDS]
ALL_METHODS = (*METHODS, IPS_WIDE)
OPTIONS = {"learning_rate": 3e-3, "max_steps": 100, "per_device_train_batch_size": 512}
"""32 groups of 16 completions a step, or 8 of 64."""


def outcome(text: str, scene: Scene) -> str | None:
    """The animal, if the text is a determiner that counts and an animal."""
    words = text.split()
    return words[1] if len(words) == 2 and words[0] in DETERMINERS[:2] and words[1] in scene.rewards else None


def the_scene() -> Scene:
    """The one prompt."""
    scene = Scene({"prompt": "say"}, {}, torch.empty(0), (), REWARDS)
    return Scene(
        columns=scene.columns,
        inputs={"input_ids": WORDS("say", return_tensors="pt")["input_ids"]},
        texts=WORDS(TEXTS, return_tensors="pt")["input_ids"],
        outcomes=[outcome(text, scene) for text in TEXTS],
        rewards=REWARDS,
    )


def starting_law(scene: Scene) -> torch.Tensor:
    """Chance of each text in the pretrained policy."""
    others = [o is not None and o != START for o in scene.outcomes]
    chances = [(1 - SKEW) / sum(others) if other else 0.0 for other in others]
    chances[TEXTS.index(f"a {START}")] = 0.9 * SKEW
    chances[TEXTS.index(f"one {START}")] = 0.1 * SKEW
    return torch.tensor(chances)


def run(seeds: Sequence[int], quick: bool) -> list[Row]:
    """Every method from every seed.

    Args:
        seeds: of the weights and of the sampling.
        quick: a fifth of the steps, a quarter of their completions.

    Returns:
        Rows as `tiny_runs.row` makes them.
    """
    rows: list[Row] = []
    for seed in seeds:
        for method in ALL_METHODS:
            started = time.perf_counter()
            scene, model = the_scene(), text_policy(WORDS, seed)
            pretrain(model, [scene], [starting_law(scene)], steps=300)
            options = {**OPTIONS, "seed": seed} | (
                {"max_steps": 20, "per_device_train_batch_size": 128} if quick else {}
            )
            noted = train(model, WORDS, [scene], outcome, method, options)
            rows.append(row(method, seed, [scene], noted, time.perf_counter() - started))
    return rows


if __name__ == "__main__":
    torch.set_num_threads(1)
    show(run(*seeds_and_quick(32)), len(REWARDS))
