"""`autointerp benchmark make`: a scored run becomes a pack of failure modes."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from autointerp.clock import now
from autointerp.commands.benchmark_make import BenchmarkMake
from autointerp.counting import Counting, Uncounted
from autointerp.dump.reader import Dump
from autointerp.errors import ImageError, SettingsError
from autointerp.exports.target import check_target, written
from autointerp.generators.encoding import write_coder
from autointerp.generators.modes import (
    by_category,
    categories_of,
    closest_categories,
    merged,
    modes_of,
    overall_of,
)
from autointerp.generators.pack import CLASSIFIER, README, STRIPS, OpenedPack, finish_pack, open_pack, readme_of
from autointerp.generators.records import (
    BackboneRef,
    CoderFile,
    Estimated,
    HeldOut,
    Mode,
    Origin,
    Pack,
    PackFeature,
    PackSettings,
)
from autointerp.generators.selection import (
    Candidate,
    Evidence,
    failure_features,
    halves,
    negative_controls,
    sifted,
)
from autointerp.images.picture import Picture
from autointerp.job import dump_of
from autointerp.jobs.benchmark_evidence import Opened, evidence_of
from autointerp.lmm.outcomes import Failure
from autointerp.pipeline import Background
from autointerp.prompts import load_prompt
from autointerp.runs.folder import Run
from autointerp.runs.judgings import judged_by, label_of
from autointerp.runs.parts import open_with_parts
from autointerp.schema import Explanation, Scored
from autointerp.scoring.control_tests import MUST_LOSE
from autointerp.scoring.embedder import Vectors
from autointerp.session.gateway import open_embedder, open_renderer, resolve_model
from autointerp.settings import EngineSettings, RegionSettings
from autointerp.shards.remote_runs import read_run
from autointerp.tiles import region_box, tile_of
from autointerp.transcoder.backbones.headed import Network, with_classifier
from autointerp.transcoder.backbones.names import typed_backbone
from autointerp.transcoder.backbones.registry import load_backbone
from autointerp.transcoder.classifier import BACKBONE_FILE, load_classifier, save_classifier
from autointerp.transcoder.files import read_tensors
from autointerp.transcoder.harvest.source import RAW, backbone_name, load_sources, stored_coders
from autointerp.transcoder.precision import used_precision
from autointerp.version import __version__

DETECTION = "detection"
CONTROLS = (*MUST_LOSE, "always_yes")
"""What a score must be above; the last is what “an image” would score."""
SIDE, COLUMNS, QUALITY = 176, 6, 80
"""Of the strips of example images."""


class Made(NamedTuple):
    """Is what `benchmark make` wrote."""

    opened: OpenedPack
    n_strips: int
    """Modes with example images."""


def run(settings: BenchmarkMake, *, progress: Counting | None = None) -> Made:
    """Chooses the failure features of a run and writes them as a pack.

    Raises:
        AutointerpError: something that you can mend; the message says how.
    """
    progress = progress or Uncounted()
    check_target(settings.out, folder=True, overwrite=False)
    _refuse_idle(settings)
    with ExitStack() as held:
        opened = judged_by(open_with_parts(held.enter_context(read_run(settings.run))), settings.judge)
        dump = held.enter_context(dump_of(opened, settings.dump, allow_outside=settings.allow_outside))
        if dump.info.attribute is None:
            raise SettingsError(f"{dump.path}: has no attribute, so no feature can go with it; harvest with --labels")
        coder = _coder(settings, dump)
        n_explained, candidates = _candidates(settings, opened, dump)
        evidence, about = evidence_of(settings, dump, coder, candidates, progress)
        found = _Found.of(settings, dump, candidates, evidence, n_explained)
        with written(settings.out, folder=True, overwrite=False, marked=False) as draft:
            n_strips = _write(draft, settings, opened, dump, coder, found, about)
        return Made(open_pack(settings.out), n_strips)


def _refuse_idle(settings: BenchmarkMake) -> None:
    of_images = ("labels", "attribute", "error_folders")
    given = [name for name in of_images if name in settings.model_fields_set and getattr(settings, name)]
    if settings.images is None and given:
        raise SettingsError(f"--{given[0].replace('_', '-')}: goes with --images; leave it out")


def _coder(settings: BenchmarkMake, dump: Dump) -> Opened:
    """Opens what the dump was harvested with, and sees that it is that."""
    info = dump.info
    spec = settings.coder or (info.coder.source if info.coder is not None else None)
    if spec is None:
        raise SettingsError(f"--coder: {dump.path} does not say which coder it was harvested with; name it")
    if settings.coder is None and not spec.startswith((RAW, "hub:")) and not Path(spec).exists():
        raise SettingsError(f"--coder: {dump.path} was harvested with {spec}, which is not there; say where it is")
    stored = stored_coders([spec], settings.reads)
    name = typed_backbone(settings.backbone) if settings.backbone is not None else backbone_name(stored)
    backbone = load_backbone(name, device=settings.device)
    network = Network(backbone, None)
    if settings.classifier is not None:
        network = with_classifier(backbone, settings.classifier)
    given = None if network.classifier is None else network.classifier.digest
    if given != info.classifier:
        what = "with a classifier's network" if info.classifier else "without a classifier"
        raise SettingsError(f"--classifier: {dump.path} was harvested {what}; give the same here")
    source = load_sources([spec], stored, network.model, settings.device)[0]
    if info.coder is not None and source.digest != info.coder.digest:
        raise SettingsError(f"--coder {spec}: is not the coder that {dump.path} was harvested with")
    if source.encoder.n_latents != info.n_latents:
        raise SettingsError(f"--coder {spec}: has {source.encoder.n_latents} latents, and the dump {info.n_latents}")
    return Opened(network, source, stored.get(spec))


def _candidates(settings: BenchmarkMake, run: Run, dump: Dump) -> tuple[int, list[Candidate]]:
    """Returns how many features are explained, and those whose detection score is above its controls."""
    said = {e.feature: e for e in run.explanations()}
    explained = {number: e for number, e in said.items() if not e.none}
    detected: list[tuple[Explanation, Scored]] = []
    last = {s.feature: s for s in run.scores() if isinstance(s, Scored) and s.scorer == DETECTION}
    for number in sorted(explained.keys() & last.keys()):
        controls = _controls(last[number])
        if controls and last[number].low > max(controls.values()):
            detected.append((explained[number], last[number]))
    if not last:
        raise SettingsError(f"{run.path}: has no detection scores; run autointerp score {run.path}")
    if not detected:
        raise SettingsError(
            f"{run.path}: of {len(last):,} features with a detection score none is clearly above its controls, so "
            "that no failure mode can be named; explain and judge with a better model"
        )
    kinds = _categories(settings, dump, [e for e, _ in detected])
    made = [
        Candidate(
            e.feature,
            e.text,
            kind,
            Estimated(value=s.value, low=s.low, high=s.high),
            _controls(s),
        )
        for (e, s), kind in zip(detected, kinds, strict=True)
    ]
    return len(explained), made


def _controls(score: Scored) -> dict[str, float]:
    return {name: control.value for name, control in score.controls.items() if name in CONTROLS}


def _categories(settings: BenchmarkMake, dump: Dump, said: Sequence[Explanation]) -> list[str]:
    """The category that the second pass of each explanation named, else the one whose description is most like it."""
    known = categories_of(load_prompt(f"domains/{settings.domain}", settings.prompts))
    if not known:
        raise SettingsError(f"--domain {settings.domain}: its template has no list of categories (`- name: …`)")
    named = [e.domain.category if e.domain is not None and e.domain.found else None for e in said]
    vectors = _embedded(settings, dump, [*(e.text for e in said), *known.values()])
    close = closest_categories(vectors[: len(said)], list(known), vectors[len(said) :])
    return [name if name in known else near for name, near in zip(named, close, strict=True)]


def _embedded(settings: BenchmarkMake, dump: Dump, texts: Sequence[str]) -> Vectors:
    """Embeds texts, [n, d].

    Raises:
        SettingsError: the embedder does not answer.
    """
    model = resolve_model(settings.embedder)
    opening = partial(open_embedder, model, EngineSettings(), dump, cache=settings.cache)
    with Background(opening) as background:
        embedder = background.value
        assert embedder is not None, "a model was named"
        vectors = background.run(lambda _: embedder.texts(texts))
    if isinstance(vectors, Failure):
        raise SettingsError(f"--embedder {settings.embedder.model}: {vectors.message}; try again, or name another")
    return vectors


@dataclass(frozen=True)
class _Found:
    """What a pack states of its features."""

    features: tuple[PackFeature, ...]
    modes: tuple[Mode, ...]
    pack: Mapping[str, object]
    """The further fields of its record."""

    @classmethod
    def of(
        cls, settings: BenchmarkMake, dump: Dump, candidates: Sequence[Candidate], evidence: Evidence, explained: int
    ) -> "_Found":
        """Chooses and merges features.

        Raises:
            SettingsError: none goes with the attribute.
        """
        how = settings.choice
        above = dump.info.active_above
        features, counts = failure_features(candidates, evidence, active_above=above, level=how.level, seed=how.seed)
        if not features:
            raise SettingsError(
                f"{settings.run}: none of {len(candidates)} features goes with the attribute on held-out images at a "
                f"false discovery rate of {how.level:g}; explain more features, or give more images with --images"
            )
        first = halves(evidence.clusters, how.seed)
        choosing, measuring = evidence.part(first), evidence.part(~first)
        vectors = _embedded(settings, dump, [f.explanation for f in features])
        modes = modes_of(merged(features, vectors, how.same), choosing, measuring)
        return cls(
            features,
            modes,
            {
                "sifted": sifted(explained, len(candidates), counts),
                "controls": negative_controls(evidence, features, n=how.n_controls, seed=how.seed),
                "overall": overall_of(modes, features, measuring),
                "categories": by_category(modes, features, measuring),
            },
        )


def _write(
    draft: Path, settings: BenchmarkMake, run: Run, dump: Dump, coder: Opened, found: _Found, about: HeldOut
) -> int:
    """Writes all files of the pack; returns how many modes have example images."""
    file = write_coder(draft, coder.stored, coder.source)
    if settings.classifier is not None:
        _copy_classifier(settings.classifier, draft / CLASSIFIER)
    n_strips = sum(_strips(draft / STRIPS, dump, found.modes, settings.choice.strip))
    pack = _pack(settings, run, dump, coder, found, about, file)
    (draft / README).write_text("\n".join(readme_of(pack)) + "\n", encoding="utf-8")
    finish_pack(draft, pack)
    return n_strips


def _pack(
    settings: BenchmarkMake,
    run: Run,
    dump: Dump,
    coder: Opened,
    found: _Found,
    about: HeldOut,
    file: CoderFile,
) -> Pack:
    network, how = coder.network.model, settings.choice
    return Pack(
        name=settings.out.name,
        created=now(),
        created_by=f"autointerp {__version__}",
        origin=_origin(run, dump),
        backbone=BackboneRef(name=network.name, digest=network.digest, classifier=coder.network.classifier is not None),
        coder=file,
        held_out=about,
        settings=PackSettings(
            level=how.level,
            same_meaning=how.same,
            embedder=str(resolve_model(settings.embedder).model),
            seed=how.seed,
            active_above=dump.info.active_above,
            precision=used_precision("auto", settings.device),
        ),
        features=found.features,
        modes=found.modes,
        notes=tuple(_notes(about)),
        files={},
        **found.pack,  # pyright: ignore[reportArgumentType] - as the record has them
    )


def _origin(run: Run, dump: Dump) -> Origin:
    return Origin(
        run=run.path.name,
        dump=dump.info.name,
        dump_digest=dump.digest,
        explainer=run.info.explain.model.model,
        judge=label_of(run) or "",
        model=dump.info.model,
        hookpoint=dump.info.hookpoint,
    )


def _notes(about: HeldOut) -> Iterator[str]:
    if about.source == "pool":
        yield (
            "Features were chosen and measured on images of the dump itself, half of them each; the coder, and a "
            "classifier if there is one, may have learned from both halves. Fresh images (--images) are better."
        )
    yield (
        "A mode is on where one of its features fires. That is what the network sees, and no verdict: how many of the "
        "images on which it is on show the error, and how many others do, only a judge can tell."
    )


def _copy_classifier(source: Path, folder: Path) -> None:
    classifier, info = load_classifier(source)
    tuned = None
    if info.tuned is not None:
        tuned = read_tensors(source / BACKBONE_FILE, beside="classifier.json", remedy="train the classifier anew")
    save_classifier(folder, classifier, info.model_copy(update={"images": Path(info.images).name}), tuned)


def _strips(folder: Path, dump: Dump, modes: Sequence[Mode], n: int) -> Iterator[bool]:
    """Draws the strongest images of each mode that carry the attribute, and says whether there are any."""
    folder.mkdir()
    renderer = open_renderer(dump)
    try:
        for mode in modes:
            picture = _strip(dump, mode, n)
            try:
                if picture is not None:
                    (folder / f"{mode.id}.jpg").write_bytes(renderer.jpeg_now(picture))
                yield picture is not None
            except ImageError:
                yield False
    finally:
        renderer.close()


def _strip(dump: Dump, mode: Mode, n: int) -> Picture | None:
    strongest: dict[int, tuple[float, object]] = {}
    tiles = []
    evidence = [e for f in mode.features for e in dump.feature(f).active]
    rows = {row.image: row for row in dump.images(sorted({e.image for e in evidence}))}
    for exemplar in sorted(evidence, key=lambda e: (-e.activation, e.image)):
        row = rows[exemplar.image]
        if row.attribute and exemplar.image not in strongest and len(tiles) < n:
            strongest[exemplar.image] = (exemplar.activation, exemplar)
            box = region_box(exemplar, row, dump.info.patch_grid, RegionSettings())
            tiles.append(tile_of(exemplar, row, "outline", box, dump.info.patch_grid))
    return Picture(tuple(tiles), SIDE, QUALITY, min(COLUMNS, len(tiles))) if len(tiles) > 1 else None
