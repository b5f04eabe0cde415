"""Checks a function that says what a completion comes to, and what it returns."""

import inspect
import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import cast

GIVEN = ("prompts", "completions", "completion_ids", "trainer_state", "log_extra", "log_metric")
"""What TRL hands to each reward function, and this package to `outcome_fn`, beside the columns of the data set."""


def check_outcome_fn(outcome_fn: object, columns: Iterable[str]) -> None:
    """Raises where a function cannot be called as TRL calls a reward function.

    Args:
        outcome_fn: as the trainer takes it.
        columns: those of the data set.

    Raises:
        ValueError: it cannot be called at all, or takes other arguments.
    """
    if not callable(outcome_fn):
        raise ValueError(f"outcome_fn is of type {type(outcome_fn).__name__}; give a function as TRL's rewards are")
    try:
        signature = inspect.signature(cast("Callable[..., object]", outcome_fn))
    except (TypeError, ValueError):  # of something built in, which does not say what it takes
        return
    names = {*GIVEN, *(name for name in columns if name not in ("prompt", "completion"))}
    try:
        signature.bind(**dict.fromkeys(names))
    except TypeError as error:
        raise ValueError(
            f"outcome_fn cannot be called as a reward function is, with {', '.join(sorted(names))} ({error}): write it "
            "as def outcome_fn(completions, **columns)"
        ) from error


def outcomes_in(found: object) -> list[Hashable | None]:
    """Returns what `outcome_fn` returned as a list of outcomes that can be counted.

    Raises:
        ValueError: it is no sequence of outcomes, or one of them cannot be counted.
    """
    if isinstance(found, str | bytes | Mapping) or not isinstance(found, Iterable):
        raise ValueError(
            f"outcome_fn returned a {type(found).__name__}; a list with one outcome for each completion is needed"
        )
    out = list(cast("Iterable[Hashable | None]", found))
    for outcome in out:
        _check(outcome)
    return out


def _check(outcome: object) -> None:
    """Raises ValueError for what cannot be counted: unhashable, or equal to nothing else."""
    kind = type(outcome).__name__
    if kind == "Tensor":
        raise ValueError(
            "outcome_fn returned a Tensor for a completion, and no two tensors count as equal: "
            "return outcome.tolist(), or a tuple of it"
        )
    if isinstance(outcome, float) and math.isnan(outcome):
        raise ValueError("outcome_fn returned NaN, which equals nothing: return None for an invalid completion")
    if isinstance(outcome, tuple | frozenset):
        for part in cast("Sequence[object]", outcome):
            _check(part)
    try:
        hash(outcome)
    except TypeError as error:
        raise ValueError(
            f"outcome_fn returned a {kind} for a completion, which cannot be counted ({error}): return text or a tuple"
        ) from error
    if outcome != outcome:
        raise ValueError(f"outcome_fn returned a {kind} that does not equal itself, and cannot be counted")
