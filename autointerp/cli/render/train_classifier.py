"""Prints what `autointerp train classifier` did."""

from collections.abc import Iterator

from autointerp.cli.printing import tell
from autointerp.commands.train_classifier import TrainClassifier
from autointerp.jobs.train_classifier import Classified


def show(result: Classified, settings: TrainClassifier, *, as_json: bool) -> int:
    """Prints the classifier's figures."""
    value = {"folder": str(result.folder), "seconds": round(result.seconds, 3), **result.info.model_dump()}
    return tell(_lines(result), value, as_json=as_json)


def _lines(result: Classified) -> Iterator[str]:
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
    yield (
        f"{info.settings.head} on {info.backbone} {info.hookpoint}, epoch {info.best_epoch} of "
        f"{info.epochs_run}, {result.seconds:.1f} s -> {result.folder}"
    )
