"""The commands that train: train activations, transcoder, classifier and evaluate."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autointerp.cli import options as o
from autointerp.cli import train_activations, train_classifier, train_evaluate
from autointerp.errors import SettingsError

if TYPE_CHECKING:
    from autointerp.jobs.training import Trained
    from autointerp.transcoder.trainer import Report

training = typer.Typer(no_args_is_help=True, help="Train what makes features: classifiers and sparse coders.")
training.command("activations")(train_activations.activations)
training.command("classifier")(train_classifier.classifier)
training.command("evaluate")(train_evaluate.evaluate)


@training.command("transcoder")
def train_transcoder(
    activations: Annotated[
        Path,
        typer.Argument(help="Folder of stored activations; with --backbone, of images.", show_default=False),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder to write.", show_default=False)],
    backbone: Annotated[
        str | None,
        typer.Option(
            "--backbone",
            help="Learn straight from images: dinov2-small, timm:NAME or hf:NAME runs them in every epoch, nothing is "
            "stored.",
        ),
    ] = None,
    reads: Annotated[
        str, typer.Option("--reads", help="With --backbone: hookpoint of the inputs.")
    ] = "blocks.8.mlp.in",
    writes: Annotated[
        str, typer.Option("--writes", help="With --backbone: hookpoint of the targets.")
    ] = "blocks.8.mlp.out",
    labels: Annotated[
        Path | None,
        typer.Option("--labels", help="With --backbone: CSV with the columns path, label and perhaps group."),
    ] = None,
    kind: Annotated[
        str, typer.Option("--kind", help="`transcoder`: input to target; or `sae`: either of them to itself.")
    ] = "transcoder",
    side: Annotated[str, typer.Option("--side", help="What an sae reads: `inputs` or `targets`.")] = "inputs",
    widths: Annotated[
        str, typer.Option("--widths", help="Nested prefixes, ascending; a single one is the plain coder.")
    ] = "128,512,2048",
    prefix_weights: Annotated[
        str | None, typer.Option("--prefix-weights", help="Of the prefixes' errors. [default: all the same]")
    ] = None,
    k: Annotated[int, typer.Option("--k", min=1, help="Latents kept a token.")] = 32,
    sparsity: Annotated[
        str,
        typer.Option(
            "--sparsity",
            help="The largest of a batch (`batchtopk`), of a token (`topk`), of each prefix (`prefix-topk`) "
            "or of each band between prefixes (`band-topk`).",
        ),
    ] = "batchtopk",
    ks: Annotated[
        str | None,
        typer.Option(
            "--ks",
            help="Latents kept in each prefix or band. [default: --k in each prefix, or shared by width among bands]",
        ),
    ] = None,
    skip: Annotated[bool, typer.Option("--skip", help="Add a linear map from input to output.")] = False,
    normalise: Annotated[bool, typer.Option("--normalise/--raw", help="Bring inputs and targets to one scale.")] = True,
    aux_weight: Annotated[
        float, typer.Option("--aux-weight", min=0.0, help="Of the loss that brings dead latents back.")
    ] = 0.03125,
    dead_after: Annotated[
        int, typer.Option("--dead-after", min=1, help="Silent tokens after which a latent is dead.")
    ] = 50_000,
    released: Annotated[
        bool,
        typer.Option(
            "--released",
            help="The form of the scripts released with the paper, for comparison; the options from --widths to "
            "--dead-after do not count.",
        ),
    ] = False,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Batches to learn from.")] = 2500,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Tokens in each.")] = 1024,
    rate: Annotated[float, typer.Option("--rate", help="Highest learning rate.")] = 1e-3,
    warm_up: Annotated[int, typer.Option("--warm-up", min=0, help="Steps over which the rate rises to it.")] = 50,
    decay: Annotated[float, typer.Option("--decay", help="Share of the steps over which it falls to nothing.")] = 0.3,
    weight_decay: Annotated[float, typer.Option("--weight-decay", min=0.0, help="Decoupled, as in AdamW.")] = 0.0,
    clip: Annotated[float, typer.Option("--clip", help="Largest norm of the gradient.")] = 1.0,
    precision: Annotated[str, typer.Option("--precision", help="`float32`, or `bfloat16` for products.")] = "float32",
    device: Annotated[str, typer.Option("--device", help="As torch names it: cpu, cuda, cuda:1, mps.")] = "cpu",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of first weights, order and split.")] = 0,
    held_out: Annotated[
        float, typer.Option("--held-out", help="Share of the image groups that only the figures are of.")
    ] = 0.05,
    checkpoint_every: Annotated[
        int, typer.Option("--checkpoint-every", min=1, help="Steps between states to go on from.")
    ] = 500,
    resume: Annotated[bool, typer.Option("--resume", help="Go on in --out, if there is something to go on from.")] = (
        False
    ),
    json: o.JSON = False,
) -> None:
    """Train a Matryoshka transcoder, or a baseline, on stored activations or straight from a backbone.

    Baselines: one width and `--sparsity topk` is the TopK transcoder, with `--kind sae` the TopK SAE; several widths
    and `--kind sae` are the Matryoshka SAE.

    The folder is one that `autointerp train activations` wrote, or, with `--backbone`, of images.

    Example: `autointerp train transcoder activations/ --out coders/first --widths 128,512,2048 --k 32`
    """
    from autointerp.cli.build import build_settings
    from autointerp.needs import TRAIN, need

    need("training", TRAIN, "train")
    from autointerp.jobs.storing import StoreSettings
    from autointerp.jobs.training import train_on_images as on_images
    from autointerp.jobs.training import train_transcoder as job
    from autointerp.transcoder.config import RELEASED, CoderForm, TrainSettings

    if kind not in ("transcoder", "sae"):
        raise SettingsError(f"--kind {kind!r}: input should be 'transcoder' or 'sae'")
    if side not in ("inputs", "targets"):
        raise SettingsError(f"--side {side!r}: input should be 'inputs' or 'targets'")
    form = build_settings(
        CoderForm,
        widths=_numbers("--widths", widths, int),
        prefix_weights=_numbers("--prefix-weights", prefix_weights, float) if prefix_weights else None,
        k=k,
        sparsity=sparsity,
        ks=_numbers("--ks", ks, int) if ks else None,
        skip=skip,
        normalise=normalise,
        aux_weight=aux_weight,
        dead_after=dead_after,
    )
    form = (RELEASED if released else form).model_copy(update={"kind": kind})
    settings = build_settings(
        TrainSettings,
        steps=steps,
        batch=batch,
        rate=rate,
        warm_up=warm_up,
        decay=decay,
        weight_decay=weight_decay,
        clip=clip,
        precision=precision,
        device=device,
        seed=seed,
        held_out=held_out,
        checkpoint_every=checkpoint_every,
    )
    if backbone is None:
        if labels is not None:
            raise SettingsError("--labels: goes with --backbone; a store has its own groups")
        made = job(activations, out, form=form, settings=settings, side=side, resume=resume, progress=_say)
    else:
        made = on_images(
            activations,
            out,
            backbone=backbone,
            hookpoints=build_settings(StoreSettings, reads=reads, writes=writes, seed=seed),
            labels=labels,
            form=form,
            settings=settings,
            side=side,
            resume=resume,
            progress=_say,
        )
    _finish(made, as_json=json)


def _numbers(option: str, text: str, kind: type[int] | type[float]) -> tuple[float, ...]:
    try:
        return tuple(kind(part) for part in text.split(","))
    except ValueError:
        example = "128,512,2048" if kind is int else "0.2,0.3,0.5"
        raise SettingsError(f"{option} {text!r}: write numbers with commas between, such as {example}") from None


def _say(report: "Report") -> None:
    """One line on stderr."""
    left = (report.steps - report.step) * report.seconds / max(report.done, 1)
    fvu = " ".join(f"{value:.3f}" for value in report.fvu)
    losses = ", ".join(f"{name} {value:.4f}" for name, value in report.losses.items() if value)
    typer.echo(
        f"step {report.step:,}/{report.steps:,} · {left:,.0f} s left · {report.done / max(report.seconds, 1e-3):.1f} "
        f"steps/s · {losses} · fvu {fvu} · l0 {report.l0:.1f} · dead {report.dead_share:.1%}",
        err=True,
    )


def _finish(made: "Trained", *, as_json: bool) -> None:
    from autointerp.cli.build import print_json

    training = made.info.training
    held_out = training.held_out if training else None
    if as_json:
        print_json({"coder": str(made.folder)} | made.info.model_dump(mode="json"))
        return
    typer.echo(
        f"{made.info.config.kind} of {made.info.model}, {made.info.reads} to {made.info.writes} -> {made.folder}"
    )
    if held_out is None:
        return
    typer.echo(f"on {held_out.tokens:,} tokens held out, {held_out.dead_share:.1%} of the latents never fire")
    for width, fvu, l0 in zip(made.info.config.widths, held_out.fvu, held_out.l0, strict=True):
        typer.echo(f"  first {width:>6,} latents: {fvu:.4f} of the variance unexplained, {l0:.1f} on a token")
