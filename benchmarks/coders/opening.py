"""Opens the training code of the other libraries without what training never touches.

Each of them imports, on its first line, language models, plots and a logging service. Here a package is opened without
its table of contents, so that `import sae_lens.training.sae_trainer` runs that file and those it needs; names that are
imported for annotations, logs or other kinds of dictionary are stood in for. The code that trains is theirs, unchanged.
"""

import logging
import sys
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import version
from types import ModuleType

OPENED = {
    "dictionary_learning": "dictionary-learning",
    "overcomplete": "overcomplete",
    "sae_lens": "sae-lens",
    "transformer_lens": "transformer-lens",
}
"""Packages that are opened without their table of contents, and their names in the registry."""
STOOD_IN = (
    "nnsight",
    "wandb",
    "sklearn",
    "sklearn.cluster",
    "sklearn.decomposition",
    "sklearn.decomposition._nmf",
)
LIBRARIES = ("eai-sparsify", "dictionary-learning", "sae-lens", "overcomplete")


class _Empty(ModuleType):
    """A module that has an empty class of every name."""

    __path__ = ()

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


def opened() -> dict[str, str]:
    """Makes the libraries importable; returns their versions.

    Raises:
        ModuleNotFoundError: one of them is not installed.
    """
    for name, registered in OPENED.items():
        spec = PathFinder.find_spec(name)
        if spec is None or spec.submodule_search_locations is None:
            raise ModuleNotFoundError(f"{registered} is not installed: see benchmarks/coders/requirements.txt")
        module = ModuleType(name)
        module.__path__, module.__spec__ = list(spec.submodule_search_locations), spec
        sys.modules[name] = module
    vars(sys.modules["sae_lens"]).update(__version__=version("sae-lens"), logger=logging.getLogger("sae_lens"))
    for name in STOOD_IN:
        sys.modules[name] = _Empty(name)
        sys.modules[name].__spec__ = ModuleSpec(name, None)
    import transformer_lens.hook_points as points

    # SAELens asks a module of whole language models for a class that this one defines.
    models = sys.modules["transformer_lens.HookedTransformer"] = _Empty("transformer_lens.HookedTransformer")
    models.HookedRootModule = points.HookedRootModule
    return {name: version(name) for name in LIBRARIES}
