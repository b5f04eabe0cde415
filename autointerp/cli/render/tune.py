"""What `autointerp tune` prints."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from autointerp.cli.printing import exit_code, plural, same_again
from autointerp.cli.terminal import say, say_json

if TYPE_CHECKING:
    from autointerp.commands.tune import Tune
    from autointerp.jobs.tune import TuneResult
    from autointerp.tuning.folder import Measure


def show(result: "TuneResult", settings: "Tune", *, as_json: bool) -> int:
    """Prints what was done and what comes next; exit code 1 if it ended early, 3 if it was stopped."""
    if as_json:
        say_json(_as_json(result))
    else:
        for line in (*_lines(result), *_next(result, settings)):
            say(line)
    return exit_code(complete=result.stopped is None, halted=result.halted)


def _next(result: "TuneResult", settings: "Tune") -> list[str]:
    if result.stopped is not None:
        return [f"stopped: {result.stopped}; {same_again()}"]
    base, served = str(result.model), str(result.model)
    if settings.settings.lora is not None:
        base, served = f"{settings.model} --enable-lora --lora-modules tuned={result.model}", "tuned"
    return [
        f"next: vllm serve {base}",
        f"then: autointerp explain DUMP --run RUN --model {served} --base-url http://localhost:8000/v1",
    ]


def _as_json(result: "TuneResult") -> dict[str, object]:
    tally = result.tally
    measures = {
        name: None if own is None else {k: m.model_dump() for k, m in own.items()}
        for name, own in (("before", result.before), ("after", result.after))
    }
    calls = {"requests": tally.requests, "answered": tally.answered, "cached": tally.cached}
    plain = {k: v for k, v in asdict(result).items() if k != "tally"}
    return plain | measures | calls | {"usage": tally.usage.model_dump(), "failures": dict(tally.failures)}


def _lines(result: "TuneResult") -> list[str]:
    lines = [
        f"{result.step:,} of {result.steps:,} steps on {plural(result.features, 'feature')} in {result.seconds:,.1f} s "
        f"-> {result.folder}",
        f"{plural(result.tally.requests, 'call')}, {plural(result.tally.cached, 'answer')} from the cache",
    ]
    if result.left_out:
        lines.append(f"{plural(result.left_out, 'feature')} left out: too few images to show some and judge by others")
    if result.before and result.after:
        lines.append(f"{plural(result.held_out, 'held-out feature')}, before and after, with 95 % intervals:")
        for name, old in result.before.items():
            if (new := result.after.get(name)) is not None:
                lines.append(f"  {name:9} {_figure(old)}  {_figure(new)}")
    return lines


def _figure(measure: "Measure") -> str:
    if measure.low is None or measure.high is None:
        return f"{measure.mean:.3f}"
    return f"{measure.mean:.3f} [{measure.low:.3f}, {measure.high:.3f}]"
