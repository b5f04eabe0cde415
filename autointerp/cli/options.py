"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

DUMP = Annotated[
    str, typer.Argument(help="Folder of the feature dump, or its URL: s3://bucket/dump.", show_default=False)
]
RUN = Annotated[str, typer.Argument(help="Folder of the run, or its URL: s3://bucket/run.", show_default=False)]

FEATURES = Annotated[
    str, typer.Option("--features", help="`all`, numbers and ranges such as 0-511,600, or @FILE with one on each line.")
]
WIDTH = Annotated[int | None, typer.Option("--width", help="Only features of this nested prefix of the dictionary.")]
SAMPLE = Annotated[int | None, typer.Option("--sample", help="Only this many features, drawn by --seed.")]
SEED = Annotated[int, typer.Option("--seed", min=0, help="Of every draw; also sent to the endpoint.")]

MODEL = Annotated[
    str | None,
    typer.Option(
        "--model",
        envvar="AUTOINTERP_MODEL",
        help="The explainer: a name your endpoint knows, e.g. gpt-5-mini, or `local` for the embedded model.",
    ),
]
BASE_URL = Annotated[
    list[str] | None,
    typer.Option(
        "--base-url",
        envvar="AUTOINTERP_BASE_URL",
        help="An OpenAI-compatible server, e.g. http://localhost:8000/v1. Without it: that of OPENAI_BASE_URL, else "
        "OpenAI. Repeat it for several servers of the same model.",
    ),
]
JUDGE_MODEL = Annotated[
    str | None,
    typer.Option(
        "--judge-model",
        "--model",
        envvar="AUTOINTERP_JUDGE_MODEL",
        help="The judge; by default the run's explainer, though a model of another family judges more fairly.",
    ),
]
JUDGE_BASE_URL = Annotated[
    list[str] | None,
    typer.Option(
        "--judge-base-url",
        "--base-url",
        envvar=["AUTOINTERP_JUDGE_BASE_URL", "AUTOINTERP_BASE_URL"],
        help="The judge's server; repeatable. Without it: the run's own; OpenAI is https://api.openai.com/v1.",
    ),
]
TRUST = Annotated[
    list[str] | None,
    typer.Option(
        "--trust-address",
        help="A server that only the run folder names: it may be asked, and is remembered; repeatable.",
        show_default=False,
    ),
]
TEMPERATURE = Annotated[float, typer.Option("--temperature", min=0.0, max=2.0, help="Of the replies.")]
MAX_TOKENS = Annotated[int, typer.Option("--max-tokens", min=1, help="Bound on one reply, thinking included.")]

DETAIL = Annotated[str, typer.Option("--detail", help="How finely the endpoint looks at images: auto, low or high.")]

CONCURRENCY = Annotated[int, typer.Option("--concurrency", min=1, help="Most requests in flight.")]
RPM = Annotated[
    float | None, typer.Option("--requests-per-minute", min=0.001, help="Your account's limit, if you know it.")
]
TPM = Annotated[float | None, typer.Option("--tokens-per-minute", min=1, help="Your account's limit, if you know it.")]
TIMEOUT = Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds for one call.")]
ATTEMPTS = Annotated[int, typer.Option("--attempts", min=1, help="Calls for one question before it is a failure.")]
BUDGET = Annotated[
    str | None,
    typer.Option(
        "--budget",
        help="Stop cleanly before this start of the command uses more: 2.50usd or 3M tokens.",
        show_default=False,
    ),
]
UUIDS = Annotated[
    bool,
    typer.Option("--image-uuids", help="vLLM only: name pictures that the server has, instead of sending them again."),
]
CACHE = Annotated[
    Path | None,
    typer.Option(
        "--cache", envvar="AUTOINTERP_CACHE", help="Folder of the answers. [default: cache/]", show_default=False
    ),
]
PRICES = Annotated[Path | None, typer.Option("--prices", help="Your own prices, TOML or JSON (docs/configuration.md).")]
PROMPTS = Annotated[Path | None, typer.Option("--prompts", help="Your own templates, which override the shipped ones.")]
OUTSIDE = Annotated[
    bool, typer.Option("--allow-outside", help="Trust the dump's image paths even where they leave its folder.")
]
MOVED = Annotated[str | None, typer.Option("--dump", help="Where the run's dump is now, if it was moved; or its URL.")]
BATCH = Annotated[
    bool,
    typer.Option("--batch", help="Ask nothing now; record the command for a batch job (`autointerp batch run RUN`)."),
]
JSON = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]

SHARD = Annotated[
    str | None,
    typer.Option(
        "--shard",
        help="One piece of the features alone, counted from 0: of eight, 0/8 to 7/8. `autointerp merge` joins them.",
        show_default=False,
    ),
]
WORKERS = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="Processes that share the work and the limits. [default: this one]"),
]
ENGINE = Annotated[
    str, typer.Option("--engine", help="Where --workers run: `local`, on this machine; `ray`, on a Ray cluster.")
]
RAY_ADDRESS = Annotated[
    str | None,
    typer.Option("--ray-address", help="With --engine ray: of a running cluster. Without it: one is begun here."),
]
CANDIDATES = Annotated[
    int | None,
    typer.Option(
        "--candidates",
        min=2,
        max=64,
        help="Sample so many explanations of each feature and keep the best. [default: 1; with --diverse 8]",
        show_default=False,
    ),
]
DIVERSE = Annotated[
    bool,
    typer.Option("--diverse", help="Keep the best explanation of each meaning that beats chance, not one alone."),
]
