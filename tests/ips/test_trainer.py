"""The trainer on a tiny text policy, one step at a time; and what it relies on in TRL."""

# ruff: noqa: E402  # what comes after the skip needs the extra

import asyncio
import importlib
import inspect
import json
import re
import sys
import tomllib
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import pytest

from autointerp.extras import RL

for module in RL:
    pytest.importorskip(module, reason="the extra `rl` is not installed")

import torch
from datasets import Dataset
from packaging.requirements import Requirement
from pyarrow.parquet import read_table
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from autointerp.errors import SettingsError
from autointerp.ips.trainer import HOOKS, IPSGRPOTrainer
from benchmarks.ips.tiny import cpu_options, text_policy, tokenizer

# TRL 1.16 reads and sets the older of two names that transformers 5.23 has for one option.
pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.* is deprecated:FutureWarning")

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
WORDS = tokenizer(["say", "more", "cat", "dog", "owl"])
OUTCOMES = ["cat", "cat", "cat", "dog"]
"""Of the four completions of a prompt, whatever was sampled; weights 4/3, 4/3, 4/3 and 4."""

Function = Callable[..., Sequence[object]]


def outcomes(completions: Sequence[str], **columns: object) -> list[str | None]:
    return (OUTCOMES * len(completions))[: len(completions)]


def three(completions: Sequence[str], **columns: object) -> list[float]:
    return [3.0] * len(completions)


def trainer(folder: Path, reward: Function | list[Function] = three, **given: object) -> IPSGRPOTrainer:
    """Two groups of four completions a step, of one word each; options of TRL under `options`."""
    options = {"num_generations": 4, "per_device_train_batch_size": 8, "max_completion_length": 1, "max_steps": 1}
    changes = given.pop("options", {})
    assert isinstance(changes, dict)
    data = Dataset.from_dict({"prompt": ["say", "more"], "number": [7, 8]})
    arguments: dict[str, object] = {"processing_class": WORDS, "outcome_fn": outcomes, **given}
    return IPSGRPOTrainer(
        text_policy(WORDS, 0), reward, cpu_options(folder, **(options | changes)), data, data, **arguments
    )


def seen_by_trl(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """Keeps what the hook hands to TRL."""
    seen: list[torch.Tensor] = []
    hook = IPSGRPOTrainer._calculate_rewards

    def spy(self: IPSGRPOTrainer, *args: object) -> torch.Tensor:
        seen.append(hook(self, *args))  # pyright: ignore[reportArgumentType]
        return seen[-1]

    monkeypatch.setattr(IPSGRPOTrainer, "_calculate_rewards", spy)
    return seen


def advantages(made: IPSGRPOTrainer, monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """Keeps what TRL makes of it."""
    kept: list[torch.Tensor] = []
    whole = made._generate_and_score_completions

    def spy(inputs: list[dict[str, object]]) -> dict[str, torch.Tensor]:
        scored = whole(inputs)
        kept.append(scored["advantages"])
        return scored

    monkeypatch.setattr(made, "_generate_and_score_completions", spy)
    return kept


@pytest.mark.parametrize("name", HOOKS)
def test_each_overridden_method_has_the_signature_that_trl_had(name: str):
    assert tuple(inspect.signature(getattr(GRPOTrainer, name)).parameters) == HOOKS[name]


def test_the_installed_trl_is_of_the_range_that_is_stated():
    stated = tomllib.loads(PYPROJECT.read_text())["project"]["optional-dependencies"]["rl"]
    (trl,) = [r for r in map(Requirement, stated) if r.name == "trl"]

    assert trl.specifier.contains(version("trl"))
    assert not trl.specifier.contains("1.17")


@pytest.mark.parametrize("changed", [None, lambda self, rows: None], ids=["gone", "other parameters"])
@pytest.mark.parametrize("name", HOOKS)
def test_a_trl_without_a_method_is_refused(name: str, changed: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(GRPOTrainer, name, changed)

    with pytest.raises(ImportError, match=rf"no GRPOTrainer\.{name} as IPSGRPOTrainer overrides it"):
        trainer(tmp_path)


def test_without_the_extra_the_import_names_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("autointerp.extras.find_spec", lambda name: None if name == "trl" else name)
    monkeypatch.delitem(sys.modules, "autointerp.ips.trainer")

    with pytest.raises(SettingsError, match=re.escape("needs trl; run pip install '.[rl]' in your checkout")) as error:
        importlib.import_module("autointerp.ips.trainer")

    assert isinstance(error.value, ImportError)


def test_what_the_hook_returns_is_what_is_normalised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made = trainer(tmp_path)
    seen, scored = seen_by_trl(monkeypatch), advantages(made, monkeypatch)

    made.train()

    torch.testing.assert_close(seen[0][:, 0], torch.tensor([4.0, 4.0, 4.0, 12.0] * 2))
    spread = torch.tensor([4.0, 4.0, 4.0, 12.0]).std()
    torch.testing.assert_close(scored[0], torch.tensor([-2.0, -2.0, -2.0, 6.0] * 2) / (spread + 1e-4))


def test_raw_and_scaled_rewards_and_the_outcomes_are_logged(tmp_path: Path):
    made = trainer(tmp_path)

    made.train()

    logged = made.state.log_history[-1]
    assert logged["reward"] == logged["rewards/three/mean"] == 3
    assert logged["reward_std"] == logged["rewards/three/std"] == 0
    assert logged["ips/reward_scaled"] == 6
    assert logged["ips/reward_scaled_std"] == pytest.approx(torch.tensor([4.0, 4.0, 4.0, 12.0] * 2).std().item())
    assert logged["ips/weight"] == 2
    assert logged["ips/distinct"] == 2
    assert logged["ips/collapse"] == 0.5
    assert logged["ips/largest"] == 0.75
    assert logged["ips/invalid"] == 0


def test_two_functions_are_logged_each_unscaled_and_their_weighted_sum(tmp_path: Path):
    def two(completions: Sequence[str], **columns: object) -> list[float | None]:
        return [2.0, None, 2.0, 6.0] * 2

    made = trainer(tmp_path, [three, two], options={"reward_weights": [1.0, 0.5]})
    made.train()

    logged = made.state.log_history[-1]
    assert logged["rewards/three/mean"] == 3
    assert logged["rewards/two/mean"] == pytest.approx(10 / 3)
    assert logged["reward"] == pytest.approx((4 + 3 + 4 + 6) / 4)
    assert logged["ips/reward_scaled"] == pytest.approx((4 * 4 / 3 + 3 * 4 / 3 + 4 * 4 / 3 + 6 * 4) / 4)


def test_evaluation_is_not_scaled_and_counts_by_groups_of_its_own_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made = trainer(tmp_path, options={"num_generations_eval": 2, "per_device_eval_batch_size": 4})
    seen = seen_by_trl(monkeypatch)

    logged = made.evaluate()

    torch.testing.assert_close(seen[0][:, 0], torch.full((4,), 3.0))
    assert logged["eval_reward"] == 3
    assert logged["eval_ips/distinct"] == 1.5
    assert logged["eval_ips/collapse"] == 0.5
    assert logged["eval_ips/largest"] == 0.75
    assert logged["eval_ips/invalid"] == 0
    assert "eval_ips/reward_scaled" not in logged


def test_a_negative_reward_is_no_error_in_evaluation(tmp_path: Path):
    made = trainer(tmp_path, lambda completions, **columns: [-1.0] * len(completions))

    assert made.evaluate()["eval_reward"] == -1


def test_outcome_fn_is_given_what_a_reward_function_is_given(tmp_path: Path):
    given: list[dict[str, object]] = []

    def reward(**columns: object) -> list[float]:
        given.append(columns)
        return [1.0] * 8

    def outcome_fn(**columns: object) -> list[str]:
        given.append(columns)
        return ["a"] * 8

    trainer(tmp_path, reward, outcome_fn=outcome_fn).train()

    assert given[0] == given[1]
    assert given[0]["number"] == [7] * 4 + [8] * 4
    assert {"prompts", "completions", "completion_ids", "trainer_state", "log_extra", "log_metric"} < set(given[0])


def test_outcome_fn_may_be_async(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async def outcome_fn(completions: Sequence[str], **columns: object) -> list[str | None]:
        return outcomes(completions)

    made = trainer(tmp_path, outcome_fn=outcome_fn)
    seen = seen_by_trl(monkeypatch)

    made.train()

    torch.testing.assert_close(seen[0][:, 0], torch.tensor([4.0, 4.0, 4.0, 12.0] * 2))


def test_async_rewards_and_outcomes_share_a_loop(tmp_path: Path):
    loops: list[asyncio.AbstractEventLoop] = []

    async def reward(completions: Sequence[str], **columns: object) -> list[float]:
        loops.append(asyncio.get_running_loop())
        return [1.0] * len(completions)

    async def outcome_fn(completions: Sequence[str], **columns: object) -> list[str | None]:
        loops.append(asyncio.get_running_loop())
        return outcomes(completions)

    trainer(tmp_path, reward, outcome_fn=outcome_fn).train()

    assert len(loops) == 2
    assert loops[0] is loops[1]


def test_a_reward_that_is_not_known_stays_unknown_and_an_invalid_outcome_weighs_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    made = trainer(
        tmp_path,
        lambda completions, **columns: [1.0, None, 1.0, 1.0] * 2,
        outcome_fn=lambda completions, **columns: ["a", "a", None, "b"] * 2,
    )
    seen = seen_by_trl(monkeypatch)

    made.train()

    torch.testing.assert_close(seen[0][:4, 0], torch.tensor([2, torch.nan, 1, 4]), equal_nan=True)


def test_each_functions_column_is_scaled_but_one_of_weight_zero(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def length(completions: Sequence[str], **columns: object) -> list[float]:
        return [-1.0] * len(completions)

    made = trainer(tmp_path, [three, length], options={"reward_weights": [2.0, 0.0]})
    seen = seen_by_trl(monkeypatch)

    made.train()

    torch.testing.assert_close(seen[0][:4], torch.tensor([[4.0, -1], [4, -1], [4, -1], [12, -1]]))


def test_a_negative_reward_is_refused_by_function_and_row(tmp_path: Path):
    def penalty(completions: Sequence[str], **columns: object) -> list[float]:
        return [0.0] * 5 + [-0.5] + [0.0] * 2

    with pytest.raises(
        ValueError, match=r"'penalty' returned -0\.5 for sample 5 of the batch \(prompt 1, generation 1\).*its absence"
    ):
        trainer(tmp_path, [three, penalty]).train()


def test_an_infinite_reward_is_refused_by_function_and_row(tmp_path: Path):
    def ratio(completions: Sequence[str], **columns: object) -> list[float]:
        return [1.0] * 3 + [float("inf")] + [1.0] * 4

    with pytest.raises(
        ValueError, match=r"'ratio' returned inf for sample 3 of the batch \(prompt 0, generation 3\).*finite rewards$"
    ):
        trainer(tmp_path, ratio).train()


def test_a_negative_weight_is_refused_by_function(tmp_path: Path):
    with pytest.raises(ValueError, match=r"reward function 'three' has weight -1; .* needs weights >= 0"):
        trainer(tmp_path, options={"reward_weights": [-1.0]})


@pytest.mark.parametrize(
    ("returned", "complaint"),
    [
        (["a"] * 7, "outcome_fn returned 7 outcomes for 8 completions"),
        ([["a"]] * 8, "a list for a completion, which cannot be counted .*: return text or a tuple"),
        ([(["a"],)] * 8, "a list for a completion, which cannot be counted .*: return text or a tuple"),
        ([{"a": 1}] * 8, "a dict for a completion, which cannot be counted .*: return text or a tuple"),
        ([(1, torch.zeros(1))] * 8, "a Tensor for a completion, and no two tensors count as equal"),
        ([(1, float("nan"))] * 8, "return None for an invalid completion"),
        ("abcdabcd", "returned a str; a list with one outcome for each completion"),
        (dict.fromkeys("abcdefgh"), "returned a dict; a list with one outcome for each completion"),
        (None, "returned a NoneType; a list with one outcome for each completion"),
        (torch.zeros(8), r"return outcome.tolist\(\)"),
        ([float("nan")] * 8, "return None for an invalid completion"),
    ],
    ids=[
        "too few",
        "lists",
        "lists within",
        "dicts",
        "tensors within",
        "nan within",
        "a string",
        "a dict",
        "nothing",
        "tensor",
        "nan",
    ],
)
def test_outcomes_that_cannot_be_counted_are_refused(returned: object, complaint: str, tmp_path: Path):
    with pytest.raises(ValueError, match=complaint):
        trainer(tmp_path, outcome_fn=lambda **columns: returned).train()


@pytest.mark.parametrize(("name", "value"), [("epsilon", 1.5), ("alpha", -1.0)])
def test_parameters_are_checked_before_anything_is_trained(name: str, value: float, tmp_path: Path):
    with pytest.raises(ValueError, match=f"{name} is {value}"):
        trainer(tmp_path, options={f"ips_{name}": value})


@pytest.mark.parametrize(
    ("outcome_fn", "complaint"),
    [
        ("which", "outcome_fn is of type str; give a function"),
        (lambda completions: completions, r"cannot be called as a reward function is, with .*number.*\*\*columns"),
        (lambda answers, **columns: answers, "missing a required argument: 'answers'"),
    ],
    ids=["no function", "no columns", "another name"],
)
def test_an_outcome_fn_that_cannot_be_called_is_refused_before_training(
    outcome_fn: object, complaint: str, tmp_path: Path
):
    with pytest.raises(ValueError, match=complaint):
        trainer(tmp_path, outcome_fn=outcome_fn)


def test_options_of_trl_stand_for_the_full_correction(tmp_path: Path):
    data = Dataset.from_dict({"prompt": ["say"]})
    plain = GRPOConfig(str(tmp_path), use_cpu=True, bf16=False, num_generations=4, report_to="none")

    made = IPSGRPOTrainer(text_policy(WORDS, 0), three, plain, data, processing_class=WORDS, outcome_fn=outcomes)

    assert (made.ips_alpha, made.ips_epsilon) == (1, 0)


def test_checkpoints_keep_how_rewards_were_scaled_and_others_are_not_gone_on_with(tmp_path: Path):
    def made(**changes: object) -> IPSGRPOTrainer:
        options = {"save_strategy": "steps", "save_steps": 1, "ips_alpha": 0.5, "ips_epsilon": 0.25}
        return trainer(tmp_path, options=options | changes)

    made().train()

    kept = json.loads((tmp_path / "checkpoint-1" / "trainer_state.json").read_text())["stateful_callbacks"]
    assert kept["IPSState"]["args"] == {"alpha": 0.5, "epsilon": 0.25}
    with pytest.raises(ValueError, match=r"with ips_alpha=0.5, ips_epsilon=0.25, and this .* ips_alpha=1, ips_epsilon"):
        made(ips_alpha=1.0, max_steps=2).train(resume_from_checkpoint=True)
    again = made(max_steps=2)
    again.train(resume_from_checkpoint=True)
    assert again.state.global_step == 2


def test_epsilon_and_alpha_reach_the_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made = trainer(tmp_path, options={"ips_epsilon": 0.5, "ips_alpha": 0.5})
    seen = seen_by_trl(monkeypatch)

    made.train()

    torch.testing.assert_close(seen[0][:4, 0], torch.tensor([3 * (4 / 3) ** 0.5] * 3 + [3 * 2**0.5]))


def test_groups_are_whole_where_one_generation_serves_several_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made = trainer(
        tmp_path,
        options={"per_device_train_batch_size": 2, "steps_per_generation": 4, "num_iterations": 2, "max_steps": 8},
    )
    seen = seen_by_trl(monkeypatch)

    made.train()

    assert [len(rewards) for rewards in seen] == [8]
    torch.testing.assert_close(seen[0][:, 0], torch.tensor([4.0, 4.0, 4.0, 12.0] * 2))


@pytest.mark.parametrize("strategy", ["batch", "none"])
def test_scaling_comes_before_each_of_trls_normalisations(
    strategy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    made = trainer(tmp_path, options={"scale_rewards": strategy})
    scored = advantages(made, monkeypatch)

    made.train()

    spread = torch.tensor([4.0, 4.0, 4.0, 12.0] * 2).std() + 1e-4 if strategy == "batch" else 1
    torch.testing.assert_close(scored[0], torch.tensor([-2.0, -2.0, -2.0, 6.0] * 2) / spread)


def test_the_completions_table_shows_raw_rewards_weights_and_outcomes(tmp_path: Path):
    trainer(tmp_path, options={"log_completions": True, "logging_strategy": "steps", "logging_steps": 1}).train()

    table = read_table(tmp_path / "completions" / "completions_00001.parquet").to_pydict()
    assert table["three"] == [3] * 8
    assert table["ips/scaled/three"] == [4, 4, 4, 12] * 2
    assert table["ips/outcome"] == OUTCOMES * 2
    assert table["ips/weight"] == pytest.approx([4 / 3, 4 / 3, 4 / 3, 4] * 2)


def test_only_an_adapter_is_trained_where_one_is_asked_for(tmp_path: Path):
    peft = pytest.importorskip("peft", reason="peft is not installed")
    adapter = peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")

    made = trainer(tmp_path, peft_config=adapter, options={"beta": 0.1})
    made.train()

    assert made.state.log_history[-1]["ips/weight"] == 2
    assert all("lora" in name for name, value in made.model.named_parameters() if value.requires_grad)


def test_the_model_card_names_the_method_and_its_paper(tmp_path: Path):
    made = trainer(tmp_path)

    made.create_model_card(model_name="tiny")

    card = (tmp_path / "README.md").read_text()
    assert "IPS-GRPO" in card
    assert "2601.21669" in card
    assert "with α = 1 and ε = 0, where" in card


def test_the_trainer_and_its_options_come_from_the_package():
    ips = importlib.import_module("autointerp.ips")

    assert ips.IPSGRPOTrainer is IPSGRPOTrainer
    assert issubclass(ips.IPSGRPOConfig, GRPOConfig)
    with pytest.raises(AttributeError, match="no attribute 'GRPO'"):
        _ = ips.GRPO
