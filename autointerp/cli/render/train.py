"""Prints what the commands of `autointerp train` did."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict

from rich.table import Table

from autointerp.cli.printing import plural, table, tell
from autointerp.cli.render.evaluate_pairs import pair_tables
from autointerp.commands.train_activations import TrainActivations
from autointerp.commands.train_classifier import TrainClassifier
from autointerp.commands.train_evaluate import TrainEvaluate
from autointerp.commands.train_transcoder import TrainTranscoder
from autointerp.errors import typed
from autointerp.jobs.storing import Stored
from autointerp.jobs.train_classifier import Classified
from autointerp.jobs.train_transcoder import Trained
from autointerp.transcoder.attribute_association import Association
from autointerp.transcoder.estimate import Estimate
from autointerp.transcoder.evaluation import Asked, CoderFigures, Evaluation


def show_activations(result: Stored, settings: TrainActivations, *, as_json: bool) -> int:
    """Prints what was stored and what comes next."""
    left_out = [asdict(one) for one in result.left_out]
    value = result._asdict() | {"folder": str(result.folder), "about": result.about.model_dump(mode="json")}
    value |= {"left_out": left_out}
    return tell(_activations_lines(result), value, as_json=as_json)


def _activations_lines(result: Stored) -> Iterator[str]:
    about = result.about
    yield from (f"left out: {one}" for one in result.left_out)
    yield (
        f"{result.n_tokens:,} tokens of {result.n_images:,} images in {result.n_groups:,} groups, {about.backbone} "
        f"{about.reads}{f' -> {about.writes}' if about.writes else ''}, {result.n_bytes / 1e6:,.1f} MB "
        f"-> {result.folder}"
    )
    yield f"next: autointerp train transcoder {typed(result.folder)} --out CODER"


def show_classifier(result: Classified, settings: TrainClassifier, *, as_json: bool) -> int:
    """Prints the classifier's figures."""
    value = {"folder": str(result.folder), "seconds": round(result.seconds, 3), **result.info.model_dump()}
    return tell(_classifier_lines(result), value, as_json=as_json)


def _classifier_lines(result: Classified) -> Iterator[str]:
    info = result.info
    test, constant = info.test_quality, info.constant_quality
    yield f"{'':22}{'images':>8}{'with error':>12}{'groups':>8}"
    for name, part in (("training", info.train), ("validation", info.validation), ("test", test)):
        yield f"{name:22}{part.n:>8}{part.n_positive:>12}{part.n_groups:>8}"
    yield f"{'on the test part':22}{'classifier':>12}{'constant':>12}"
    for words, field in (
        ("AUROC", "auroc"),
        ("accuracy", "accuracy"),
        ("Brier score", "brier"),
        ("log loss", "log_loss"),
        ("calibration error", "ece"),
    ):
        yield f"{words:22}{getattr(test, field):>12.3f}{getattr(constant, field):>12.3f}"
    yield (
        f"AUROC {test.auroc:.3f}, 95 % {test.auroc_low:.3f} to {test.auroc_high:.3f}; "
        f"a calibrated classifier's calibration error would be {test.ece_calibrated:.3f} here"
    )
    if info.n_unlabelled or info.n_broken:
        yield f"left out: {info.n_unlabelled} images without a label, {info.n_broken} files that cannot be read"
    if (tuned := info.tuned) is not None:
        frozen, blocks = tuned.frozen_quality, plural(tuned.settings.unfreeze, "block")
        yield (
            f"the last {blocks} trained on, pass {tuned.best_epoch} of {tuned.epochs_run}; on the "
            f"frozen backbone AUROC {frozen.auroc:.3f}, 95 % {frozen.auroc_low:.3f} to {frozen.auroc_high:.3f}, "
            f"Brier score {frozen.brier:.3f}"
        )
    yield (
        f"{info.settings.head} on {info.backbone} {info.hookpoint}, epoch {info.best_epoch} of "
        f"{info.epochs_run}, {result.seconds:.1f} s -> {result.folder}"
    )


def show_transcoder(result: Trained, settings: TrainTranscoder, *, as_json: bool) -> int:
    """Prints where the coder is, and its figures on held-out tokens."""
    value = {"coder": str(result.folder)} | result.info.model_dump(mode="json")
    return tell(_transcoder_lines(result), value, as_json=as_json)


def _transcoder_lines(result: Trained) -> Iterator[str]:
    info = result.info
    yield f"{info.config.kind} of {info.model}, {info.reads} to {info.writes} -> {result.folder}"
    held_out = info.training.held_out if info.training else None
    if held_out is None:
        return
    yield f"on {held_out.tokens:,} tokens held out, {held_out.dead_share:.1%} of the latents never fire"
    for width, fvu, l0 in zip(info.config.widths, held_out.fvu, held_out.l0, strict=True):
        yield f"  first {width:>6,} latents: {fvu:.4f} of the variance unexplained, {l0:.1f} on a token"


def show_evaluate(result: Evaluation, settings: TrainEvaluate, *, as_json: bool) -> int:
    """Prints a table for each kind of figure."""
    lines = (line for made in _tables(result) for line in (made, ""))
    return tell(lines, result.model_dump(mode="json"), as_json=as_json)


def _tables(found: Evaluation) -> Iterator[Table]:
    both = (*found.coders, *found.controls)
    yield _reconstruction(both)
    if any(c.nesting for c in found.coders):
        yield _nesting(found.coders)
    if any(c.association for c in both):
        yield _association(both)
        yield from (_by_prefix(c, a) for c in both if (a := c.association) is not None and len(a.prefixes) > 1)
        yield from (_associated(c, a) for c in both if (a := c.association) is not None and a.latents)
    if found.asked is not None:
        yield _effects(found.asked, found.coders)
    if found.pairs is not None:
        yield from pair_tables(found.pairs, both)


def _reconstruction(coders: Sequence[CoderFigures]) -> Table:
    def rows() -> Iterator[tuple[str, ...]]:
        for c in coders:
            if (h := c.held_out) is None:
                continue
            for i, (width, fvu, l0) in enumerate(zip(c.widths, h.fvu, h.l0, strict=True)):
                once = () if i else (f"{h.dead_share:.1%}", f"{h.tokens:,}{'' if c.unseen else ' *'}", c.model)
                yield ("" if i else c.coder, f"{width:,}", f"{fvu:.4f}", f"{l0:.1f}", *once)

    headings = ("coder", "first latents", "unexplained", "on a token", "dead", "tokens", "model")
    made = table(headings, rows(), title="Reconstruction of held-out tokens")
    if any(c.held_out and not c.unseen for c in coders):
        made.caption = "* not known to have been left out of its training"
    return made


def _nesting(coders: Iterable[CoderFigures]) -> Table:
    rows = (
        (
            "" if i else c.coder,
            f"{n.width:,}",
            f"{n.cosine:.2f} ({n.cosine_random:.2f})",
            f"{n.also:.1%} ({n.also_chance:.1%})",
            f"{n.missed:.1%}",
            f"{n.instead:.1%} ({n.instead_chance:.1%})",
        )
        for c in coders
        for i, n in enumerate(c.nesting)
    )
    headings = ("coder", "first latents", "cosine", "fires too", "silent where needed", "and the later fires")
    title = "Latents of a prefix, and the closest later latent of each (in brackets: by chance)"
    return table(headings, rows, title=title)


def _association(coders: Iterable[CoderFigures]) -> Table:
    rows = (
        (
            c.coder,
            f"{a.n_firing:,}",
            f"{a.n_associated:,}",
            f"{a.share:.1%} [{a.low:.1%}, {a.high:.1%}]",
            f"{a.shuffled:.1%}",
            "" if a.median_lift is None else f"{a.median_lift:.2f}",
            f"{a.n_images:,} ({a.n_attribute:,})",
        )
        for c in coders
        if (a := c.association) is not None
    )
    shares = ("share, 95 %", "labels shuffled", "median lift")
    headings = ("coder", "fire", "go with it", *shares, "images (with it)")
    return table(headings, rows, title="Latents that fire where the attribute is")


NAMED = 20
"""Latents of a coder that the table names at most."""


def _by_prefix(coder: CoderFigures, found: Association) -> Table:
    rows = (
        (
            f"{p.width:,}",
            f"{p.n_firing:,}",
            f"{p.n_associated:,}",
            f"{p.share:.1%} [{p.low:.1%}, {p.high:.1%}]",
            f"{p.n_relevant:,}",
        )
        for p in found.prefixes
    )
    headings = ("up to", "fire", "go with it", "share, 95 %", "on 95 % carriers or more")
    return table(headings, rows, title=f"{coder.coder}: what each prefix adds")


def _associated(coder: CoderFigures, found: Association) -> Table:
    rows = (
        (
            f"{a.latent:,}",
            f"{next((w for w in coder.widths if a.latent < w), coder.widths[-1]):,}",
            f"{a.n_active_attribute:,} of {a.n_active:,}",
            f"{a.lift:.2f} [{a.lift_low:.2f}, {a.lift_high:.2f}]",
            f"{a.q:.2g}",
        )
        for a in found.latents[:NAMED]
    )
    headings = ("latent", "prefix", "images with it", "lift, 95 %", "q")
    made = table(headings, rows, title=f"{coder.coder}: latents that go with it")
    if (more := len(found.latents) - NAMED) > 0:
        made.caption = f"and {more:,} more; --json lists all"
    return made


def _effects(asked: Asked, coders: Iterable[CoderFigures]) -> Table:
    words = "that it did not learn from" if asked.part == "test" else "of all"
    images = f"{asked.n_images:,} images {words}, {asked.n_groups:,} groups"
    rows: list[tuple[str, ...]] = [("", "nothing", "", "", _figure(asked.auroc), "")]
    for c in coders:
        for i, e in enumerate(c.effects):
            name, figures = "" if i else c.coder, map(_figure, (e.change, e.agreement, e.auroc))
            rows.append((name, e.replaced_by, *figures, _figure(e.auroc_change, "+.3f")))
    headings = ("coder", "replaced by", "change of log odds", "same decision", "AUROC", "AUROC change")
    return table(headings, rows, title=f"The classifier with the layer replaced, on {images}")


def _figure(found: Estimate | None, form: str = ".3f") -> str:
    return "" if found is None else f"{found.value:{form}} [{found.low:{form}}, {found.high:{form}}]"
