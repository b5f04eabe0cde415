"""The command `harvest`."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from autointerp.cli import options as o
from autointerp.errors import SettingsError

if TYPE_CHECKING:
    from autointerp.jobs.harvesting import HarvestResult

EVERY = 5.0
"""Seconds between lines of progress."""


def harvest(
    images: Annotated[Path, typer.Argument(help="Folder of images.", show_default=False)],
    dump: Annotated[
        Path,
        typer.Argument(help="Folder to write; with several coders, a dump for each inside it.", show_default=False),
    ],
    coder: Annotated[
        list[str],
        typer.Option(
            "--coder",
            help="Folder of a trained coder, or raw:HOOKPOINT for the model's own units; repeatable, the backbone "
            "runs once.",
            show_default=False,
        ),
    ],
    backbone: Annotated[
        str | None,
        typer.Option("--backbone", help="dinov2-small, timm:NAME or hf:NAME. [default: what the coders name]"),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels",
            help="CSV with the columns path, label (1 = has the attribute, 0, or empty) and perhaps group. "
            "Without it, folders named plausible and implausible decide.",
        ),
    ] = None,
    error_folders: Annotated[
        list[str] | None,
        typer.Option("--error-folders", help="Folder whose images have the attribute, all others not; repeatable."),
    ] = None,
    attribute: Annotated[str, typer.Option("--attribute", help="What the labels are about.")] = "physical error",
    top: Annotated[int, typer.Option("--top", min=1, help="Images of highest activation a latent.")] = 24,
    bands: Annotated[int, typer.Option("--bands", min=1, max=9, help="Activation bands below them.")] = 4,
    per_band: Annotated[int, typer.Option("--per-band", min=1, help="Images drawn in each band.")] = 5,
    silent: Annotated[int, typer.Option("--silent", min=0, help="Images drawn uniformly for all latents.")] = 60,
    guided: Annotated[int, typer.Option("--guided", min=0, help="Silent look-alikes a latent, on the mean.")] = 40,
    active_above: Annotated[
        str,
        typer.Option(
            "--active-above",
            help="Activation above which a latent fires on an image; `auto` finds it by --density.",
        ),
    ] = "auto",
    density: Annotated[
        float,
        typer.Option("--density", help="For `auto`: half of the latents fire on this share of images or more."),
    ] = 0.02,
    reservoir: Annotated[
        int, typer.Option("--reservoir", min=1, help="Firing images a latent from which bands are cut.")
    ] = 64,
    pool: Annotated[
        int, typer.Option("--pool", min=1, help="Images among which look-alikes and parents are sought.")
    ] = 2048,
    seed: o.SEED = 0,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Images run at once.")] = 16,
    shard: Annotated[int, typer.Option("--shard", min=1, help="Images between two checkpoints.")] = 512,
    store: Annotated[
        Literal["bytes", "paths"], typer.Option("--store", help="Keep the used images' files in the dump, or paths.")
    ] = "bytes",
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1, mps.")] = "cpu",
    json: o.JSON = False,
) -> None:
    """Harvest evidence for every latent of one or several coders from a folder of images, in one pass.

    Run the same command again to go on after a stop: it ends in the same dump.

    Example: `autointerp harvest images/ my-dump --coder coders/matryoshka --labels labels.csv`
    """
    from autointerp.cli.build import build_settings, print_json
    from autointerp.needs import TRAIN, need

    need("harvesting", TRAIN, "train")
    from autointerp.jobs.harvesting import harvest as job
    from autointerp.transcoder.harvest.settings import HarvestSettings

    settings = build_settings(
        HarvestSettings,
        n_top=top,
        n_bands=bands,
        n_per_band=per_band,
        n_silent=silent,
        n_guided=guided,
        active_above=_number(active_above),
        density=density,
        n_reservoir=reservoir,
        n_pool=pool,
        attribute=attribute,
        seed=seed,
        shard=shard,
    )
    result = job(
        images,
        dump,
        coder,
        backbone=backbone,
        labels=labels,
        error_folders=tuple(error_folders or ()),
        settings=settings,
        batch=batch,
        store=store,
        device=device,
        progress=Lines(),
    )
    if json:
        print_json(_as_json(result))
        return
    for line in _lines(result, store):
        typer.echo(line)


class Lines:
    """Says on stderr how far the pass is, every few seconds and at its end."""

    def __init__(self) -> None:
        self._began: tuple[float, int] | None = None
        self._said = 0.0

    def __call__(self, done: int, total: int) -> None:
        """Told after each batch: images done and all images."""
        at = time.monotonic()
        if self._began is None:
            self._began = (at, done)
            if done:
                sys.stderr.write(f"harvest: going on after {done:,} of {total:,} images\n")
            return
        if done < total and at - self._said < EVERY:
            return
        self._said = at
        rate = (done - self._began[1]) / max(at - self._began[0], 1e-9)
        left = f", {(total - done) / rate:,.0f} s left" if done < total else ""
        sys.stderr.write(f"harvest: {done:,}/{total:,} images, {rate:,.1f} a second{left}\n")
        sys.stderr.flush()


def _number(text: str) -> float | None:
    if text == "auto":
        return None
    try:
        return float(text)
    except ValueError:
        raise SettingsError(f"--active-above {text!r}: give a number, or `auto`") from None


def _as_json(result: "HarvestResult") -> dict[str, object]:
    names = ("coder", "n_latents", "n_dead", "n_images", "n_stored", "active_above")
    dumps = [{"dump": str(d.dump)} | {name: getattr(d, name) for name in names} for d in result.dumps]
    return {"dumps": dumps, "broken": list(result.broken)}


def _lines(result: "HarvestResult", store: str) -> list[str]:
    lines = []
    if result.broken:
        lines.append(f"left out, since they cannot be read: {len(result.broken):,}; the first: {result.broken[0]}")
    for d in result.dumps:
        lines.append(
            f"{d.coder}: {d.n_latents:,} latents ({d.n_dead:,} never fire above {d.active_above:.4g}), "
            f"{d.n_images:,} images, {d.n_stored:,} of them stored -> {d.dump}"
        )
    outside = " --allow-outside" if store == "paths" else ""
    lines.append(f"next: autointerp explain {result.dumps[0].dump} --run RUN --model MODEL{outside}")
    return lines
