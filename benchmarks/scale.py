"""Ten million features on paper: calls, tokens, dollars, disk and hours, from measured constants.

python -m benchmarks.scale                 # the tables, from scale.json
python -m benchmarks.scale --write         # also puts them into docs/scale.md
python -m benchmarks.scale --measure       # measures disk anew (some 2 minutes), writes scale.json and the page
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import machine, put_between
from benchmarks.token_levers import SMALL, USUAL, Cost, Look, cost_of

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs/scale.md"
MARKS = ("<!-- scale -->", "<!-- /scale -->")
FEATURES = 10**7
MEASURED_ON = 100
"""Features behind the measured sizes."""
CALL_MS, CROP_MS = 1.35, 4.4
"""CPU of the client for a request, and for a crop of an image not seen before (benchmarks/README.md)."""
JUDGED = 24 + 36
"""Images a feature by the defaults of `score`."""


@dataclass(frozen=True)
class Endpoint:
    """Who answers, as assumed; put your own figures here."""

    name: str
    model: str
    dollars_in: float
    """Per million tokens; 0 for a server paid by the hour."""
    dollars_out: float
    hourly: float
    """Dollars an hour for the server."""
    in_per_second: float
    """Tokens of input that it takes, where input and output share nothing."""
    out_per_second: float
    requests_per_minute: float
    """Infinite where nothing but tokens counts."""


ENDPOINTS = (
    Endpoint("hosted API, batch jobs", "gpt-6-luna", 0.05, 0.25, 0.0, 5e9 / 86400, 5e9 / 86400, float("inf")),
    Endpoint("hosted API, live", "gpt-6-luna", 0.1, 0.5, 0.0, 150e6 / 60, 150e6 / 60, 30_000),
    Endpoint("own vLLM, 8 GPUs", "qwen3-vl-30b-a3b", 0.0, 0.0, 16.0, 80_000, 8_000, float("inf")),
)
"""Batch: half the list price, 5 billion tokens taken a day. Live: 150 million tokens and 30,000 requests a minute. Own:
10,000 tokens read and 1,000 written a second and GPU, $2 a GPU and hour."""


@dataclass(frozen=True)
class Scheme:
    """How features are explained and scored."""

    name: str
    per_call: int
    look: Look


SCHEMES = (
    Scheme("one image a request", 1, USUAL),
    Scheme("defaults: sheets of 12", 12, USUAL),
    Scheme("sheets of 24, images of 112 px, explainer's pictures of 224 px", 24, SMALL),
)


def whole(scheme: Scheme, model: str) -> Cost:
    """Requests and tokens of all features; controls, which 20 of them carry, do not show at this scale."""
    explained, judged = cost_of(scheme.look, None, model), Cost(0, 0, 0)
    left = JUDGED
    while left > 0:
        judged += cost_of(scheme.look, min(scheme.per_call, left), model)
        left -= scheme.per_call
    return (explained + judged).times(FEATURES)


def hours(cost: Cost, by: Endpoint) -> float:
    """The longer of what tokens and requests take."""
    tokens = cost.input_tokens / by.in_per_second + cost.output_tokens / by.out_per_second
    if by.in_per_second == by.out_per_second:
        tokens = (cost.input_tokens + cost.output_tokens) / by.in_per_second
    return max(tokens / 3600, cost.requests / by.requests_per_minute / 60)


def dollars(cost: Cost, by: Endpoint) -> float:
    """Tokens by the million, or hours."""
    return (cost.input_tokens * by.dollars_in + cost.output_tokens * by.dollars_out) / 1e6 + hours(cost, by) * by.hourly


def tables(measured: Mapping[str, float]) -> str:
    """What the page shows between its marks."""
    return "\n".join([*_endpoints(), "", *_disk(measured), "", *_client()])


def _endpoints() -> Iterator[str]:
    yield "| endpoint | scheme | calls | tokens in | tokens out | dollars | hours |"
    yield "|---|---|---|---|---|---|---|"
    for by in ENDPOINTS:
        for scheme in SCHEMES:
            cost = whole(scheme, by.model)
            calls, read_in, written = cost.requests / 1e6, cost.input_tokens / 1e9, cost.output_tokens / 1e9
            spent = f"{_short(dollars(cost, by))} | {_short(hours(cost, by))}"
            figures = f"{calls:.0f} M | {read_in:.0f} G | {written:.1f} G | {spent}"
            yield f"| {by.name} ({by.model}) | {scheme.name} | {figures} |"


def _short(value: float) -> str:
    """Two digits that count, and thousands marked."""
    digits = 10 ** max(0, len(str(int(value))) - 2)
    return f"{round(value / digits) * digits:,}" if value >= 10 else f"{value:.1f}"


def _disk(measured: Mapping[str, float]) -> Iterator[str]:
    rows = (
        ("dump, features and exemplars", "dump"),
        ("dump, images", "none: paths to the files where they are, some 100 bytes an image"),
        ("explanations.jsonl", "explanation"),
        ("scores.jsonl (detection with its 60 verdicts, and accuracy)", "score"),
        ("exchanges.jsonl, which `--no-exchanges` leaves out", "exchanges"),
        (f"cache, {1 + JUDGED // 12} answers and what became of the feature", "cache"),
    )
    yield "| on disk | bytes a feature | in all |"
    yield "|---|---|---|"
    for name, key in rows:
        each = measured.get(key)
        yield f"| {name} | {key} | |" if each is None else f"| {name} | {each:,.0f} | {each * FEATURES / 1e9:,.0f} GB |"


def _client() -> Iterator[str]:
    yield "| client | CPU a feature | in all |"
    yield "|---|---|---|"
    for scheme in SCHEMES:
        calls = 1 + -(-JUDGED // scheme.per_call)
        shown = 20 * len(scheme.look.renderings) - 4 * (len(scheme.look.renderings) - 1)
        new, seen = (shown + JUDGED) * CROP_MS + calls * CALL_MS, calls * CALL_MS
        yield (
            f"| {scheme.name} | {seen:.0f} to {new:.0f} ms | "
            f"{_short(seen * FEATURES / 3.6e6)} to {_short(new * FEATURES / 3.6e6)} core hours |"
        )


def measure() -> dict[str, float]:
    """Bytes a feature of a dump of default size, of its records, and of the cache."""
    from autointerp.commands.explain import explain
    from autointerp.commands.score import score
    from autointerp.settings import EngineSettings, ModelSettings, ScoreSettings
    from benchmarks.scale_dump import write
    from benchmarks.stub import running

    with tempfile.TemporaryDirectory() as name, running(0.0) as url:
        folder = Path(name)
        write(folder / "dump", MEASURED_ON)
        model, cache = ModelSettings(model="stub", base_url=url), folder / "cache"
        engine = EngineSettings(concurrency=8)
        explain(folder / "dump", folder / "run", model=model, engine=engine, cache=cache)
        settings = ScoreSettings(n_controls=0, bootstrap=100)
        score(folder / "run", judge=model, settings=settings, engine=engine, cache=cache)
        return {
            "dump": _size(folder / "dump", "features*", "exemplars*") / MEASURED_ON,
            "explanation": _size(folder / "run", "explanations.jsonl") / MEASURED_ON,
            "score": _size(folder / "run", "scores.jsonl") / MEASURED_ON,
            "exchanges": _size(folder / "run", "exchanges.jsonl") / MEASURED_ON,
            "cache": _size(folder / "cache", "**/*") / MEASURED_ON,
        }


def _size(folder: Path, *patterns: str) -> int:
    return sum(p.stat().st_size for pattern in patterns for p in folder.glob(pattern) if p.is_file())


def read() -> dict[str, float]:
    """The measured constants."""
    return json.loads((HERE / "scale.json").read_text())["measured"]


def put() -> None:
    """Replaces what stands between the page's marks."""
    put_between(PAGE, tables(read()), MARKS)


def main() -> None:
    """Parses, measures if asked, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/scale.md")
    parser.add_argument("--measure", action="store_true", help="measure disk anew, and write")
    given = parser.parse_args()
    if given.measure:
        figures = {"machine": machine(), "features": MEASURED_ON, "measured": measure()}
        (HERE / "scale.json").write_text(json.dumps(figures, indent=1) + "\n")
    print(tables(read()))
    if given.write or given.measure:
        put()


if __name__ == "__main__":
    main()
