"""Tiny policies trained by each method, and what became of their modes."""

from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from tempfile import TemporaryDirectory

import torch
from datasets import Dataset
from scipy import stats
from torch import Tensor
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    ProcessorMixin,
    TrainerCallback,
    TrainerState,
)

from autointerp.ips import IPSGRPOTrainer
from benchmarks.ips.tiny import cpu_options


@dataclass(frozen=True)
class Method:
    """What is trained; names and exponents as in `methods.py`."""

    name: str
    alpha: float = 0.0
    """Exponent of the inverse frequencies; 0 is GRPO as TRL has it."""
    entropy: float = 0.0
    """TRL's `entropy_coef`, an addition to the loss: that many times the mean entropy of a token, nats."""
    group: int = 16
    """Completions of a prompt that are compared, G."""


GRPO = Method("GRPO")
ENTROPY = Method("GRPO + entropy", entropy=0.7)
SOFT_COUNT = Method("soft count", alpha=0.5)
IPS = Method("IPS-GRPO", alpha=1.0)
IPS_WIDE = Method("IPS-GRPO, G=64", alpha=1.0, group=64)
METHODS = (GRPO, ENTROPY, SOFT_COUNT, IPS)
"""The entropy's coefficient did best of 0.03, 0.1, 0.3, 0.5, 0.7 and 1 on the text task (three seeds each).

The soft count divides by the square root of the frequency, as count-based exploration does (Strehl & Littman 2008). Two
published relatives are not among them. DRA-GRPO (arXiv 2505.09655) divides by one plus the summed likeness to the rest
of the group: with likeness 1 for the same outcome and 0 else that is IPS-GRPO up to a constant. Uniqueness-aware RL
(arXiv 2601.08763) multiplies the advantages, after the normalisation.
"""


@dataclass(frozen=True)
class Scene:
    """One prompt, and what its texts are worth."""

    columns: Mapping[str, object]
    """One row of the data set: `prompt`, and `image` where it shows a picture."""
    inputs: Mapping[str, Tensor]
    """The same for a forward pass, a batch of one: `input_ids`, and `pixel_values`."""
    texts: Tensor
    """Tokens of each text, shape [n, length]; all of one length."""
    outcomes: Sequence[str | None]
    """Of each text; None where it is not valid here."""
    rewards: Mapping[str, float]
    """Of each mode, > 0, in the order in which shares are given."""

    def law(self) -> list[float]:
        """Shares proportional to reward: what IPS-GRPO tends to."""
        return [reward / sum(self.rewards.values()) for reward in self.rewards.values()]


def log_probabilities(model: PreTrainedModel, scene: Scene) -> Tensor:
    """Natural logarithm of the chance of each text after the prompt, shape [n]: exact, no sampling."""
    n, length = scene.texts.shape
    repeated = {key: value.expand(n, *value.shape[1:]) for key, value in scene.inputs.items()}
    repeated["input_ids"] = torch.cat([repeated["input_ids"], scene.texts], 1)
    logits = model(**repeated).logits[:, -length - 1 : -1]
    return torch.log_softmax(logits.float(), -1).gather(2, scene.texts.unsqueeze(2)).squeeze(2).sum(1)


def pretrain(model: PreTrainedModel, scenes: Sequence[Scene], targets: Sequence[Tensor], *, steps: int) -> None:
    """Brings the policy to the target chances of the texts, scene by scene, by supervised steps.

    Args:
        model: changed in place.
        scenes: with their texts.
        targets: chance of each text, shape [n], summing to 1.
        steps: of Adam, each over all scenes.
    """
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(steps):
        losses = [-(target * log_probabilities(model, s)).sum() for s, target in zip(scenes, targets, strict=True)]
        optimiser.zero_grad()
        torch.stack(losses).mean().backward()
        optimiser.step()


def mode_shares(model: PreTrainedModel, scene: Scene) -> list[float]:
    """Exact chance of each mode of the scene: the sum over its texts."""
    training = model.training
    model.eval()
    with torch.inference_mode():
        chances = log_probabilities(model, scene).exp().tolist()
    model.train(training)
    return [sum(p for p, o in zip(chances, scene.outcomes, strict=True) if o == mode) for mode in scene.rewards]


class Shares(TrainerCallback):
    """Notes the shares of all scenes at the start and every few steps: `steps`, and `shares` [step][scene][mode]."""

    def __init__(self, model: PreTrainedModel, scenes: Sequence[Scene], every: int) -> None:
        self.model, self.scenes, self.every = model, scenes, every
        self.steps: list[int] = []
        self.shares: list[list[list[float]]] = []

    def on_train_begin(self, args: object, state: TrainerState, control: object, **kwargs: object) -> None:
        """The pretrained policy."""
        self._note(state.global_step)

    def on_step_end(self, args: object, state: TrainerState, control: object, **kwargs: object) -> None:
        """The policy after a step."""
        if state.global_step % self.every == 0:
            self._note(state.global_step)

    def _note(self, step: int) -> None:
        self.steps.append(step)
        self.shares.append([mode_shares(self.model, scene) for scene in self.scenes])


def train(
    model: PreTrainedModel,
    processing: PreTrainedTokenizerBase | ProcessorMixin,
    scenes: Sequence[Scene],
    outcome: Callable[[str, Scene], str | None],
    method: Method,
    options: Mapping[str, object],
) -> Shares:
    """Trains the policy in place by one method, every step on as many groups of every scene as fit its batch.

    Args:
        model: the pretrained policy.
        processing: tokenizer, or processor for scenes with pictures.
        scenes: what is asked.
        outcome: of a completion's text in a scene; None for what is not valid there, whose reward is 0.
        method: trained by.
        options: of TRL, as for `cpu_options`.

    Returns:
        The shares along the way, at the start and every five steps.
    """

    def outcomes(completions: Sequence[object], scene: Sequence[int], **kwargs: object) -> list[str | None]:
        return [outcome(said(c), scenes[i]) for c, i in zip(completions, scene, strict=True)]

    def reward(completions: Sequence[object], scene: Sequence[int], **kwargs: object) -> list[float]:
        found = outcomes(completions, scene)
        return [0.0 if o is None else scenes[i].rewards[o] for o, i in zip(found, scene, strict=True)]

    rows = [{**scene.columns, "scene": i} for i, scene in enumerate(scenes)] * 64
    noted = Shares(model, scenes, every=5)
    with TemporaryDirectory() as folder:
        given = {"entropy_coef": method.entropy, "num_generations": method.group, "ips_alpha": method.alpha}
        args = cpu_options(Path(folder), **given, **options)
        trainer = IPSGRPOTrainer(
            model,
            reward,
            args,
            Dataset.from_list(rows),
            processing_class=processing,
            callbacks=[noted],
            outcome_fn=outcomes,
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return noted


def said(completion: object) -> str:
    """The text of a completion, plain or as a list of one message."""
    if isinstance(completion, str):
        return completion
    assert isinstance(completion, list)
    return str(completion[0]["content"])


Row = dict[str, str | int | float | list[int] | list[list[list[float]]]]


def row(method: Method, seed: int, scenes: Sequence[Scene], noted: Shares, seconds: float) -> Row:
    """One run as a row of plain values.

    `l1` is the final Σ|share - law| (0 to 2), `found` the number of modes that have at least half the share that the
    law gives them; both are means over the scenes. `shares` is [step][scene][mode].
    """
    pairs = [(s.law(), shares) for s, shares in zip(scenes, noted.shares[-1], strict=True)]
    l1 = [sum(abs(a - b) for a, b in zip(law, shares, strict=True)) for law, shares in pairs]
    found = [sum(share >= due / 2 for due, share in zip(law, shares, strict=True)) for law, shares in pairs]
    return {
        "method": method.name,
        "seed": seed,
        "l1": mean(l1),
        "found": mean(found),
        "seconds": round(seconds, 1),
        "steps": noted.steps,
        "shares": noted.shares,
    }


def show(rows: Sequence[Row], n_modes: int) -> None:
    """Prints, for each method, means over seeds with their 95 % intervals (Student's t), and the mean final shares."""
    for name in dict.fromkeys(str(r["method"]) for r in rows):
        own = [r for r in rows if r["method"] == name]
        l1, found, seconds = ([float(str(r[key])) for r in own] for key in ("l1", "found", "seconds"))
        shares = torch.tensor([r["shares"][-1] for r in own]).mean(0).tolist()  # pyright: ignore[reportArgumentType,reportIndexIssue]
        print(
            f"{name:15} {len(own)} seeds: l1 {_interval(l1)}, modes {_interval(found)} of {n_modes}, "
            f"shares {' | '.join(' '.join(f'{s:.3f}' for s in scene) for scene in shares)}, {mean(seconds):.1f} s a run"
        )


def _interval(values: Sequence[float]) -> str:
    if len(values) < 2:
        return f"{values[0]:.3f}"
    half = float(stats.t.ppf(0.975, len(values) - 1)) * stdev(values) / len(values) ** 0.5
    return f"{mean(values):.3f} [{mean(values) - half:.3f}, {mean(values) + half:.3f}]"


def seeds_and_quick(seeds: int) -> tuple[range, bool]:
    """The two arguments of either task's command; `seeds` unless told otherwise."""
    parser = ArgumentParser()
    parser.add_argument("--seeds", type=int, default=seeds)
    parser.add_argument("--quick", action="store_true", help="few steps, for a test")
    given = parser.parse_args()
    return range(given.seeds), given.quick
