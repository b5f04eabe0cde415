"""The commands that explain: explain, demo."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from autointerp.cli import options as o


def explain(
    dump: o.DUMP,
    run: Annotated[
        str, typer.Option("--run", help="Folder to write, or its URL; the same one resumes.", show_default=False)
    ],
    features: o.FEATURES = "all",
    width: o.WIDTH = None,
    sample: o.SAMPLE = None,
    seed: o.SEED = 0,
    model: o.MODEL = None,
    base_url: o.BASE_URL = None,
    top: Annotated[int, typer.Option("--top", min=0, help="Top-activating images shown.")] = 8,
    bands: Annotated[int, typer.Option("--bands", min=0, help="Images shown from lower activation bands.")] = 8,
    contrast: Annotated[int, typer.Option("--contrast", min=0, help="Silent look-alikes shown beside them.")] = 4,
    shown: Annotated[
        str, typer.Option("--shown", help="`drawn` at random from the top, or the very `highest`.")
    ] = "drawn",
    rendering: Annotated[
        list[str] | None,
        typer.Option("--rendering", help="outline, crop, mask or full; repeatable. [default: outline, crop]"),
    ] = None,
    levels: Annotated[
        str, typer.Option("--levels", help="How activation is told: `words`, `numbers` or `none`.")
    ] = "words",
    side: Annotated[int, typer.Option("--side", min=16, max=4096, help="Longest side of a picture, pixels.")] = 448,
    mass: Annotated[float, typer.Option("--mass", min=0.01, max=1.0, help="Activation mass a crop holds.")] = 0.9,
    margin: Annotated[
        float, typer.Option("--margin", min=0.0, max=1.0, help="Context around a crop, as a fraction of its side.")
    ] = 0.15,
    least: Annotated[
        float, typer.Option("--least", min=0.0, max=1.0, help="Smallest side of a crop, as a fraction of the image's.")
    ] = 0.3,
    candidates: o.CANDIDATES = None,
    diverse: o.DIVERSE = False,
    subset: Annotated[
        int, typer.Option("--subset", min=1, help="Active images that every second candidate is made from.")
    ] = 4,
    candidate_temperature: Annotated[
        float, typer.Option("--candidate-temperature", min=0.0, max=2.0, help="At which candidates are sampled.")
    ] = 1.0,
    choose_active: Annotated[
        int, typer.Option("--choose-active", min=1, help="Held-out active images on which candidates are compared.")
    ] = 12,
    choose_silent: Annotated[int, typer.Option("--choose-silent", min=1, help="Held-out silent images likewise.")] = 24,
    candidate_judge: Annotated[
        str | None,
        typer.Option("--candidate-judge", help="Who judges candidates, at the same server. [default: the explainer]"),
    ] = None,
    embedder: Annotated[
        str,
        typer.Option(
            "--embedder",
            help="With --diverse, who tells meanings apart: `local`, a model of an embeddings endpoint, or `none`: the "
            "judge alone.",
        ),
    ] = "local",
    embedder_base_url: Annotated[
        str | None, typer.Option("--embedder-base-url", help="The embedder's server. Without it: --base-url.")
    ] = None,
    hierarchy: Annotated[
        bool,
        typer.Option("--hierarchy", help="Broader features first; tell narrower ones their parents' explanations."),
    ] = False,
    domain: Annotated[
        str | None,
        typer.Option("--domain", help="A second pass, e.g. physical-plausibility: a template of prompts/domains/."),
    ] = None,
    n_shuffled: Annotated[
        int,
        typer.Option(
            "--n-shuffled", min=0, help="With --domain: features also asked about a shuffled image set, as a control."
        ),
    ] = 20,
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
    """Explain features of a dump: show their top-activating crops to a multimodal model.

    Run the same command again to go on after a stop, or to try failed features again. With --candidates 8 --diverse
    each feature gets as many explanations as it has meanings (docs/ips.md).

    Example: `autointerp explain DUMP --features 0-511,600 --run runs/first --model gpt-5-mini`
    """
    from autointerp.cli.batch import finish_planning
    from autointerp.cli.build import build_settings, finish, model_name, servers
    from autointerp.cli.candidates import candidate_settings
    from autointerp.cli.progress import Live
    from autointerp.cli.spreading import shard_and_crew
    from autointerp.config import EngineSettings, ExplainSettings, ModelSettings, RegionSettings
    from autointerp.jobs.batch_planning import batch_explain
    from autointerp.jobs.explaining import explain as ask
    from autointerp.jobs.remote_runs import part_name, refuse_url, run_at, url_of

    first, more = servers(base_url)
    asked = build_settings(
        ModelSettings,
        model=model_name(model),
        base_url=first,
        temperature=temperature,
        max_tokens=max_tokens,
        detail=detail,
        seed=seed,
    )
    plan = candidate_settings(
        candidates,
        diverse=diverse,
        subset=subset,
        temperature=candidate_temperature,
        n_active=choose_active,
        n_silent=choose_silent,
        judge=candidate_judge,
        embedder=embedder,
        embedder_base_url=embedder_base_url,
    )
    region = build_settings(RegionSettings, side=side, mass=mass, margin=margin, least=least)
    settings = build_settings(
        ExplainSettings,
        n_top=top,
        n_bands=bands,
        n_contrast=contrast,
        shown=shown,
        renderings=tuple(rendering or ("outline", "crop")),
        levels=levels,
        region=region,
        candidates=plan,
        hierarchy=hierarchy,
        domain=domain,
        n_shuffled=n_shuffled,
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
    piece, crew = shard_and_crew(shard, workers, engine, ray_address, batch=batch)
    job = batch_explain if batch else partial(ask, shard=piece, crew=crew)
    if batch or engine == "ray":
        refuse_url(run, "--batch" if batch else "--engine ray")
    with run_at(run, cache=cache, part=part_name("explain", piece)) as folder:
        result = job(
            dump,
            folder,
            model=asked,
            features=features,
            width=width,
            sample=sample,
            seed=seed,
            settings=settings,
            engine=endpoint,
            prompts=prompts,
            cache=cache,
            prices=prices,
            allow_outside=allow_outside,
            progress=Live(as_json=json),
        )
        result.run = url_of(result.run, folder, run)
    if batch:
        finish_planning("explain", f"{result.selected - result.before:,} features to explain", run, as_json=json)
        return
    next_step = f"autointerp score {run}" if piece is None else f"autointerp merge {run}, once all shards are done"
    finish("explained", result, as_json=json, next_step=next_step)


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder to write.")] = Path("autointerp-demo"),
    model: Annotated[str, typer.Option("--model", envvar="AUTOINTERP_MODEL", help="Explainer and judge.")] = "local",
    base_url: o.BASE_URL = None,
    features: o.FEATURES = "all",
    concurrency: o.CONCURRENCY = 64,
    budget: o.BUDGET = None,
) -> None:
    """Explain, score and report the bundled dump: real features of a real vision transformer, no key needed.

    Example: `autointerp demo`, or with your own endpoint: `autointerp demo --model gpt-5-mini`
    """
    from autointerp.cli.build import build_settings, finish, servers
    from autointerp.cli.progress import Live
    from autointerp.config import EngineSettings, ModelSettings
    from autointerp.jobs.demo import run_demo

    first, more = servers(base_url)
    asked = build_settings(ModelSettings, model=model, base_url=first)
    engine = build_settings(EngineSettings, concurrency=concurrency, more_base_urls=more, budget=budget)
    explained, scored, page = run_demo(out, model=asked, features=features, engine=engine, progress=Live(as_json=False))
    for did, result in (("explained", explained), ("scored", scored)):
        if not result.complete:
            finish(did, result, as_json=False, next_step="")
    typer.echo(f"{explained.before + explained.done} features explained, {scored.before + scored.done} scored")
    typer.echo(f"report: {page}")
