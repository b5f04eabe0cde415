"""The command that trains an explainer: `autointerp tune`."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autointerp.cli import options as o
from autointerp.errors import SettingsError

if TYPE_CHECKING:
    from autointerp.config import ModelSettings
    from autointerp.jobs.tune_folder import Measure
    from autointerp.jobs.tuning import TuneResult

JUDGE = Annotated[
    str | None,
    typer.Option("--judge-model", envvar="AUTOINTERP_JUDGE_MODEL", help="The judge, whose word is the reward."),
]
JUDGE_URL = Annotated[
    list[str] | None,
    typer.Option(
        "--judge-base-url",
        envvar=["AUTOINTERP_JUDGE_BASE_URL", "AUTOINTERP_BASE_URL"],
        help="The judge's server; repeatable. Without it: that of OPENAI_BASE_URL, else OpenAI.",
    ),
]


def tune(
    dump: o.DUMP,
    out: Annotated[
        Path, typer.Option("--out", help="Folder to write; the same one goes on after a stop.", show_default=False)
    ],
    model: Annotated[
        str,
        typer.Option(
            "--model", help="The explainer to train: a folder, or a name on the Hugging Face hub.", show_default=False
        ),
    ],
    judge_model: JUDGE = None,
    judge_base_url: JUDGE_URL = None,
    features: o.FEATURES = "all",
    width: o.WIDTH = None,
    sample: o.SAMPLE = None,
    embedder: Annotated[
        str,
        typer.Option(
            "--embedder",
            help="Who tells meanings apart where that is clear: `local`, a name of an endpoint, or `none`: the judge "
            "alone.",
        ),
    ] = "local",
    embedder_base_url: Annotated[
        str | None, typer.Option("--embedder-base-url", help="The embedder's server. Without it: the judge's.")
    ] = None,
    method: Annotated[
        str, typer.Option("--method", help="`ips` divides rewards by how often their meaning came up; `grpo` does not.")
    ] = "ips",
    candidates: Annotated[
        int, typer.Option("--candidates", min=2, max=64, help="Explanations sampled of a feature at a time.")
    ] = 8,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Features of one step.")] = 4,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Steps of the optimiser.")] = 200,
    learning_rate: Annotated[
        float, typer.Option("--learning-rate", help="Of AdamW; with --lora take ten times as much.")
    ] = 1e-6,
    kl: Annotated[
        float, typer.Option("--kl", min=0.0, help="Weight of the divergence from the model as it was given.")
    ] = 0.04,
    alpha: Annotated[
        float, typer.Option("--alpha", min=0.0, max=8.0, help="Power of the inverse frequency: 1 is all of it.")
    ] = 1.0,
    epsilon: Annotated[
        float, typer.Option("--epsilon", min=0.0, max=1.0, help="Frequencies below this count as it.")
    ] = 0.0,
    lora: Annotated[
        int | None,
        typer.Option("--lora", min=1, help="Train adapters of this rank. [default: every weight]", show_default=False),
    ] = None,
    temperature: Annotated[float, typer.Option("--temperature", max=2.0, help="Of the samples.")] = 1.0,
    max_tokens: Annotated[int, typer.Option("--max-tokens", min=1, help="Bound on a sampled reply.")] = 256,
    forward: Annotated[
        int | None,
        typer.Option(
            "--forward",
            min=1,
            help="Replies in one pass, of which memory depends. [default: --candidates]",
            show_default=False,
        ),
    ] = None,
    checkpointing: Annotated[
        bool, typer.Option("--checkpointing", help="Compute activations twice: slower, with less memory.")
    ] = False,
    save_every: Annotated[int, typer.Option("--save-every", min=1, help="Steps between states to go on from.")] = 50,
    held_out: Annotated[
        float, typer.Option("--held-out", min=0.0, max=0.9, help="Share of the features that are only measured.")
    ] = 0.1,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of split, order, samples and images.")] = 0,
    top: Annotated[int, typer.Option("--top", min=0, help="Top-activating images shown.")] = 8,
    bands: Annotated[int, typer.Option("--bands", min=0, help="Images shown from lower activation bands.")] = 8,
    contrast: Annotated[int, typer.Option("--contrast", min=0, help="Silent look-alikes shown beside them.")] = 4,
    rendering: Annotated[
        list[str] | None,
        typer.Option("--rendering", help="outline, crop, mask or full; repeatable. [default: outline, crop]"),
    ] = None,
    side: Annotated[int, typer.Option("--side", min=16, max=4096, help="Longest side of a picture, pixels.")] = 448,
    active: Annotated[
        int, typer.Option("--active", min=1, help="Held-out active images that replies are judged on.")
    ] = 12,
    silent: Annotated[int, typer.Option("--silent", min=1, help="Held-out silent images likewise.")] = 24,
    concurrency: o.CONCURRENCY = 64,
    requests_per_minute: o.RPM = None,
    tokens_per_minute: o.TPM = None,
    timeout: o.TIMEOUT = 120.0,
    attempts: o.ATTEMPTS = 6,
    image_uuids: o.UUIDS = False,
    budget: o.BUDGET = None,
    cache: o.CACHE = None,
    prices: o.PRICES = None,
    prompts: o.PROMPTS = None,
    allow_outside: o.OUTSIDE = False,
    json: o.JSON = False,
) -> None:
    """Train an explainer by what its explanations are worth, without letting it collapse onto one phrase.

    Any vision-language model of the Hugging Face hub, or a text model, which is told the images' labels. The reward is
    a judge's word on held-out images; each is divided by how often its meaning was sampled. Run the same command again
    to go on after a stop. Needs the extra `rl`; described in docs/ips.md.

    Example: `autointerp tune DUMP --model Qwen/Qwen2.5-VL-3B-Instruct --lora 16 --learning-rate 1e-5 --out tuned
    --judge-model gpt-5-mini --features 0-511`
    """
    from autointerp.cli.build import build_settings, servers
    from autointerp.cli.progress import Live
    from autointerp.config import (
        CandidateSettings,
        EngineSettings,
        ExplainSettings,
        ModelSettings,
        RegionSettings,
        TuneSettings,
    )
    from autointerp.needs import RL, need

    if not judge_model:
        raise SettingsError(
            "name a judge with --judge-model: one that your endpoint knows, e.g. gpt-5-mini, or `local`"
        )
    first, more = servers(judge_base_url)
    settings = build_settings(
        TuneSettings,
        method=method,
        group=candidates,
        batch=batch,
        steps=steps,
        learning_rate=learning_rate,
        kl=kl,
        alpha=alpha,
        epsilon=epsilon,
        lora=lora,
        temperature=temperature,
        max_tokens=max_tokens,
        forward=forward,
        checkpointing=checkpointing,
        save_every=save_every,
        held_out=held_out,
        seed=seed,
    )
    explaining = build_settings(
        ExplainSettings,
        n_top=top,
        n_bands=bands,
        n_contrast=contrast,
        renderings=tuple(rendering or ("outline", "crop")),
        region=build_settings(RegionSettings, side=side),
        seed=seed,
    )
    choosing = build_settings(
        CandidateSettings, n_active=active, n_silent=silent, embedder=_embedder(embedder, embedder_base_url)
    )
    endpoint = build_settings(
        EngineSettings,
        concurrency=concurrency,
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        timeout=timeout,
        attempts=attempts,
        more_base_urls=more,
        image_uuids=image_uuids,
        budget=budget,
    )
    need("tuning", RL, "rl")
    from autointerp.jobs.tuning import tune as job

    result = job(
        dump,
        out,
        model=model,
        judge=build_settings(ModelSettings, model=judge_model, base_url=first),
        features=features,
        width=width,
        sample=sample,
        settings=settings,
        explaining=explaining,
        choosing=choosing,
        engine=endpoint,
        prompts=prompts,
        cache=cache,
        prices=prices,
        allow_outside=allow_outside,
        told=_say,
        say=Live(as_json=json).note,
    )
    _finish(result, adapters=lora is not None, base=model, as_json=json)


def _embedder(name: str, base_url: str | None) -> "ModelSettings | None":
    from autointerp.cli.build import build_settings
    from autointerp.config import ModelSettings

    return None if name == "none" else build_settings(ModelSettings, model=name, base_url=base_url)


def _say(step: int, steps: int, figures: Mapping[str, float]) -> None:
    """One line on stderr."""
    names = ("reward", "distinct", "collapse", "unusable", "unknown", "kl")
    told = ", ".join(f"{name} {figures[name]:.3g}" for name in names if name in figures)
    typer.echo(f"step {step:,}/{steps:,} · {told}", err=True)


def _finish(result: "TuneResult", *, adapters: bool, base: str, as_json: bool) -> None:
    """Prints what was done; exits with 1 where it ended early."""
    from autointerp.cli.build import EXIT_FAILURES, print_json, same_again

    if as_json:
        print_json(_as_json(result))
    else:
        for line in _lines(result):
            typer.echo(line)
        if result.stopped is None:
            options = f"{base} --enable-lora --lora-modules tuned={result.model}" if adapters else str(result.model)
            served = "tuned" if adapters else str(result.model)
            typer.echo(f"next: vllm serve {options}")
            typer.echo(f"then: autointerp explain DUMP --run RUN --model {served} --base-url http://localhost:8000/v1")
        else:
            typer.echo(f"stopped: {result.stopped}; {same_again()}")
    if result.stopped is not None:
        raise typer.Exit(EXIT_FAILURES)


def _as_json(result: "TuneResult") -> dict[str, object]:
    from dataclasses import asdict

    tally = result.tally
    measures = {
        name: None if own is None else {k: m.model_dump() for k, m in own.items()}
        for name, own in (("before", result.before), ("after", result.after))
    }
    calls = {"requests": tally.requests, "answered": tally.answered, "cached": tally.cached}
    plain = {k: v for k, v in asdict(result).items() if k != "tally"}
    return plain | measures | calls | {"usage": tally.usage.model_dump(), "failures": dict(tally.failures)}


def _lines(result: "TuneResult") -> list[str]:
    from autointerp.cli.build import plural

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
