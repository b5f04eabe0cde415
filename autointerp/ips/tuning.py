"""Trains an explainer by rewards that are asked for: checkpoints, resumption, figures before and after."""

import os
import shutil
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from autointerp.errors import SettingsError, one_line
from autointerp.extras import RL, need
from autointerp.ips.rewards import Asks, Group, Judged, Judging, Rewards, means
from autointerp.settings import TuneSettings

need("tuning", RL, "rl")  # before the imports below, which would name one module and no remedy

import torch  # noqa: E402
from datasets import Dataset  # noqa: E402
from huggingface_hub import constants  # noqa: E402
from transformers import (  # noqa: E402
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoProcessor,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    ProcessorMixin,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES  # noqa: E402
from transformers.utils.logging import disable_progress_bar  # noqa: E402

from autointerp.ips.config import IPSGRPOConfig  # noqa: E402
from autointerp.ips.trainer import IPSGRPOTrainer  # noqa: E402

MODEL = "model"
"""Folder of the trained model."""
WHOLE = "whole"
"""File of a checkpoint that is there once everything else of it is."""
KEPT = 2
"""Checkpoints; while one is written there is another."""
NOT_ADAPTED = r".*(vision|visual|projector|merger|lm_head).*"
"""Modules without adapters: servers take adapters of the language model alone."""
LOGGED = ("loss", "kl", "entropy", "grad_norm", "completions/mean_length", "completions/clipped_ratio", "ips/weight")
"""Of TRL's figures those that are kept beside the groups' own."""

Figures = Mapping[str, float]
Told = Callable[[int, Figures], None]
"""Takes the number of a step that is done, and its figures."""
Measured = Callable[[int, Sequence[Group]], None]
"""Takes the number of steps done, and the groups of the held-out features."""


class Policy(NamedTuple):
    """A model, ready to be trained."""

    model: PreTrainedModel
    processing: ProcessorMixin | PreTrainedTokenizerBase


def sees(source: str) -> bool:
    """Whether a model takes pictures; looks at its settings and at what prepares its prompts, not at its weights.

    Args:
        source: its folder, or its name on the Hugging Face hub.

    Raises:
        SettingsError: there is no such model, or it has no chat template.
    """
    try:
        eyes = AutoConfig.from_pretrained(source).model_type in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
        template = _processing(source, eyes=eyes).chat_template
    except (OSError, ValueError) as error:
        raise _unusable(source, error) from error
    if template is None:
        raise SettingsError(f"--model {source}: has no chat template; take a model tuned to follow instructions")
    return eyes


def load_policy(source: str, *, frozen: bool) -> Policy:
    """Loads the model and its processor.

    Args:
        source: as for `sees`.
        frozen: only adapters are trained. Its own weights are then held in bfloat16 where there is a GPU; weights that
            are trained are float32, since bfloat16 would round small updates away.

    Raises:
        SettingsError: there is no such model, or it has no chat template.
    """
    eyes = sees(source)
    kind = AutoModelForImageTextToText if eyes else AutoModelForCausalLM
    dtype = torch.bfloat16 if frozen and torch.cuda.is_available() else torch.float32
    try:
        return Policy(kind.from_pretrained(source, dtype=dtype), _processing(source, eyes=eyes))
    except (OSError, ValueError) as error:
        raise _unusable(source, error) from error


def _processing(source: str, *, eyes: bool) -> ProcessorMixin | PreTrainedTokenizerBase:
    return (AutoProcessor if eyes else AutoTokenizer).from_pretrained(source, padding_side="left")


def _unusable(source: str, error: Exception) -> SettingsError:
    reason = one_line(str(error).strip().partition("\n")[0])
    return SettingsError(f"--model {source}: cannot be loaded as a Hugging Face model: {reason}")


class Plan(NamedTuple):
    """What is trained on what."""

    source: str
    """Of the policy: a folder, or a name on the hub."""
    asks: Asks
    judging: Judging
    train: Sequence[int]
    """Features of each step, `batch` of them, one step after the other."""
    held_out: Sequence[int]
    """Features measured before and after."""
    settings: TuneSettings
    folder: Path
    """Holds the checkpoints and the model."""


def refuse(settings: TuneSettings) -> None:
    """Raises SettingsError for what cannot be trained here, before anything is written."""
    replies, forward = settings.batch * settings.group, settings.forward or settings.group
    if replies % forward:
        raise SettingsError(f"--forward {forward}: does not divide the {replies} replies of a step; take a divisor")
    if settings.lora is not None:
        need("--lora", ("peft",), "rl")
    if torch.cuda.device_count() > 1 or int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise SettingsError("one process with one GPU can be used: set CUDA_VISIBLE_DEVICES=0 and start it by itself")


def newest(folder: Path) -> Path | None:
    """The last checkpoint that was written to its end; what was not is deleted."""
    found: dict[int, Path] = {}
    for path in folder.glob("checkpoint-*"):
        if (path / WHOLE).exists():
            found[int(path.name.rpartition("-")[2])] = path
        else:
            shutil.rmtree(path)
    return found[max(found)] if found else None


def step_of(checkpoint: Path | None) -> int:
    """Steps done by a checkpoint; 0 for None."""
    return 0 if checkpoint is None else int(checkpoint.name.rpartition("-")[2])


def tune_policy(plan: Plan, *, told: Told, measured: Measured, stopping: Callable[[], bool]) -> bool:
    """Trains from the last checkpoint on, or from the start; says whether it came to the end.

    Args:
        plan: what to do.
        told: hears of every step.
        measured: hears of the held-out features, before the first step and after the last.
        stopping: asked after each step whether to write a checkpoint and end.

    Raises:
        Halted: rewards cannot be had now; the last checkpoint stands.
        SettingsError: the model cannot be trained.
    """
    disable_progress_bar()
    constants.HF_HUB_DISABLE_TELEMETRY = True  # else TRL reports each trainer that is made to Hugging Face
    with warnings.catch_warnings():
        # TRL 1.16 reads and sets the older of two names that transformers 5.23 has for one option.
        warnings.filterwarnings("ignore", ".*gradient_checkpointing.* is deprecated", FutureWarning)
        return _tuned(plan, told, measured, stopping)


def _tuned(plan: Plan, told: Told, measured: Measured, stopping: Callable[[], bool]) -> bool:
    s = plan.settings
    begun = newest(plan.folder)
    policy = load_policy(plan.source, frozen=s.lora is not None)
    rewards = Rewards(_apart(plan.judging), s.group, alpha=s.alpha if s.method == "ips" else 0.0, epsilon=s.epsilon)
    trainer = _trainer(plan, policy, rewards, _Keeper(plan.folder, rewards, told, stopping))
    measuring = _Measuring(trainer, rewards, plan, measured)
    if begun is None:
        measuring.run(0)
        set_seed(s.seed)
    if step_of(begun) < s.steps:
        trainer.train(resume_from_checkpoint=None if begun is None else str(begun))
        if trainer.state.global_step < s.steps:
            return False
    else:
        assert begun is not None
        trainer._load_from_checkpoint(str(begun))
    measuring.run(s.steps)
    _save(trainer, policy, plan.folder)
    return True


def _apart(judging: Judging) -> Judging:
    """Judging that leaves torch's generator as it was: a judge in this process draws from it when it loads its network.

    Else samples would depend on which answers happen to be in the cache.
    """

    def judged(features: Sequence[int], replies: Sequence[str]) -> Sequence[Judged]:
        with torch.random.fork_rng():
            return judging(features, replies)

    return judged


def _trainer(plan: Plan, policy: Policy, rewards: Rewards, keeper: "_Keeper") -> IPSGRPOTrainer:
    s = plan.settings
    trainer = IPSGRPOTrainer(
        policy.model,
        rewards.reward,
        _options(plan, rewards),
        _data(plan.train, plan.asks),
        processing_class=policy.processing,
        callbacks=[keeper],
        peft_config=_adapters(s.lora) if s.lora is not None else None,
        outcome_fn=rewards.outcome,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _options(plan: Plan, rewards: Rewards) -> IPSGRPOConfig:
    s, on_gpu = plan.settings, torch.cuda.is_available()
    forward = s.forward or s.group
    return IPSGRPOConfig(
        ips_alpha=rewards.alpha,
        ips_epsilon=rewards.epsilon,
        output_dir=str(plan.folder),
        max_steps=s.steps,
        num_generations=s.group,
        per_device_train_batch_size=forward,
        gradient_accumulation_steps=s.batch * s.group // forward,
        num_generations_eval=s.group,
        per_device_eval_batch_size=s.group,
        max_completion_length=s.max_tokens,
        temperature=s.temperature,
        learning_rate=s.learning_rate,
        lr_scheduler_type="constant",
        beta=s.kl,
        shuffle_dataset=False,
        save_strategy="steps",
        save_steps=s.save_every,
        save_total_limit=KEPT,
        logging_strategy="steps",
        logging_steps=1,
        report_to="none",
        disable_tqdm=True,
        use_cpu=not on_gpu,
        bf16=on_gpu,
        gradient_checkpointing=s.checkpointing,
        seed=s.seed,
    )


def _adapters(rank: int) -> object:
    from peft import LoraConfig

    return LoraConfig(
        r=rank, lora_alpha=2 * rank, target_modules="all-linear", exclude_modules=NOT_ADAPTED, task_type="CAUSAL_LM"
    )


class _Rows:
    """Makes the rows of a data set when they are read."""

    def __init__(self, asks: Asks) -> None:
        self._asks = asks

    def __call__(self, batch: Mapping[str, Sequence[int]]) -> dict[str, list[object]]:
        """Returns the columns of some features."""
        # The trainer repeats each row for its group; all of them may share what is made once.
        made = {feature: self._asks(feature) for feature in dict.fromkeys(batch["feature"])}
        out: dict[str, list[object]] = {
            "feature": list(batch["feature"]),
            "prompt": [made[feature].turns for feature in batch["feature"]],
        }
        if any(ask.pictures for ask in made.values()):
            out["images"] = [made[feature].pictures for feature in batch["feature"]]
        return out

    def __reduce__(self) -> tuple[type, tuple[()]]:
        # Data sets hash what transforms them to name their own caches, of which there is none here.
        return object, ()


def _data(features: Sequence[int], asks: Asks) -> Dataset:
    """Makes one row for each feature."""
    return Dataset.from_dict({"feature": list(features)}).with_transform(_Rows(asks))


def _save(trainer: IPSGRPOTrainer, policy: Policy, folder: Path) -> None:
    """Writes the model as a whole or not at all."""
    work = folder / f".{MODEL}"
    shutil.rmtree(work, ignore_errors=True)
    trainer.accelerator.unwrap_model(trainer.model).save_pretrained(work)
    policy.processing.save_pretrained(work)
    shutil.rmtree(folder / MODEL, ignore_errors=True)
    work.rename(folder / MODEL)


class _Measuring:
    """Samples groups for the held-out features, by the same chances before and after."""

    def __init__(self, trainer: IPSGRPOTrainer, rewards: Rewards, plan: Plan, measured: Measured) -> None:
        self._trainer, self._rewards, self._plan, self._measured = trainer, rewards, plan, measured

    def run(self, step: int) -> None:
        if not self._plan.held_out:
            return
        set_seed(self._plan.settings.seed)
        self._rewards.groups.clear()
        self._trainer.evaluate(_data(self._plan.held_out, self._plan.asks))  # pyright: ignore[reportArgumentType]
        self._measured(step, tuple(self._rewards.groups))
        self._rewards.groups.clear()


class _Keeper(TrainerCallback):
    """Tells of each step, marks whole checkpoints, and ends the training when asked to."""

    def __init__(self, folder: Path, rewards: Rewards, told: Told, stopping: Callable[[], bool]) -> None:
        self._folder, self._rewards, self._told, self._stopping = folder, rewards, told, stopping

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Where it is to stop, a checkpoint is written first."""
        if self._stopping():
            control.should_save = control.should_training_stop = True

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, float] | None = None,
        **kwargs: object,
    ) -> None:
        """A step's figures; what is logged at the end of all has none of its own."""
        if logs is None or "loss" not in logs:
            return
        kept = {name.rpartition("/")[2]: float(logs[name]) for name in LOGGED if name in logs}
        self._told(state.global_step, means(self._rewards.groups) | kept)
        self._rewards.groups.clear()

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object) -> None:
        """All of the checkpoint has been written."""
        (self._folder / f"checkpoint-{state.global_step}" / WHOLE).touch()
