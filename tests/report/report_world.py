"""A small world to report on: features over drawn images, and records that a test can change."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from io import BytesIO

import numpy as np
from PIL import Image

from autointerp.dump.format import Attribute, DumpInfo, HierarchyInfo
from autointerp.errors import ImageError
from autointerp.images.picture import Picture
from autointerp.reports.data import ParentPairs, ReportData
from autointerp.runs.info import DumpReference, ExplainStage, RunInfo, ScoreStage
from autointerp.schema import (
    Box,
    Control,
    Exemplar,
    Explanation,
    FailureRecord,
    Feature,
    FeatureRow,
    ImageRow,
    Score,
    Scored,
    Unscored,
    Usage,
    Verdict,
)
from autointerp.scoring.calibration import Calibration
from autointerp.scoring.control_tests import Separation
from autointerp.settings import ExplainSettings, ModelSettings, RegionSettings, ScoreSettings

WHEN = "2026-11-23T12:00:00Z"


def explained(feature: int, text: str = "a red wheel", **more: object) -> Explanation:
    given: dict[str, object] = {
        "feature": feature,
        "text": text,
        "concepts": (text,) if text else (),
        "none": not text,
        "model": "seer-1",
        "prompt": "0123456789ab",
        "images": (0, 1),
        "usage": Usage(input_tokens=100, output_tokens=10, calls=1, dollars=0.5),
        "created": WHEN,
    }
    return Explanation.model_validate(given | more)


def scored(feature: int, value: float, scorer: str = "detection", **more: object) -> Scored:
    given: dict[str, object] = {
        "feature": feature,
        "scorer": scorer,
        "value": value,
        "low": max(0.0, value - 0.1),
        "high": min(1.0, value + 0.1),
        "n": 20,
        "details": {},
        "controls": {"constant": Control(value=0.02)},
        "judge": "judge-1",
        "prompt": "ba9876543210",
        "usage": Usage(input_tokens=50, output_tokens=5, calls=1, dollars=0.25),
        "created": WHEN,
    }
    return Scored.model_validate(given | more)


def unscored(feature: int, scorer: str = "detection", reason: str = "too few held out") -> Unscored:
    return Unscored(feature=feature, scorer=scorer, reason=reason, judge="judge-1", created=WHEN)


def failed(
    feature: int, stage: str = "explain", kind: str = "timeout", message: str = "no answer in 120 s", **more: object
) -> FailureRecord:
    given: dict[str, object] = {
        "feature": feature,
        "stage": stage,
        "kind": kind,
        "message": message,
        "attempts": 6,
        "created": WHEN,
    }
    return FailureRecord.model_validate(given | more)


def verdict(image: int, *, active: bool, belief: float | None) -> Verdict:
    return Verdict(image=image, active=active, stratum="top" if active else "silent", belief=belief, weight=1.0)


def separation(control: str = "constant", verdict: str = "separates", **more: object) -> Separation:
    """Own mean .6 against .1, over 20 features."""
    given: dict[str, object] = {
        "control": control,
        "n": 20,
        "own": 0.6,
        "value": 0.1,
        "difference": 0.5,
        "low": 0.4,
        "high": 0.625,
        "p": 0.0001,
        "verdict": verdict,
    }
    return Separation.model_validate(given | more)


def run_info(explainer: str, judge: str | None, calibration: str | None = None) -> RunInfo:
    score = None
    if judge is not None:
        score = ScoreStage(
            judge=ModelSettings(model=judge),
            settings=ScoreSettings(),
            prompts={"judge": "ba9876543210"},
            calibration=calibration,
        )
    return RunInfo(
        version="0.1.0",
        created=WHEN,
        dump=DumpReference(name="drawn", path="dump", digest="d" * 64, n_latents=4),
        explain=ExplainStage(
            model=ModelSettings(model=explainer), settings=ExplainSettings(seed=7), prompts={"explain": "0123456789ab"}
        ),
        score=score,
    )


def calibration(**more: object) -> Calibration:
    """Of judge-1 as `run_info` asks it: right on 180 of 200 images that fit and on 240 of 300 that do not."""
    given: dict[str, object] = {
        "n_true": 200,
        "n_false": 300,
        "sensitivity": 0.9,
        "sensitivity_low": 0.85,
        "sensitivity_high": 0.93,
        "specificity": 0.8,
        "specificity_low": 0.75,
        "specificity_high": 0.84,
        "kinds": (),
        "formats": (),
        "order": None,
        "agreements": (),
        "near_yes": None,
        "random_yes": None,
        "position": None,
        "unanswered": 0,
        "model": "judge-1",
        "prompt": "ba9876543210",
        "layout": "sheet",
        "per_call": 12,
        "rendering": "full",
        "planted": (128, 256),
        "side": 448,
        "seed": 0,
        "usage": Usage(),
        "created": "2026-11-20T09:00:00Z",
        "version": "0.1.0",
    }
    return Calibration.model_validate(given | more)


def jpeg_of(picture: Picture) -> bytes:
    """One colour for each recipe, so that different pictures have different bytes."""
    colour = tuple(bytes.fromhex(picture.digest[:6]))
    target = BytesIO()
    Image.new("RGB", (picture.side, picture.side), colour).save(target, "JPEG")
    return target.getvalue()


def feature_of(number: int, width: int = 16) -> Feature:
    """Active on images 0–3, silent on 4–7."""
    active = [Exemplar(i, 4.0 - i, "top" if i < 2 else "q1", 1.0, Box(0, 0, 40, 40), None) for i in range(4)]
    silent = [Exemplar(i, 0.0, "silent", 0.1, None, None) for i in range(4, 8)]
    return Feature(FeatureRow(number, width, 50, 4.0, None, (8, 0, 1)), (*active, *silent))


class Listed(list):
    """Records that are in memory: the place of each is its number."""

    def __iter__(self) -> Iterator[tuple[int, object]]:
        return enumerate(super().__iter__())


@dataclass
class World:
    """What the report is made from; a test fills the lists."""

    title: str = "A run"
    notes: tuple[str, ...] = ()
    separations: tuple[Separation, ...] = ()
    attribute: str | None = None
    n_features: int = 10
    widths: tuple[int, ...] = (16,)
    patch_grid: tuple[int, int] | None = None
    hierarchy: HierarchyInfo | None = None
    parents: dict[int, tuple[int, ...]] = field(default_factory=dict)
    explanations: list[Explanation] = field(default_factory=list)
    scores: list[Score] = field(default_factory=list)
    failures: list[FailureRecord] = field(default_factory=list)
    unexplainable: dict[int, str] = field(default_factory=dict)
    label: str | None = "wheel"
    broken: set[int] = field(default_factory=set)
    feature: Callable[[int], Feature] = feature_of
    rendered: list[str] = field(default_factory=list)
    """Digest of each picture that was made."""

    def data(self) -> ReportData:
        return ReportData(
            title=self.title,
            facts={"Dump": "drawn", "Seed": "0"},
            notes=self.notes,
            info=self.info(),
            n_features=self.n_features,
            shown_as="crop",
            region=RegionSettings(),
            explanations=Listed(self.explanations),
            scores=Listed(self.scores),
            failures=Listed(self.failures),
            unexplainable=lambda: self.unexplainable,
            separations=self._separations,
            parents=self._pairs,
            feature=self.feature,
            image=lambda i: ImageRow(i, 80, 60, f"{i:064x}", None, None, self.label),
            jpeg=self._jpeg,
        )

    def info(self) -> DumpInfo:
        return DumpInfo(
            name="drawn",
            created=WHEN,
            created_by="a test",
            model="ViT",
            hookpoint="block 3",
            n_latents=self.widths[-1],
            widths=self.widths,
            n_images=1000,
            active_above=0.0,
            attribute=Attribute(name=self.attribute, description="") if self.attribute is not None else None,
            patch_grid=self.patch_grid,
            hierarchy=self.hierarchy,
        )

    def _separations(self, scores: Iterable[Score]) -> tuple[Separation, ...]:
        deque(scores, maxlen=0)
        return self.separations

    def _pairs(self) -> Iterator[ParentPairs]:
        """A part for each feature that has parents."""
        for child, parents in sorted(self.parents.items()):
            yield ParentPairs(np.full(len(parents), child), np.array(parents, np.int64))

    def _jpeg(self, picture: Picture) -> bytes:
        if picture.tiles[0].image in self.broken:
            raise ImageError(f"image {picture.tiles[0].image}: not an image")
        self.rendered.append(picture.digest)
        return jpeg_of(picture)
