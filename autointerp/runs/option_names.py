"""Which option sets a setting that run.json states."""

from functools import cache
from typing import Annotated, Literal

from autointerp.options import Settings, leaves
from autointerp.settings import JUDGE, ExplainSettings, ModelSettings, ScoreSettings

Stage = Literal["explain", "score"]


class _Explaining(Settings):
    model: ModelSettings
    settings: ExplainSettings


class _Scoring(Settings):
    judge: Annotated[ModelSettings, JUDGE]
    settings: ScoreSettings


@cache
def option_of(stage: Stage, name: str) -> str:
    """The option, e.g. `--top`; the name itself where none sets it.

    Args:
        stage: whose settings they are.
        name: as run.json has it, with dots, e.g. `settings.n_top`.
    """
    steps = tuple(name.split("."))
    found = leaves(_Explaining if stage == "explain" else _Scoring)
    exact = (leaf for leaf in found for target in leaf.targets if target.path == steps[: len(target.path)])
    inside = (leaf for leaf in found for target in leaf.targets if target.path[: len(steps)] == steps)
    leaf = next(exact, None) or next(inside, None)
    return name if leaf is None else leaf.name
