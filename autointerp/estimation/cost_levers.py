"""The plan of a job and its alternatives, each of which pulls one lever."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from autointerp.errors import SettingsError
from autointerp.scoring.settings_checks import refuse_idle_interval
from autointerp.settings import Detail, ExplainSettings, ScoreSettings

SHEETS = (12, 24)
"""Images on a sheet, of those that are put beside the plan."""
SCREENED = 360
INTERVAL = 0.2


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of each feature."""

    explain: ExplainSettings
    score: ScoreSettings | None
    """None: explaining alone."""
    detail: Detail


@dataclass(frozen=True, slots=True)
class Lever:
    """Is one change to a plan."""

    name: str
    options: str
    """How to ask for it, the command first where it is one command's."""
    plan: Plan
    batch: bool = False
    """Whether it changes the price alone."""


def levers(plan: Plan) -> list[Lever]:
    """Lists the plan, then all that differ from it in one thing."""
    out = [Lever("the plan", "", plan)]
    if plan.score is not None:
        out += [
            Lever(name, f"score {options}", replace(plan, score=score))
            for name, options, score in _scoring(plan.score)
            if score != plan.score and _possible(score)
        ]
    out += [
        Lever(name, f"explain {options}", replace(plan, explain=explain))
        for name, options, explain in _explaining(plan.explain)
        if explain != plan.explain
    ]
    if plan.detail != "low":
        out.append(Lever("low detail", "--detail low", replace(plan, detail="low")))
    return [*out, Lever("as a batch job", "", plan, batch=True)]


def _scoring(s: ScoreSettings) -> Iterator[tuple[str, str, ScoreSettings]]:
    yield "one image a request", "--per-call 1", s.model_copy(update={"per_call": 1})
    if s.per_call > 1:
        other = "separate" if s.layout == "sheet" else "sheet"
        name = "separate pictures" if s.layout == "sheet" else f"sheets of {s.per_call}"
        yield name, f"--layout {other}", s.model_copy(update={"layout": other})
    if s.layout == "sheet":
        for n in SHEETS:
            yield f"sheets of {n}", f"--per-call {n}", s.model_copy(update={"per_call": n})
    half = max(16, s.region.side // 2)
    smaller = s.region.model_copy(update={"side": half})
    yield f"judged images of {half} px", f"--side {half}", s.model_copy(update={"region": smaller})
    if not s.n_screen and s.interval is None:
        screened = s.model_copy(update={"n_screen": SCREENED})
        yield f"{SCREENED} silent images screened", f"--screen {SCREENED}", screened
        narrow = s.model_copy(update={"interval": INTERVAL})
        yield f"on to an interval of {INTERVAL:g}", f"--interval {INTERVAL:g}", narrow
    yield "no controls", "--controls 0", s.model_copy(update={"n_controls": 0})


def _explaining(s: ExplainSettings) -> Iterator[tuple[str, str, ExplainSettings]]:
    half = max(16, s.region.side // 2)
    smaller = s.region.model_copy(update={"side": half})
    yield f"explainer's pictures of {half} px", f"--side {half}", s.model_copy(update={"region": smaller})
    yield "explained from crops alone", "--rendering crop", s.model_copy(update={"renderings": ("crop",)})


def _possible(settings: ScoreSettings) -> bool:
    if settings.interval is None:
        return True
    try:
        refuse_idle_interval(settings)
    except SettingsError:
        return False
    return True
