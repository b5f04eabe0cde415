"""Prints what `autointerp tune` did."""

from collections.abc import Iterator
from dataclasses import asdict

from autointerp.cli.printing import exit_code, plural, same_again, tell
from autointerp.commands.tune import Tune
from autointerp.jobs.tune import TuneResult
from autointerp.tuning.folder import Measure


def show(result: TuneResult, settings: Tune, *, as_json: bool) -> int:
    """Prints what was done and what comes next; exit code 1 if it ended early, 3 if it was stopped."""
    code = exit_code(complete=result.stopped is None, halted=result.halted)
    return tell((*_lines(result), *_next(result, settings)), _as_json(result), as_json=as_json, code=code)


def _next(result: TuneResult, settings: Tune) -> list[str]:
    if result.stopped is not None:
        return [f"stopped: {result.stopped}; {same_again()}"]
    base, served = str(result.model), str(result.model)
    if settings.settings.lora is not None:
        base, served = f"{settings.model} --enable-lora --lora-modules tuned={result.model}", "tuned"
    return [
        f"next: vllm serve {base}",
        f"then: autointerp explain DUMP --run RUN --model {served} --base-url http://localhost:8000/v1",
    ]


def _as_json(result: TuneResult) -> dict[str, object]:
    tally = result.tally
    measures = {
        name: None if own is None else {k: m.model_dump() for k, m in own.items()}
        for name, own in (("before", result.before), ("after", result.after))
    }
    calls = {"requests": tally.requests, "answered": tally.answered, "cached": tally.cached}
    plain = {k: v for k, v in asdict(result).items() if k != "tally"}
    return plain | measures | calls | {"usage": tally.usage.model_dump(), "failures": dict(tally.failures)}


def _lines(result: TuneResult) -> Iterator[str]:
    steps = f"{result.step:,} of {result.steps:,} steps on {plural(result.features, 'feature')}"
    yield f"{steps} in {result.seconds:,.1f} s -> {result.folder}"
    yield f"{plural(result.tally.requests, 'call')}, {plural(result.tally.cached, 'answer')} from the cache"
    if result.left_out:
        yield f"{plural(result.left_out, 'feature')} left out: too few images to show some and judge by others"
    if result.before and result.after:
        yield f"{plural(result.held_out, 'held-out feature')}, before and after, with 95 % intervals:"
        for name, old in result.before.items():
            if (new := result.after.get(name)) is not None:
                yield f"  {name:9} {_figure(old)}  {_figure(new)}"


def _figure(measure: Measure) -> str:
    if measure.low is None or measure.high is None:
        return f"{measure.mean:.3f}"
    return f"{measure.mean:.3f} [{measure.low:.3f}, {measure.high:.3f}]"
