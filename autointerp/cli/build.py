"""From options to settings, and from results to what is printed."""

import dataclasses
import json
import shlex
import sys
from typing import TYPE_CHECKING, TypeVar

import typer
from pydantic import BaseModel, ValidationError

from autointerp.errors import SettingsError
from autointerp.lmm.address import split_addresses

if TYPE_CHECKING:
    from autointerp.jobs.common import JobResult

S = TypeVar("S", bound=BaseModel)

_OPTION = {
    "n_top": "--top",
    "n_bands": "--bands",
    "n_contrast": "--contrast",
    "renderings": "--rendering",
    "n_active": "--active",
    "n_silent": "--silent",
    "n_screen": "--screen",
    "n_controls": "--controls",
    "group": "--candidates",
}
EXIT_FAILURES = 1


def build_settings(kind: type[S], **values: object) -> S:
    """The settings, or one line that names the option.

    Raises:
        SettingsError: a value that the settings do not take.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as e:
        first = e.errors(include_url=False)[0]
        field = str(first["loc"][0])
        option = _OPTION.get(field, "--" + field.replace("_", "-"))
        raise SettingsError(f"{option} {first['input']!r}: {first['msg'][0].lower()}{first['msg'][1:]}") from e


def model_name(model: str | None) -> str:
    """The model's name.

    Raises:
        SettingsError: none was given.
    """
    if model:
        return model
    raise SettingsError(
        "name a model with --model: one that your endpoint knows, e.g. gpt-5-mini, or `local` for the embedded one"
    )


def servers(given: list[str] | None) -> tuple[str | None, tuple[str, ...]]:
    """The first address, and the further ones; also from a text with commas, as an environment variable holds them."""
    urls = split_addresses(given or ())
    return (urls[0] if urls else None), urls[1:]


def plural(n: int, what: str) -> str:
    """`1 feature`, `2 features`."""
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"


def print_json(value: object) -> None:
    """One JSON object on stdout."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n")


def finish(did: str, result: "JobResult", *, as_json: bool, next_step: str) -> None:
    """Prints what a job did, and exits with 1 if failures were recorded."""
    if as_json:
        print_json(_as_json(result))
    else:
        for line in _lines(did, result, next_step):
            typer.echo(line)
    if not result.complete:
        raise typer.Exit(EXIT_FAILURES)


def _as_json(result: "JobResult") -> dict[str, object]:
    tally = result.tally
    return {
        "headline": result.headline,
        "run": str(result.run),
        "selected": result.selected,
        "before": result.before,
        "done": result.done,
        "dead": result.dead,
        "failed": result.failed,
        "unanswered": result.gaps,
        "stopped": result.stopped,
        "seconds": round(result.seconds, 3),
        "requests": tally.requests,
        "answered": tally.answered,
        "cached": tally.cached,
        "usage": tally.usage.model_dump(),
        "failures": dict(tally.failures),
        "retries": dict(tally.retries),
        "notes": result.notes,
    }


def _lines(did: str, result: "JobResult", next_step: str) -> list[str]:
    tally, usage = result.tally, result.tally.usage
    cost = "" if usage.dollars is None else f", ${usage.dollars:,.4f}"
    earlier = f" ({result.before:,} were done before)" if result.before else ""
    lines = [result.headline] if result.headline else []
    lines.append(
        f"{did} {result.done:,} of {result.selected:,} features{earlier} in {result.seconds:,.1f} s -> {result.run}"
    )
    tokens = usage.input_tokens + usage.output_tokens
    lines.append(
        f"{plural(tally.requests, 'call')}, {plural(tally.cached, 'answer')} from the cache, {tokens:,} tokens{cost}"
    )
    if result.dead:
        verb = "fires on no image of the dump and was" if result.dead == 1 else "fire on no image of the dump and were"
        lines.append(f"{plural(result.dead, 'feature')} {verb} passed over")
    lines += result.notes
    if result.gaps:
        lines.append(
            f"{plural(result.gaps, 'question')} stayed unanswered (failures.jsonl); "
            "the intervals are as wide as their answers could make them"
        )
    if result.failed:
        stay = "stays" if result.failed == 1 else "stay"
        lines.append(f"{plural(result.failed, 'feature')} failed and {stay} pending (failures.jsonl); the first:")
        lines += [f"  feature {f.feature}: {f.stage}: {f.kind}: {f.message}" for f in result.failures[:5]]
    if result.complete:
        lines.append(f"next: {next_step}")
    else:
        why = f"stopped: {result.stopped}; " if result.stopped else ""
        lines.append(f"{why}{same_again()}")
    return lines


def same_again() -> str:
    """How to go on, with the command that was given."""
    return f"run the same command again to go on: {shlex.join(['autointerp', *sys.argv[1:]])}"


def records(value: object) -> object:
    """A dataclass as JSON values."""
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else value
