"""The command that scores: `autointerp score`."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autointerp.cli import options as o
from autointerp.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable


DEFAULT_SCORERS = "detection,accuracy,relevance"


def score(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN", help="Folder of the run, or its URL; with --explanations, of the dump.", show_default=False
        ),
    ],
    judge_model: o.JUDGE_MODEL = None,
    judge_base_url: o.JUDGE_BASE_URL = None,
    trust_address: o.TRUST = None,
    features: o.FEATURES = "all",
    scorers: Annotated[
        str,
        typer.Option(
            "--scorers",
            help="Comma-separated: detection, accuracy, relevance, intruder, choice, naming, localisation, embedding.",
        ),
    ] = DEFAULT_SCORERS,
    active: Annotated[int, typer.Option("--active", min=1, help="Held-out active images judged a feature.")] = 24,
    silent: Annotated[int, typer.Option("--silent", min=1, help="Held-out silent images judged a feature.")] = 36,
    interval: Annotated[
        float | None,
        typer.Option("--interval", help="Judge on until detection's 95 % interval is this narrow, e.g. 0.1."),
    ] = None,
    max_calls: Annotated[int, typer.Option("--max-calls", min=1, help="Most calls a feature with --interval.")] = 40,
    screen: Annotated[
        int,
        typer.Option(
            "--screen", min=0, help="Silent images screened on sheets first; a weighted part is then judged alone."
        ),
    ] = 0,
    screen_model: Annotated[
        str | None,
        typer.Option("--screen-model", help="Who screens: a cheaper model of the judge's server.", show_default=False),
    ] = None,
    screen_per_call: Annotated[
        int, typer.Option("--screen-per-call", min=2, max=64, help="Images on a screening sheet.")
    ] = 36,
    screen_side: Annotated[
        int, typer.Option("--screen-side", min=16, max=4096, help="Longest side of a screened image.")
    ] = 128,
    controls: Annotated[
        int, typer.Option("--controls", min=0, help="Features judged under other explanations too; 0 for none.")
    ] = 20,
    random_dump: Annotated[
        str | None,
        typer.Option(
            "--random-dump", help="A dump of a network with random weights: one more control.", show_default=False
        ),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option("--calibration", help="Of this judge, from `autointerp calibrate`.", show_default=False),
    ] = None,
    layout: Annotated[
        str, typer.Option("--layout", help="`sheet`: one numbered contact sheet a call; `separate` pictures.")
    ] = "sheet",
    per_call: Annotated[int, typer.Option("--per-call", min=1, max=64, help="Images judged in one call.")] = 12,
    rendering: Annotated[str, typer.Option("--rendering", help="crop, full, outline or mask.")] = "crop",
    side: Annotated[int, typer.Option("--side", min=16, max=4096, help="Longest side of a judged image.")] = 224,
    n_intruder: Annotated[
        int, typer.Option("--n-intruder", min=1, max=1000, help="Odd-one-out questions a feature.")
    ] = 10,
    n_choice: Annotated[
        int, typer.Option("--n-choice", min=1, max=1000, help="Pairs a feature; each in both orders.")
    ] = 12,
    n_naming: Annotated[
        int, typer.Option("--n-naming", min=1, max=1000, help="Which-explanation questions a feature.")
    ] = 4,
    n_localisation: Annotated[
        int, typer.Option("--n-localisation", min=1, max=1000, help="Images a feature on which the judge points.")
    ] = 12,
    embedder: Annotated[
        str, typer.Option("--embedder", help="Who embeds for the scorer embedding: `local`, or a name of an endpoint.")
    ] = "local",
    embedder_base_url: Annotated[
        str | None, typer.Option("--embedder-base-url", help="The embedder's server. Without it: the judge's.")
    ] = None,
    explanations: Annotated[
        Path | None,
        typer.Option(
            "--explanations",
            help="Score the descriptions of this CSV file (CLIP-Dissect, MILAN, INVERT, or feature,text) instead.",
            show_default=False,
        ),
    ] = None,
    layer: Annotated[
        str | None, typer.Option("--layer", help="Which layer of --explanations, if it has several.")
    ] = None,
    new_run: Annotated[
        Path | None, typer.Option("--run", help="With --explanations: folder of the run to write.", show_default=False)
    ] = None,
    seed: o.SEED = 0,
    temperature: o.TEMPERATURE = 0.0,
    max_tokens: o.MAX_TOKENS = 2000,
    detail: o.DETAIL = "auto",
    concurrency: o.CONCURRENCY = 64,
    requests_per_minute: o.RPM = None,
    tokens_per_minute: o.TPM = None,
    timeout: o.TIMEOUT = 120.0,
    attempts: o.ATTEMPTS = 6,
    image_uuids: o.UUIDS = False,
    budget: o.BUDGET = None,
    dump: o.MOVED = None,
    cache: o.CACHE = None,
    prices: o.PRICES = None,
    prompts: o.PROMPTS = None,
    allow_outside: o.OUTSIDE = False,
    batch: o.BATCH = False,
    shard: o.SHARD = None,
    workers: o.WORKERS = None,
    engine: o.ENGINE = "local",
    ray_address: o.RAY_ADDRESS = None,
    json: o.JSON = False,
) -> None:
    """Score the explanations of a run on held-out images that the explainer never saw.

    With an explanation:

    - detection: which of these crops, active and silent mixed, fit? Weighted F1, the headline.
    - accuracy: the share of yes on active crops, as published; it is recall.
    - choice: which of two crops fits, one active and one silent? Chance is 1/2.
    - naming: which of several features' explanations fits these crops?
    - localisation: where on the image is it?

    Without one, of the feature itself:

    - relevance: is the feature about the domain, as published and as a tested effect?
    - intruder: which crop does not belong to the others?
    - embedding: how alike are the crops, to an embedding model?

    Example: `autointerp score runs/first --judge-model gemini-3-flash --judge-base-url https://…/v1`
    """
    from autointerp.cli.batch import finish_planning
    from autointerp.cli.build import build_settings, finish, servers
    from autointerp.cli.progress import Live
    from autointerp.cli.spreading import shard_and_crew
    from autointerp.config import EngineSettings, ModelSettings, RegionSettings, ScoreSettings
    from autointerp.jobs.batch_planning import batch_score
    from autointerp.jobs.endpoints import judge_name
    from autointerp.jobs.remote_runs import part_name, refuse_url, run_at, url_of
    from autointerp.jobs.scoring import score as ask
    from autointerp.runs.folder import open_run

    live = Live(as_json=json)
    if explanations is not None:
        run = str(_adopt(explanations, run, new_run, layer, allow_outside, live.note))
    elif new_run is not None or layer is not None:
        raise SettingsError("--run and --layer go with --explanations; the run to score is named without an option")
    piece, crew = shard_and_crew(shard, workers, engine, ray_address, batch=batch)
    if batch or engine == "ray":
        refuse_url(run, "--batch" if batch else "--engine ray")
    with run_at(run, cache=cache, part=part_name("score", piece)) as folder:
        made = open_run(folder).info
        first, more = servers(judge_base_url)
        settings = build_settings(
            ScoreSettings,
            scorers=tuple(name.strip() for name in scorers.split(",") if name.strip()),
            n_active=active,
            n_silent=silent,
            interval=interval,
            max_calls=max_calls,
            n_screen=screen,
            screen_model=screen_model,
            screen_per_call=screen_per_call,
            screen_side=screen_side,
            n_controls=controls,
            layout=layout,
            per_call=per_call,
            rendering=rendering,
            n_intruder=n_intruder,
            n_choice=n_choice,
            n_naming=n_naming,
            n_localisation=n_localisation,
            embedder=build_settings(ModelSettings, model=embedder, base_url=embedder_base_url),
            # The judge sees the same regions as the explainer did.
            region=build_settings(RegionSettings, **made.explain.settings.region.model_dump() | {"side": side}),
            seed=seed,
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
        job = batch_score if batch else partial(ask, shard=piece, crew=crew)
        result = job(
            folder,
            judge=build_settings(
                ModelSettings,
                model=judge_name(made, judge_model),
                base_url=first,
                temperature=temperature,
                max_tokens=max_tokens,
                seed=seed,
                detail=detail,
            ),
            features=features,
            settings=settings,
            engine=endpoint,
            dump=dump,
            calibration=calibration,
            random_dump=random_dump,
            prompts=prompts,
            cache=cache,
            prices=prices,
            allow_outside=allow_outside,
            trust=trust_address or (),
            progress=live,
        )
        result.run = url_of(result.run, folder, run)
    if batch:
        finish_planning("score", "the features that are explained by then", run, as_json=json)
        return
    next_step = f"autointerp report {run}" if piece is None else f"autointerp merge {run}, once all shards are done"
    finish("scored", result, as_json=json, next_step=next_step)


def _adopt(
    explanations: Path,
    dump: str,
    run: Path | None,
    layer: str | None,
    allow_outside: bool,
    say: "Callable[[str], None]",
) -> Path:
    from autointerp.jobs.adopting import adopt

    if run is None:
        raise SettingsError("--explanations: name a folder for the run with --run")
    result = adopt(explanations, dump, run, layer=layer, allow_outside=allow_outside)
    say(f"adopted {result.done:,} of {result.selected:,} explanations from {explanations} -> {run}")
    for note in result.notes:
        say(note)
    return run
