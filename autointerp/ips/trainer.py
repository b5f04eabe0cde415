"""TRL's GRPO trainer with inverse probability scaling inside the reward."""

import asyncio
import atexit
import inspect
from collections.abc import Awaitable, Callable, Hashable, Mapping, MutableSequence, Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple, cast

import numpy as np

from autointerp.extras import RL, how_to_install, need
from autointerp.ips.outcomes import check_outcome_fn, outcomes_in
from autointerp.ips.weights import Floats, collapse_index, distinct, ips_weights, largest

need("IPSGRPOTrainer", RL, "rl")  # before the imports below, which would name one module and no remedy

import torch  # noqa: E402
from accelerate.utils.operations import gather_object  # noqa: E402
from transformers.trainer_callback import (  # noqa: E402
    ExportableState,
    TrainerCallback,
    TrainerControl,
    TrainerState,
)
from transformers.training_args import TrainingArguments  # noqa: E402
from trl.trainer.grpo_trainer import GRPOTrainer  # noqa: E402
from trl.trainer.utils import nanstd, shutdown_event_loop_in_daemon, start_event_loop_in_daemon  # noqa: E402

from autointerp.ips.config import IPSGRPOConfig  # noqa: E402

Outcomes = Sequence[Hashable | None]
OutcomeFunc = Callable[..., Outcomes | Awaitable[Outcomes]]
"""Takes what a TRL reward function takes, gives one outcome a completion; may be async."""

HOOKS = {
    "_calculate_rewards": ("self", "inputs", "prompts", "completions", "completion_ids_list"),
    "_generate_and_score_completions": ("self", "inputs"),
}
"""The private methods of `GRPOTrainer` that are overridden, and their parameters as of TRL 1.16."""


NEGATIVE = (
    " >= 0, as it would punish a rare outcome more than a common one: shift or clip them, and turn a penalty into a "
    "reward for its absence"
)


class _Mode(NamedTuple):
    name: str
    """TRL's key of the metrics, `train` or `eval`."""
    group_size: int
    """Completions of one prompt."""


class IPSGRPOTrainer(GRPOTrainer):
    """GRPO that does not collapse onto one outcome: each reward is divided by how often its outcome was sampled.

    For whoever trains with TRL, on whatever task: give it `outcome_fn` and the rest as to `GRPOTrainer`. Of the G
    completions of a prompt let p̂(o) be the share whose outcome is o; a completion's rewards are multiplied by
    max(p̂(o), ε)^(-α) before the group's normalisation (Sinha, Elango & Liu 2026, arXiv 2601.21669); α and ε are in
    `IPSGRPOConfig`. GRPO's policy drifts to the outcome of the highest reward, and among equals to the one that was
    sampled most; this one's, to outcomes in proportion to reward^(1/α).

    What is kept of TRL: `scale_rewards`, `loss_type`, `num_iterations`, `steps_per_generation`, vLLM, PEFT, tools and
    environments act after the scaling or before it, and none of them moves completions out of their groups, which
    `_calculate_rewards` sees whole. Evaluation is not scaled: its rewards can be compared with any other trainer's.

    What must hold: rewards are >= 0, each function's by itself (a function with `reward_weights` 0, which TRL only
    logs, may return what it likes and is not scaled), and so are the weights. Where something is to be punished, reward
    its absence instead: not -1 for a bad format, but 1 for a good one. NaN (a function's None) stays NaN.

    Metrics: TRL's `reward`, `reward_std` and `rewards/*` hold rewards as the functions returned them, which can be
    compared with any other trainer's. Beside them stand `ips/reward_scaled` and `ips/reward_scaled_std` (what the
    policy is trained on), `ips/weight` (mean), `ips/distinct` (different outcomes a group), `ips/collapse` (chance that
    two completions of a group agree), `ips/largest` (share of a group's most frequent outcome) and `ips/invalid`
    (share). In evaluation `eval_ips/distinct`, `collapse`, `largest` and `invalid`. With `log_completions` the table
    gains `ips/outcome`, `ips/weight` and each function's `ips/scaled/NAME`.

    α and ε are written to each checkpoint (trainer_state.json) and to the model card. A checkpoint that was trained
    with others is not gone on with.

    Args:
        *args: as `GRPOTrainer` takes them. Options of type `GRPOConfig` stand for α = 1 and ε = 0.
        outcome_fn: called as TRL calls a reward function, `outcome_fn(prompts=..., completions=...,
            completion_ids=..., **columns)`, on each process with its own completions. Returns for each completion what
            it comes to: anything hashable that still equals its likes after pickling; or None, an invalid completion,
            whose weight is 1. May be async. Outcomes are compared within a prompt's group only. Do not return the text
            itself where several texts say the same: that pays for paraphrase.
        **kwargs: as `GRPOTrainer` takes them.

    Raises:
        ValueError: `outcome_fn` cannot be called as a reward function is, or a reward weight is negative; while
            training, a reward is negative or infinite, `outcome_fn` returned something else than one outcome a
            completion, or the checkpoint has another α or ε.
        ImportError: the installed TRL no longer has the methods that are overridden.
    """

    _tag_names: ClassVar = ["trl", "grpo", "ips-grpo"]
    _name = "IPS-GRPO"
    _paper: ClassVar = {
        "title": "Expected Return Causes Outcome-Level Mode Collapse in Reinforcement Learning "
        "and How to Fix It with Inverse Probability Scaling",
        "id": "2601.21669",
    }

    # TRL's own parameters pass through, whatever the version adds to them; GRPOTrainer checks their types.
    def __init__(self, *args: object, outcome_fn: OutcomeFunc, **kwargs: object) -> None:
        _check_hooks()
        super().__init__(*args, **kwargs)  # pyright: ignore[reportArgumentType]
        columns = getattr(self.train_dataset, "column_names", None)  # an iterable data set may not know them
        check_outcome_fn(outcome_fn, columns or ())
        self.outcome_fn = outcome_fn
        options = self.args if isinstance(self.args, IPSGRPOConfig) else None
        self.ips_alpha = 1.0 if options is None else options.ips_alpha
        self.ips_epsilon = 0.0 if options is None else options.ips_epsilon
        self._raw: torch.Tensor | None = None
        self.add_callback(IPSState(self.ips_alpha, self.ips_epsilon))
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
            self._refuse_unfit(raw, mode.group_size)
        outcomes = self._all_outcomes(inputs, prompts, completions, completion_ids_list)
        alpha = self.ips_alpha if mode.name == "train" else 0.0
        weights = ips_weights(outcomes, group_size=mode.group_size, epsilon=self.ips_epsilon, alpha=alpha)
        scaled = self._scaled(raw, weights)
        self._log_outcomes(mode, outcomes)
        self._raw = raw
        if mode.name == "train":
            self._log_scaled(mode, scaled)
            self._metrics[mode.name]["ips/weight"].append(float(weights.mean()))
        if self.log_completions:
            start = self.accelerator.process_index * len(prompts)
            own = slice(start, start + len(prompts))
            self._log_completions_table(outcomes[own], weights[own], scaled[own])
        return scaled

    def _generate_and_score_completions(  # pyright: ignore[reportIncompatibleMethodOverride]  # Any, where object says it
        self, inputs: list[dict[str, object]]
    ) -> Mapping[str, object]:
        """Does what TRL does, and then logs the rewards unscaled: TRL logs what `_calculate_rewards` returned."""
        scored = super()._generate_and_score_completions(inputs)
        raw = self._raw
        assert raw is not None, "the rewards have just been calculated"
        metrics = self._metrics[self._mode().name]
        for i, name in enumerate(self.reward_func_names):
            column = raw[:, i]
            metrics[f"rewards/{name}/mean"][-1] = torch.nanmean(column).item()
            metrics[f"rewards/{name}/std"][-1] = nanstd(column).item()
            _replace_end(self._logs["rewards"][name], column.tolist())
        total = self._summed(raw)
        metrics["reward"][-1], metrics["reward_std"][-1] = torch.nanmean(total).item(), nanstd(total).item()
        return scored

    def create_model_card(
        self, model_name: str | None = None, dataset_name: str | None = None, tags: str | list[str] | None = None
    ) -> None:
        """Writes TRL's model card, and into it how rewards were scaled."""
        super().create_model_card(model_name, dataset_name, tags)
        if not self.is_world_process_zero():
            return
        assert self.args.output_dir is not None
        path = Path(self.args.output_dir) / "README.md"
        scaling = (
            f"Rewards were multiplied by max(p̂, ε)^(-α) with α = {self.ips_alpha:g} and ε = {self.ips_epsilon:g}, "
            "where p̂ is the share of an outcome in its prompt's group (inverse probability scaling).\n\n"
        )
        card, heading = path.read_text("utf-8"), "### Framework versions"
        before, found, after = card.partition(heading)
        path.write_text(f"{before}{scaling}{found}{after}" if found else f"{card}\n{scaling}", "utf-8")

    def _mode(self) -> _Mode:
        assert self.model is not None
        if self.model.training:
            assert self.num_generations is not None
            return _Mode("train", self.num_generations)
        assert self.num_generations_eval is not None
        return _Mode("eval", self.num_generations_eval)

    def _refuse_unfit(self, rewards: torch.Tensor, group_size: int) -> None:
        """Raises ValueError for a reward that is negative or infinite, of a function that is trained on."""
        unfit = ((rewards < 0) | torch.isinf(rewards)) & (self.reward_weights.to(rewards.device) > 0)
        if not unfit.any():
            return
        row, column = (int(i) for i in unfit.nonzero()[0])
        prompt, generation = divmod(row, group_size)
        reward = rewards[row, column].item()
        raise ValueError(
            f"reward function '{self.reward_func_names[column]}' returned {reward:g} for sample {row} of the batch "
            f"(prompt {prompt}, generation {generation}); inverse probability scaling needs finite rewards"
            + ("" if reward > 0 else NEGATIVE)
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
        # What each process found, or why it cannot be used, is gathered, so that none waits for one that has stopped.
        parts: list[list[Hashable | None] | ValueError] = gather_object([_checked(found, len(prompts))])
        out: list[Hashable | None] = []
        for part in parts:
            if isinstance(part, ValueError):
                raise part
            out += part
        return out

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

    def _log_outcomes(self, mode: _Mode, outcomes: Outcomes) -> None:
        metrics = self._metrics[mode.name]
        for name, values in (
            ("distinct", distinct(outcomes, group_size=mode.group_size)),
            ("collapse", collapse_index(outcomes, group_size=mode.group_size)),
            ("largest", largest(outcomes, group_size=mode.group_size)),
        ):
            known = values[~np.isnan(values)]
            metrics[f"ips/{name}"].append(float(known.mean()) if known.size else float("nan"))
        metrics["ips/invalid"].append(sum(o is None for o in outcomes) / len(outcomes))

    def _log_scaled(self, mode: _Mode, scaled: torch.Tensor) -> None:
        total = self._summed(scaled)
        self._metrics[mode.name]["ips/reward_scaled"].append(torch.nanmean(total).item())
        self._metrics[mode.name]["ips/reward_scaled_std"].append(nanstd(total).item())

    def _summed(self, rewards: torch.Tensor) -> torch.Tensor:
        """The functions' weighted sum, as TRL forms it: NaN where no function gave a reward."""
        total = (rewards * self.reward_weights.to(rewards.device)).nansum(dim=1)
        return total.masked_fill(torch.isnan(rewards).all(dim=1), torch.nan)

    def _log_completions_table(self, outcomes: Outcomes, weights: Floats, scaled: torch.Tensor) -> None:
        """Columns of this process's completions; TRL gathers them."""
        self._log_completion_extra("ips/outcome", [None if o is None else str(o) for o in outcomes])
        self._log_completion_extra("ips/weight", weights.tolist())
        for column, name in enumerate(self.reward_func_names):
            self._log_completion_extra(f"ips/scaled/{name}", scaled[:, column].tolist())


class IPSState(TrainerCallback, ExportableState):
    """Writes α and ε to each checkpoint, and refuses to go on with a checkpoint that has others.

    Args:
        alpha: of the trainer.
        epsilon: of the trainer.
    """

    def __init__(self, alpha: float, epsilon: float) -> None:
        self._used = {"alpha": alpha, "epsilon": epsilon}

    def state(self) -> dict[str, object]:
        """Returns what the checkpoint's trainer_state.json keeps under this class's name."""
        return {"args": dict(self._used), "attributes": {}}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Compares with the checkpoint that training goes on from.

        Raises:
            ValueError: it has another α or ε.
        """
        states = cast("Mapping[str, object]", state.stateful_callbacks)
        kept = states.get(type(self).__name__)
        was = kept.get("args") if isinstance(kept, dict) else None
        if was is not None and was != self._used:
            told = [", ".join(f"ips_{name}={value:g}" for name, value in one.items()) for one in (was, self._used)]
            raise ValueError(
                f"the checkpoint was trained with {told[0]}, and this trainer has {told[1]}: "
                "give the same, or train into another folder"
            )


async def _awaited(found: Awaitable[Outcomes]) -> Outcomes:
    return await found


def _checked(found: object, n: int) -> list[Hashable | None] | ValueError:
    """The outcomes of `n` completions, or what is wrong with them."""
    try:
        out = outcomes_in(found)
    except ValueError as error:
        return error
    if len(out) == n:
        return out
    return ValueError(
        f"outcome_fn returned {len(out)} outcomes for {n} completions; one each is needed, None for an invalid one"
    )


def _replace_end(log: MutableSequence[float], values: Sequence[float]) -> None:
    """Replaces the last entries of a log, which may keep fewer than there are."""
    for i, value in enumerate(reversed(values[-len(log) :]), 1):
        log[-i] = value


def _check_hooks() -> None:
    """Raises ImportError where TRL has changed a method that is overridden: it would train without any scaling."""
    for name, parameters in HOOKS.items():
        hook = getattr(GRPOTrainer, name, None)
        if hook is None or tuple(inspect.signature(hook).parameters) != parameters:
            raise ImportError(
                f"this version of trl has no GRPOTrainer.{name} as IPSGRPOTrainer overrides it; " + how_to_install("rl")
            )
