"""Explains sparse features of vision models with a multimodal model and measures each explanation.

One function a command, loaded when first used: `import autointerp` itself loads nothing heavy.
"""

import importlib
from types import FunctionType
from typing import TYPE_CHECKING

from autointerp.extras import need
from autointerp.version import __version__

if TYPE_CHECKING:
    from autointerp.commands.batch_collect import batch_collect
    from autointerp.commands.batch_run import batch_run
    from autointerp.commands.batch_status import batch_status
    from autointerp.commands.batch_submit import batch_submit
    from autointerp.commands.benchmark_make import benchmark_make
    from autointerp.commands.benchmark_report import benchmark_report
    from autointerp.commands.benchmark_run import benchmark_run
    from autointerp.commands.cache_info import cache_info
    from autointerp.commands.cache_prune import cache_prune
    from autointerp.commands.cache_verify import cache_verify
    from autointerp.commands.calibrate import calibrate
    from autointerp.commands.classify import classify
    from autointerp.commands.compare import compare
    from autointerp.commands.estimate import estimate
    from autointerp.commands.explain import explain
    from autointerp.commands.export import export
    from autointerp.commands.harvest import harvest
    from autointerp.commands.import_delphi import import_delphi
    from autointerp.commands.import_folder import import_folder
    from autointerp.commands.import_milan import import_milan
    from autointerp.commands.import_mt import import_mt
    from autointerp.commands.import_multimodal_sae import import_multimodal_sae
    from autointerp.commands.import_patchsae import import_patchsae
    from autointerp.commands.import_sae_for_vlm import import_sae_for_vlm
    from autointerp.commands.import_saev import import_saev
    from autointerp.commands.import_semanticlens import import_semanticlens
    from autointerp.commands.import_vision_interp import import_vision_interp
    from autointerp.commands.inspect import inspect
    from autointerp.commands.merge import merge
    from autointerp.commands.prompts_copy import prompts_copy
    from autointerp.commands.report import report
    from autointerp.commands.score import score
    from autointerp.commands.status import status
    from autointerp.commands.train_activations import train_activations
    from autointerp.commands.train_classifier import train_classifier
    from autointerp.commands.train_evaluate import train_evaluate
    from autointerp.commands.train_transcoder import train_transcoder
    from autointerp.commands.tune import tune
    from autointerp.commands.view import view
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
    from autointerp.transcoder.backbones.module import ModuleBackbone as ModuleBackbone
    from autointerp.transcoder.backbones.taps import Tap as Tap

_ELSEWHERE = {
    "AutointerpError": "autointerp.errors",
    "ModuleBackbone": "autointerp.transcoder.backbones.module",
    "Tap": "autointerp.transcoder.backbones.taps",
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
_TRAIN = ("ModuleBackbone", "Tap")
"""Names that need the extra `train`, for which `__all__`, that all can be imported of, does not list them."""

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
    "benchmark_make",
    "benchmark_report",
    "benchmark_run",
    "cache_info",
    "cache_prune",
    "cache_verify",
    "calibrate",
    "classify",
    "compare",
    "draw_feature",
    "estimate",
    "explain",
    "export",
    "harvest",
    "import_delphi",
    "import_folder",
    "import_milan",
    "import_mt",
    "import_multimodal_sae",
    "import_patchsae",
    "import_sae_for_vlm",
    "import_saev",
    "import_semanticlens",
    "import_vision_interp",
    "inspect",
    "merge",
    "open_dump",
    "open_run",
    "prompts_copy",
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
    "view",
]


def __getattr__(name: str) -> object:
    """Loads a public name from the module that defines it."""
    if name not in (*__all__, *_TRAIN):
        raise AttributeError(f"module 'autointerp' has no attribute {name!r}")
    if name in _TRAIN:
        need(f"autointerp.{name}", ("torch",), "train")
    own = "autointerp.settings" if name[0].isupper() else f"autointerp.commands.{name}"
    value = getattr(importlib.import_module(_ELSEWHERE.get(name, own)), name)
    if not isinstance(value, FunctionType):
        return value
    from autointerp.keywords import speaks_python

    return speaks_python(value)


def __dir__() -> list[str]:
    """All public names, whether they are loaded yet or not."""
    return sorted({*__all__, *_TRAIN, *(name for name in globals() if name.startswith("__"))})
