"""Explains sparse features of vision models with a multimodal model and measures each explanation.

One function a command, loaded when first used: `import autointerp` itself loads nothing heavy.
"""

import importlib
from typing import TYPE_CHECKING

from autointerp.version import __version__

if TYPE_CHECKING:
    from autointerp.dump.importers.folder import import_folder
    from autointerp.dump.reader import open_dump
    from autointerp.errors import AutointerpError
    from autointerp.jobs.adopting import adopt
    from autointerp.jobs.batch_collecting import batch_collect
    from autointerp.jobs.batch_planning import batch_calibrate, batch_explain, batch_score
    from autointerp.jobs.batch_submitting import batch_submit
    from autointerp.jobs.batch_watching import batch_run, batch_status
    from autointerp.jobs.calibrating import calibrate
    from autointerp.jobs.classifying import train_classifier
    from autointerp.jobs.comparing import compare
    from autointerp.jobs.demo import run_demo
    from autointerp.jobs.estimating import estimate
    from autointerp.jobs.explaining import explain
    from autointerp.jobs.harvesting import harvest
    from autointerp.jobs.inspecting import draw_feature, inspect
    from autointerp.jobs.merging import merge
    from autointerp.jobs.remote_runs import run_at
    from autointerp.jobs.reporting import report
    from autointerp.jobs.scoring import score
    from autointerp.jobs.showing import show
    from autointerp.jobs.status import status
    from autointerp.jobs.training import train_transcoder
    from autointerp.jobs.tuning import tune
    from autointerp.runs.folder import open_run
    from autointerp.settings import (
        EngineSettings,
        ExplainSettings,
        ModelSettings,
        RegionSettings,
        ScoreSettings,
        TuneSettings,
    )

_HOME = {
    "AutointerpError": "autointerp.errors",
    "EngineSettings": "autointerp.settings",
    "ExplainSettings": "autointerp.settings",
    "ModelSettings": "autointerp.settings",
    "RegionSettings": "autointerp.settings",
    "ScoreSettings": "autointerp.settings",
    "TuneSettings": "autointerp.settings",
    "adopt": "autointerp.jobs.adopting",
    "batch_calibrate": "autointerp.jobs.batch_planning",
    "batch_collect": "autointerp.jobs.batch_collecting",
    "batch_explain": "autointerp.jobs.batch_planning",
    "batch_run": "autointerp.jobs.batch_watching",
    "batch_score": "autointerp.jobs.batch_planning",
    "batch_status": "autointerp.jobs.batch_watching",
    "batch_submit": "autointerp.jobs.batch_submitting",
    "calibrate": "autointerp.jobs.calibrating",
    "compare": "autointerp.jobs.comparing",
    "draw_feature": "autointerp.jobs.inspecting",
    "estimate": "autointerp.jobs.estimating",
    "explain": "autointerp.jobs.explaining",
    "harvest": "autointerp.jobs.harvesting",
    "import_folder": "autointerp.dump.importers.folder",
    "inspect": "autointerp.jobs.inspecting",
    "merge": "autointerp.jobs.merging",
    "open_dump": "autointerp.dump.reader",
    "open_run": "autointerp.runs.folder",
    "report": "autointerp.jobs.reporting",
    "run_at": "autointerp.jobs.remote_runs",
    "run_demo": "autointerp.jobs.demo",
    "score": "autointerp.jobs.scoring",
    "show": "autointerp.jobs.showing",
    "status": "autointerp.jobs.status",
    "train_classifier": "autointerp.jobs.classifying",
    "train_transcoder": "autointerp.jobs.training",
    "tune": "autointerp.jobs.tuning",
}

__all__ = [
    "AutointerpError",
    "EngineSettings",
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
    "train_classifier",
    "train_transcoder",
    "tune",
]


def __getattr__(name: str) -> object:
    """Loads a public name from the module that defines it."""
    if name not in _HOME:
        raise AttributeError(f"module 'autointerp' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
