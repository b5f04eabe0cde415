"""TRL's GRPO trainer with inverse probability scaling inside the reward; the one module of `ips` that loads torch."""

import asyncio
import atexit
import inspect
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import ClassVar, NamedTuple

import numpy as np

from autointerp.extras import RL, how_to_install, need
from autointerp.ips.weights import Floats, collapse_index, distinct, ips_weights

need("IPSGRPOTrainer", RL, "rl")  # before the imports below, which would name one module and no remedy

import torch  # noqa: E402
from accelerate.utils.operations import gather_object  # noqa: E402
from trl.trainer.grpo_trainer import GRPOTrainer  # noqa: E402
from trl.trainer.utils import shutdown_event_loop_in_daemon, start_event_loop_in_daemon  # noqa: E402

Outcomes = Sequence[Hashable | None]
OutcomeFunc = Callable[..., Outcomes | Awaitable[Outcomes]]
"""Takes what a TRL reward function takes, gives one outcome a completion; may be async."""

HOOK = ("self", "inputs", "prompts", "completions", "completion_ids_list")
"""Parameters of `GRPOTrainer._calculate_rewards`, the private method that is overridden, as of TRL 1.16."""


class _Mode(NamedTuple):
    name: str
    """TRL's key of the metrics, `train` or `eval`."""
    group_size: int
    """Completions of one prompt."""


class IPSGRPOTrainer(GRPOTrainer):
    """GRPO that does not collapse onto one outcome: each reward is divided by how often its outcome was sampled.

    For whoever trains with TRL, on whatever task: give it `outcome_fn` and the rest as to `GRPOTrainer`. Of the G
    completions of a prompt let p̂(o) be the share whose outcome is o; a completion's rewards are multiplied by
    max(p̂(o), ε)^(-α) before the group's normalisation (Sinha, Elango & Liu 2026, arXiv 2601.21669). GRPO's policy
    drifts to the outcome of the highest reward, and among equals to the one that was sampled most; this one's, to
    outcomes in proportion to reward^(1/α).

    What is kept of TRL: `scale_rewards`, `loss_type`, `num_iterations`, `steps_per_generation`, vLLM, PEFT, tools and
    environments act after the scaling or before it, and none of them moves completions out of their groups, which
    `_calculate_rewards` sees whole. Evaluation is not scaled: its rewards can be compared with any other trainer's.

    What must hold: rewards are >= 0, each function's by itself (a function with `reward_weights` 0, which TRL only
    logs, may return what it likes and is not scaled), and so are the weights. Where something is to be punished, reward
    its absence instead: not -1 for a bad format, but 1 for a good one. NaN (a function's None) stays NaN.

    Metrics, besides TRL's: `ips/reward_raw` and `ips/reward_raw_std` (weighted sum of the functions, unscaled),
    `ips/reward_scaled` and `ips/reward_scaled_std` (what TRL's `reward` and `rewards/*` now hold), `ips/weight` (mean),
    `ips/distinct` (different outcomes a group), `ips/collapse` (chance that two completions of a group agree),
    `ips/invalid` (share). In evaluation `eval_ips/reward_raw`, its std, `distinct`, `collapse` and `invalid`. With
    `log_completions` the table gains `ips/outcome`, `ips/weight` and each function's unscaled `ips/raw/NAME`.

    Args:
        *args: as `GRPOTrainer` takes them.
        outcome_fn: called as TRL calls a reward function, `outcome_fn(prompts=..., completions=...,
            completion_ids=..., **columns)`, on each process with its own completions. Returns for each completion what
            it comes to: anything hashable that still equals its likes after pickling; or None, an invalid completion,
            whose weight is 1. May be async. Outcomes are compared within a prompt's group only. Do not return the text
            itself where several texts say the same: that pays for paraphrase.
        epsilon: in [0, 1], the least share that is divided by; 0 sets no bound but p̂ >= 1/G. (TRL's clipping range is
            `args.epsilon`, another thing.)
        alpha: >= 0; 1 is the full correction, 0 is plain GRPO.
        **kwargs: as `GRPOTrainer` takes them.

    Raises:
        ValueError: a parameter is out of its range or a reward weight is negative; while training, a reward is
            negative, or `outcome_fn` returned something else than one outcome a completion.
        ImportError: the installed TRL no longer has the method that is overridden.
    """

    _tag_names: ClassVar = ["trl", "grpo", "ips-grpo"]
    _name = "IPS-GRPO"
    _paper: ClassVar = {
        "title": "Expected Return Causes Outcome-Level Mode Collapse in Reinforcement Learning "
        "and How to Fix It with Inverse Probability Scaling",
        "id": "2601.21669",
    }

    # TRL's own parameters pass through, whatever the version adds to them; GRPOTrainer checks their types.
    def __init__(
        self, *args: object, outcome_fn: OutcomeFunc, epsilon: float = 0.0, alpha: float = 1.0, **kwargs: object
    ) -> None:
        _check_hook()
        ips_weights([], group_size=1, epsilon=epsilon, alpha=alpha)  # refuses what is out of range
        super().__init__(*args, **kwargs)  # pyright: ignore[reportArgumentType]
        self.outcome_fn = outcome_fn
        self.ips_epsilon = epsilon
        self.ips_alpha = alpha
        for name, weight in zip(self.reward_func_names, self.reward_weights.tolist(), strict=True):
            if weight < 0:
                raise ValueError(
                    f"reward function '{name}' has weight {weight:g}; inverse probability scaling needs weights >= 0: "
                    "reward the absence of what is to be punished"
                )

    def _calculate_rewards(
        self,
        inputs: Sequence[Mapping[str, object]],
        prompts: Sequence[object],
        completions: Sequence[object],
        completion_ids_list: Sequence[object],
    ) -> torch.Tensor:
        """Rewards of all processes, shape [B·G, functions], scaled in training: what TRL computes advantages from."""
        raw: torch.Tensor = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        mode = self._mode()
        if mode.name == "train":
            self._refuse_negative(raw, mode.group_size)
        outcomes = self._all_outcomes(inputs, prompts, completions, completion_ids_list)
        alpha = self.ips_alpha if mode.name == "train" else 0.0
        weights = ips_weights(outcomes, group_size=mode.group_size, epsilon=self.ips_epsilon, alpha=alpha)
        scaled = self._scaled(raw, weights)
        self._log_outcomes(mode, outcomes, raw)
        if mode.name == "train":
            self._log_mean_and_std(mode, "ips/reward_scaled", scaled)
            self._metrics[mode.name]["ips/weight"].append(float(weights.mean()))
        if self.log_completions:
            start = self.accelerator.process_index * len(prompts)
            own = slice(start, start + len(prompts))
            self._log_completions_table(outcomes[own], weights[own], raw[own])
        return scaled

    def _mode(self) -> _Mode:
        assert self.model is not None
        if self.model.training:
            assert self.num_generations is not None
            return _Mode("train", self.num_generations)
        assert self.num_generations_eval is not None
        return _Mode("eval", self.num_generations_eval)

    def _refuse_negative(self, rewards: torch.Tensor, group_size: int) -> None:
        below = (rewards < 0) & (self.reward_weights.to(rewards.device) > 0)
        if below.any():
            row, column = (int(i) for i in below.nonzero()[0])
            prompt, generation = divmod(row, group_size)
            raise ValueError(
                f"reward function '{self.reward_func_names[column]}' returned {rewards[row, column].item():g} for "
                f"sample {row} of the batch (prompt {prompt}, generation {generation}); inverse probability scaling "
                "needs rewards >= 0, as it would punish a rare outcome more than a common one: shift or clip them, and "
                "turn a penalty into a reward for its absence"
            )

    def _all_outcomes(
        self,
        inputs: Sequence[Mapping[str, object]],
        prompts: Sequence[object],
        completions: Sequence[object],
        completion_ids_list: Sequence[object],
    ) -> list[Hashable | None]:
        """Outcomes in the order of the gathered rewards: both are gathered by rank."""
        found = self.outcome_fn(
            prompts=prompts, completions=completions, completion_ids=completion_ids_list, **self._columns(inputs)
        )
        if inspect.isawaitable(found):
            found = asyncio.run_coroutine_threadsafe(_awaited(found), self._event_loop()).result()
        # Each process's list is gathered as one item and checked by all, so that none waits for one that has stopped.
        parts: list[list[Hashable | None]] = gather_object([list(found)])
        for part in parts:
            if len(part) != len(prompts):
                raise ValueError(
                    f"outcome_fn returned {len(part)} outcomes for {len(prompts)} completions; one each is needed, "
                    "None for an invalid one"
                )
            for outcome in part:
                _check_outcome(outcome)
        return [outcome for part in parts for outcome in part]

    def _columns(self, inputs: Sequence[Mapping[str, object]]) -> dict[str, object]:
        """What TRL's `_calculate_rewards` hands to reward functions beside prompts and completions."""
        columns: dict[str, object] = {
            key: [row[key] for row in inputs]
            for key in inputs[0]
            if key not in ("prompt", "completion", "completion_ids")
        }
        columns |= {
            "trainer_state": self.state,
            "log_extra": self._log_completion_extra,
            "log_metric": self._log_metric,
        }
        if self.environments is not None:
            columns["environments"] = self.environments
        return columns

    def _event_loop(self) -> asyncio.AbstractEventLoop:
        """The loop of TRL's async reward functions, which may share clients; TRL starts it only where it has any."""
        if not hasattr(self, "async_loop"):
            thread, self.async_loop, ready = start_event_loop_in_daemon(name="IPSGRPOTrainer-AsyncLoop")
            ready.wait()
            atexit.register(shutdown_event_loop_in_daemon, thread, self.async_loop)
        return self.async_loop

    def _scaled(self, rewards: torch.Tensor, weights: Floats) -> torch.Tensor:
        factors = torch.as_tensor(weights, dtype=rewards.dtype, device=rewards.device).unsqueeze(1)
        counted = self.reward_weights.to(rewards.device) > 0
        return torch.where(counted, rewards * factors, rewards)

    def _log_outcomes(self, mode: _Mode, outcomes: Outcomes, raw: torch.Tensor) -> None:
        collapse = collapse_index(outcomes, group_size=mode.group_size)
        known = collapse[~np.isnan(collapse)]
        metrics = self._metrics[mode.name]
        self._log_mean_and_std(mode, "ips/reward_raw", raw)
        metrics["ips/distinct"].append(float(distinct(outcomes, group_size=mode.group_size).mean()))
        metrics["ips/collapse"].append(float(known.mean()) if known.size else float("nan"))
        metrics["ips/invalid"].append(sum(o is None for o in outcomes) / len(outcomes))

    def _log_mean_and_std(self, mode: _Mode, name: str, rewards: torch.Tensor) -> None:
        """Of the functions' weighted sum, over the samples that have a reward; TRL leaves NaN out of its means."""
        unknown = torch.isnan(rewards).all(dim=1)
        known = (rewards * self.reward_weights.to(rewards.device)).nansum(dim=1)[~unknown]
        self._metrics[mode.name][name].append(known.mean().item())
        self._metrics[mode.name][f"{name}_std"].append(known.std().item() if len(known) > 1 else float("nan"))

    def _log_completions_table(self, outcomes: Outcomes, weights: Floats, raw: torch.Tensor) -> None:
        """Columns of this process's completions; TRL gathers them."""
        self._log_completion_extra("ips/outcome", [None if o is None else str(o) for o in outcomes])
        self._log_completion_extra("ips/weight", weights.tolist())
        for column, name in enumerate(self.reward_func_names):
            self._log_completion_extra(f"ips/raw/{name}", raw[:, column].tolist())


async def _awaited(found: Awaitable[Outcomes]) -> Outcomes:
    return await found


def _check_outcome(outcome: object) -> None:
    """Raises ValueError for what cannot be counted: unhashable, or equal to nothing else."""
    if isinstance(outcome, torch.Tensor):
        raise ValueError("outcome_fn returned tensors, no two of which count as equal: return outcome.tolist()")
    try:
        hash(outcome)
    except TypeError as error:
        raise ValueError(f"outcome_fn returned what cannot be counted ({error}): return text or a tuple") from error
    if outcome != outcome:
        raise ValueError("outcome_fn returned NaN, which equals nothing: return None for an invalid completion")


def _check_hook() -> None:
    """Raises ImportError where TRL has changed the method that is overridden: it would train without any scaling."""
    hook = getattr(GRPOTrainer, "_calculate_rewards", None)
    if hook is None or tuple(inspect.signature(hook).parameters) != HOOK:
        raise ImportError(
            "this version of trl has no GRPOTrainer._calculate_rewards as IPSGRPOTrainer overrides it; "
            + how_to_install("rl")
        )
