"""Explains sparse features of vision models with a multimodal model and measures each explanation.

One function a command, loaded when first used: `import autointerp` itself loads nothing heavy.
"""

import importlib
from typing import TYPE_CHECKING

from autointerp.version import __version__

if TYPE_CHECKING:
    from autointerp.commands.batch_collect import batch_collect
    from autointerp.commands.batch_run import batch_run
    from autointerp.commands.batch_status import batch_status
    from autointerp.commands.batch_submit import batch_submit
    from autointerp.commands.calibrate import calibrate
    from autointerp.commands.classify import classify
    from autointerp.commands.compare import compare
    from autointerp.commands.estimate import estimate
    from autointerp.commands.explain import explain
    from autointerp.commands.harvest import harvest
    from autointerp.commands.import_folder import import_folder
    from autointerp.commands.inspect import inspect
    from autointerp.commands.merge import merge
    from autointerp.commands.report import report
    from autointerp.commands.score import score
    from autointerp.commands.status import status
    from autointerp.commands.train_activations import train_activations
    from autointerp.commands.train_classifier import train_classifier
    from autointerp.commands.train_evaluate import train_evaluate
    from autointerp.commands.train_transcoder import train_transcoder
    from autointerp.commands.tune import tune
    from autointerp.deprecated import batch_calibrate, batch_explain, batch_score, run_demo
    from autointerp.dump.reader import open_dump
    from autointerp.errors import AutointerpError
    from autointerp.jobs.adopt import adopt
    from autointerp.jobs.inspect import draw_feature
    from autointerp.jobs.show import show
    from autointerp.runs.folder import open_run
    from autointerp.settings import (
        CandidateSettings,
        EngineSettings,
        Execution,
        ExplainSettings,
        ModelSettings,
        RegionSettings,
        ScoreSettings,
        TuneSettings,
    )
    from autointerp.shards.remote_runs import run_at

_ELSEWHERE = {
    "AutointerpError": "autointerp.errors",
    "adopt": "autointerp.jobs.adopt",
    "batch_calibrate": "autointerp.deprecated",
    "batch_explain": "autointerp.deprecated",
    "batch_score": "autointerp.deprecated",
    "draw_feature": "autointerp.jobs.inspect",
    "open_dump": "autointerp.dump.reader",
    "open_run": "autointerp.runs.folder",
    "run_at": "autointerp.shards.remote_runs",
    "run_demo": "autointerp.deprecated",
    "show": "autointerp.jobs.show",
}
"""Where the names are defined that are neither settings nor commands; of these each has a module of its own name."""

__all__ = [
    "AutointerpError",
    "CandidateSettings",
    "EngineSettings",
    "Execution",
    "ExplainSettings",
    "ModelSettings",
    "RegionSettings",
    "ScoreSettings",
    "TuneSettings",
    "__version__",
    "adopt",
    "batch_calibrate",
    "batch_collect",
    "batch_explain",
    "batch_run",
    "batch_score",
    "batch_status",
    "batch_submit",
    "calibrate",
    "classify",
    "compare",
    "draw_feature",
    "estimate",
    "explain",
    "harvest",
    "import_folder",
    "inspect",
    "merge",
    "open_dump",
    "open_run",
    "report",
    "run_at",
    "run_demo",
    "score",
    "show",
    "status",
    "train_activations",
    "train_classifier",
    "train_evaluate",
    "train_transcoder",
    "tune",
]


def __getattr__(name: str) -> object:
    """Loads a public name from the module that defines it."""
    if name not in __all__:
        raise AttributeError(f"module 'autointerp' has no attribute {name!r}")
    own = "autointerp.settings" if name[0].isupper() else f"autointerp.commands.{name}"
    return getattr(importlib.import_module(_ELSEWHERE.get(name, own)), name)
