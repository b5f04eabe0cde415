"""run.json: all that decides a run's content besides the replies, and whether two such files go together."""

import hashlib
import json
from collections.abc import Iterator
from typing import Annotated, NamedTuple

from pydantic import BeforeValidator, Field, SerializerFunctionWrapHandler, model_serializer

from autointerp.record import Record
from autointerp.runs.option_names import option_of
from autointerp.settings import ExplainSettings, ModelSettings, ScoreSettings, recorded, recorded_explain

FORMAT = "autointerp-run/1"
FIRST = ""
"""The name of a run's first judging, whose lines do not state it."""
_PICTURES = "settings.pictures"
_REMEDY = {
    "explain": "use the same, or name another folder with --run",
    "score": "run the same command again, which adds its scores beside those that are there",
}


class DumpReference(Record):
    """Which dump a run belongs to."""

    name: str
    path: str
    digest: str
    """As the dump reader computes it."""
    n_latents: int


FOREIGN = "foreign"
"""Name under which run.json states the digest of another method's file, among the prompts: the texts follow from it."""


class ExplainStage(Record):
    """How the explanations of a run came about."""

    model: ModelSettings
    settings: Annotated[ExplainSettings, BeforeValidator(recorded_explain)]
    prompts: dict[str, str]
    """Template name to the first 12 hex digits of its SHA-256."""


class ControlTexts(Record):
    """The texts whose pictures serve as controls, fixed before any picture was made."""

    texts: tuple[str, ...]
    """Explanations of features drawn by the seed; each feature takes those that are not its own."""
    neighbours: dict[int, str]
    """By feature, the explanation of the feature most like it."""

    def joined(self, later: "ControlTexts | None") -> "ControlTexts":
        """The same with the neighbours of features that came later."""
        added = {} if later is None else later.neighbours
        return self.model_copy(update={"neighbours": added | self.neighbours})


class ScoreStage(Record):
    """How the scores of a run came about: one judging."""

    judge: ModelSettings
    settings: Annotated[ScoreSettings, BeforeValidator(recorded)]
    prompts: dict[str, str]
    calibration: str | None = None
    """First 12 hex digits of the SHA-256 of the calibration that corrects the figures, of which the run has a copy."""
    controls: ControlTexts | None = Field(default=None, exclude_if=lambda value: value is None)
    """Of the scorer that has pictures made; None where it has not run."""

    @property
    def digest(self) -> str:
        """First 8 hex digits of the SHA-256 over what changes a score: not the servers, nor which scorers run."""
        told = _flat(self.model_dump(mode="json", exclude={"prompts"}))
        kept = {name: value for name, value in told.items() if _matters(name) and (name, value) != (_PICTURES, None)}
        kept["prompts.judge"] = self.prompts.get("judge")
        return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:8]

    def joined(self, later: "ScoreStage") -> "ScoreStage":
        """The later one of two that agree, with what scorers that ran before had besides."""
        controls = self.controls.joined(later.controls) if self.controls is not None else later.controls
        settings = later.settings
        if settings.pictures is None:
            settings = settings.model_copy(update={"pictures": self.settings.pictures})
        changed = {"prompts": self.prompts | later.prompts, "settings": settings, "controls": controls}
        return later.model_copy(update=changed)

    def differs(self, other: "ScoreStage") -> str | None:
        """The first setting in which another judging differs so that a score may, in words; None if it agrees."""
        return next(_differing("score", self, other), None)


JudgingName = Annotated[str, Field(pattern=r"^[A-Za-z0-9.]{1,40}$")]
"""Of a further judging; it is part of the names of files."""


class RunInfo(Record):
    """run.json: all that decides the run's content besides the replies."""

    format: str = FORMAT
    version: str
    """Of the program that made it."""
    created: str
    dump: DumpReference
    explain: ExplainStage
    score: ScoreStage | None = None
    """The first judging."""
    more_scores: dict[JudgingName, ScoreStage] = Field(default_factory=dict)
    """The further judgings, by the name that their lines state in `judging`; left out where there are none."""

    @model_serializer(mode="wrap")
    def _without_empty(self, handler: SerializerFunctionWrapHandler) -> dict[str, object]:
        # An earlier program, which knows one judging alone, opens a run that has no other.
        told: dict[str, object] = handler(self)
        return told if told.get("more_scores") else {n: value for n, value in told.items() if n != "more_scores"}

    @property
    def is_adopted(self) -> bool:
        """Whether the explanations are those of another method: its explainer cannot be asked, nor be the judge."""
        return FOREIGN in self.explain.prompts

    @property
    def judgings(self) -> dict[str, ScoreStage]:
        """Every judging by its name, the first one first."""
        first = {} if self.score is None else {FIRST: self.score}
        return first | self.more_scores

    def with_judging(self, name: str, stage: ScoreStage) -> "RunInfo":
        """The same with a judging, in place of one of this name."""
        if name == FIRST:
            return self.model_copy(update={"score": stage})
        return self.model_copy(update={"more_scores": self.more_scores | {name: stage}})

    def without_judgings(self) -> "RunInfo":
        """The same where nothing is scored."""
        return self.model_copy(update={"score": None, "more_scores": {}})

    def without_judging(self, name: str) -> "RunInfo":
        """The same without a further judging."""
        left = {other: stage for other, stage in self.more_scores.items() if other != name}
        return self.model_copy(update={"more_scores": left})

    def seen_by(self, name: str) -> "RunInfo":
        """The run as one judging sees it: no other one is stated."""
        return self.model_copy(update={"score": self.judgings.get(name), "more_scores": {}})


def joined(there: RunInfo, wanted: RunInfo) -> RunInfo:
    """What is asked for of a run that agrees with it, with all judgings of both."""
    out = there.model_copy(update={"dump": wanted.dump})
    for name, stage in wanted.judgings.items():
        before = there.judgings.get(name)
        out = out.with_judging(name, stage if before is None else before.joined(stage))
    return out


class Difference(NamedTuple):
    """In what a run's settings differ from those asked for, and what to do about it, in words."""

    what: str
    remedy: str


def difference(there: RunInfo, wanted: RunInfo) -> Difference | None:
    """The first difference that matters between a run folder and what is asked for; None if they agree.

    Judgings of different names do not touch each other.
    """
    if there.dump.digest != wanted.dump.digest:
        return Difference(
            f"this run is of the dump {there.dump.name} ({there.dump.digest[:12]}), not {wanted.dump.name} "
            f"({wanted.dump.digest[:12]})",
            "name another folder with --run",
        )
    for what in _differing("explain", there.explain, wanted.explain):
        return Difference(f"this run's explain setting {what}", _REMEDY["explain"])
    both = [(stage, wanted.judgings[name]) for name, stage in there.judgings.items() if name in wanted.judgings]
    for old, new in both:
        for what in _differing("score", old, new):
            return Difference(f"this run's score setting {what}", _REMEDY["score"])
    return None


def _differing(kind: str, old: Record, new: Record) -> Iterator[str]:
    """Each setting that changes an answer and differs, as `--option is OLD, not NEW`."""
    left, right = _flat(old.model_dump()), _flat(new.model_dump())
    for name in left | right:
        # A scorer that is added later brings a template of its own, or has pictures made.
        lacking = name.startswith(("prompts.", _PICTURES)) and not (name in left and name in right)
        if _matters(name) and not lacking and left.get(name) != right.get(name):
            option = option_of("explain" if kind == "explain" else "score", name)
            yield f"{option} is {_said(left.get(name))}, not {_said(right.get(name))}"


def _said(value: object) -> str:
    return "left out" if value is None else repr(value)


def _matters(name: str) -> bool:
    """Whether a setting changes an answer: where the server stands does not, and each scorer has lines of its own."""
    return not name.endswith(".base_url") and name != "settings.scorers" and not name.startswith("controls")


def _flat(value: object, prefix: str = "") -> dict[str, object]:
    if not isinstance(value, dict):
        return {prefix: value}
    out: dict[str, object] = {}
    for key, inner in value.items():
        out |= _flat(inner, f"{prefix}.{key}" if prefix else str(key))
    return out
