"""Small transformers that write answers word by word, trained by TRL: start, training, samples. Needs extra `rl`."""

import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import torch
from datasets import Dataset
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerFast, PrinterCallback, Qwen2Config, Qwen2ForCausalLM

from autointerp.ips import IPSGRPOTrainer
from benchmarks.ips.many.domains import Words
from benchmarks.ips.many.sets import with_diversity
from benchmarks.ips.many.tables import SIBLINGS
from benchmarks.ips.methods import INVALID, Method
from benchmarks.ips.tiny import cpu_options, tokenizer

GROUP = 16
BATCH = 2 * SIBLINGS * GROUP
"""Completions of a step: two prompts, each with four groups."""
SAMPLED = 512
"""Samples drawn at a time."""


class Judged(NamedTuple):
    """What an answer is worth."""

    reward: float
    outcome: Hashable | None


Judge = Callable[[int, Words], Judged]
"""Of a prompt, by its number, and an answer's words."""


@dataclass(frozen=True)
class Lessons:
    """How a policy is trained."""

    steps: int
    rate: float
    longest: int
    """Words of an answer, without the end."""


def _ends(words: PreTrainedTokenizerFast) -> tuple[int, int]:
    """Numbers of the padding and of the end."""
    pad, end = words.pad_token_id, words.eos_token_id
    assert isinstance(pad, int)
    assert isinstance(end, int)
    return pad, end


def policy(words: PreTrainedTokenizerFast, seed: int) -> Qwen2ForCausalLM:
    """A Qwen2 of two layers, 64 wide, with fresh weights."""
    torch.manual_seed(seed)
    pad, end = _ends(words)
    config = Qwen2Config(
        vocab_size=len(words),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=128,
        pad_token_id=pad,
        eos_token_id=end,
        bos_token_id=None,
    )
    return Qwen2ForCausalLM(config)


def warm_start(
    vocabulary: Words, examples: Callable[[np.random.Generator, int], Sequence[tuple[str, Words]]], steps: int
) -> Qwen2ForCausalLM:
    """A policy that has learnt to answer as the examples do.

    Args:
        vocabulary: of prompts and answers.
        examples: gives n prompts, all of them new, each with an answer.
        steps: of Adam, 128 examples each.
    """
    words, chance = tokenizer(vocabulary), np.random.default_rng(0)
    model, (pad, end) = policy(words, 0), _ends(words)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps)
    for _ in range(steps):
        rows = [(words.encode(p), [*words.encode(" ".join(a)), end]) for p, a in examples(chance, 128)]
        longest = max(len(p) + len(a) for p, a in rows)
        ids = torch.full((len(rows), longest), pad)
        labels = torch.full((len(rows), longest), -100)
        for i, (p, a) in enumerate(rows):
            ids[i, : len(p) + len(a)] = torch.tensor(p + a)
            labels[i, len(p) : len(p) + len(a)] = torch.tensor(a)
        loss = model(input_ids=ids, attention_mask=(ids != pad).long(), labels=labels).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return model


def save(model: Qwen2ForCausalLM, path: Path) -> None:
    """Its weights."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous().clone() for k, v in model.state_dict().items()}, path)


def load(path: Path, vocabulary: Words) -> Qwen2ForCausalLM:
    """The saved policy."""
    model = policy(tokenizer(vocabulary), 0)
    model.load_state_dict(load_file(path))
    return model


def train(
    model: Qwen2ForCausalLM,
    vocabulary: Words,
    prompts: Sequence[str],
    judge: Judge,
    method: Method,
    lessons: Lessons,
    *,
    seed: int,
) -> float:
    """Trains the policy in place by groups of 16; returns seconds of processor time.

    Where sets are rewarded, TRL normalises the rewards of all sibling groups together, as the method asks.
    """
    words, together = tokenizer(vocabulary), SIBLINGS if method.diversity else 1

    def judged(completion_ids: Sequence[list[int]], number: Sequence[int]) -> list[Judged]:
        return [judge(i, _words(words, ids)) for i, ids in zip(number, completion_ids, strict=True)]

    def outcomes(completion_ids: Sequence[list[int]], number: Sequence[int], **kwargs: object) -> list[Hashable | None]:
        return [j.outcome for j in judged(completion_ids, number)]

    def rewards(completion_ids: Sequence[list[int]], number: Sequence[int], **kwargs: object) -> list[float]:
        got = judged(completion_ids, number)
        own = np.array([j.reward for j in got])
        if method.diversity:
            assert all(len(set(number[k : k + together * GROUP])) == 1 for k in range(0, len(got), together * GROUP))
            names = {o: i for i, o in enumerate(dict.fromkeys(j.outcome for j in got if j.outcome is not None))}
            numbered = np.array([INVALID if j.outcome is None else names[j.outcome] for j in got])
            shape = (-1, SIBLINGS, GROUP)
            own = with_diversity(own.reshape(shape), numbered.reshape(shape), method.diversity).ravel()
        return own.tolist()

    asked = [{"prompt": p, "number": i} for i, p in enumerate(prompts) for _ in range(SIBLINGS // together)]
    rows = asked * (1 + lessons.steps * BATCH // (GROUP * together * len(asked)))  # as many groups as are trained on
    with TemporaryDirectory() as folder:
        options = cpu_options(
            Path(folder),
            num_generations=GROUP * together,
            per_device_train_batch_size=BATCH,
            max_completion_length=lessons.longest + 1,
            max_steps=lessons.steps,
            learning_rate=lessons.rate,
            entropy_coef=method.entropy,
            ips_alpha=method.alpha,
            seed=seed,
        )
        trainer = IPSGRPOTrainer(
            model, rewards, options, Dataset.from_list(rows), processing_class=words, outcome_fn=outcomes
        )
        trainer.remove_callback(PrinterCallback)
        started = time.process_time()
        trainer.train()
    return time.process_time() - started


def answers(model: Qwen2ForCausalLM, vocabulary: Words, prompt: str, n: int, longest: int, *, seed: int) -> list[Words]:
    """N samples."""
    words = tokenizer(vocabulary)
    pad, end = _ends(words)
    torch.manual_seed(seed)
    model.eval()
    given = words([prompt] * min(n, SAMPLED), return_tensors="pt")
    out: list[Words] = []
    with torch.inference_mode():
        while len(out) < n:
            ids = model.generate(  # pyright: ignore[reportAttributeAccessIssue]
                input_ids=given["input_ids"],
                attention_mask=given["attention_mask"],
                do_sample=True,
                top_k=0,
                max_new_tokens=longest + 1,
                pad_token_id=pad,
                eos_token_id=end,
            )
            out += [_words(words, row) for row in ids[:, given["input_ids"].shape[1] :].tolist()]
    return out[:n]


def _words(words: PreTrainedTokenizerFast, ids: Sequence[int]) -> Words:
    """Up to the end; an answer that does not end keeps all its words, one too many, and is none."""
    _, end = _ends(words)
    kept = ids[: ids.index(end)] if end in ids else ids
    found = words.convert_ids_to_tokens(list(kept))
    assert isinstance(found, list)
    return tuple(found)
