"""The runs of `compare --vary`: the base, and one for each value of each option that is varied."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from autointerp.commands.compare import Compare
from autointerp.errors import SettingsError
from autointerp.options import Leaf, leaves
from autointerp.settings import ModelName

BASE = "base"
"""The folder of the run that the others are held against."""
_STAGES: Mapping[str, bool] = {"explain": True, "model": True, "score": False, "judge": False}
"""The records whose options can be varied, and whether they change what the explainer is asked."""
_NO_ANSWER = frozenset(("scorers", "base_url"))
"""Fields of these records that change no answer: the cache has one answer, whichever server would be asked."""


@dataclass(frozen=True)
class Variation:
    """The settings of one run."""

    name: str
    settings: Compare
    explains: bool
    """Whether the explainer is asked otherwise than for the base."""

    @property
    def folder(self) -> str:
        """The name of its folder."""
        return re.sub(r"[^A-Za-z0-9._+-]+", "-", self.name).strip("-.")


def variations(settings: Compare) -> list[Variation]:
    """The base, then a run for each value of each varied option that is not the base's own.

    Raises:
        SettingsError: an option that cannot be varied, or a value that it does not take.
    """
    out = [Variation(BASE, settings, explains=True)]
    for text in settings.vary:
        named, equals, values = text.partition("=")
        leaf = _leaf(named.strip())
        texts = [value.strip() for value in values.split(",") if value.strip()]
        if not equals or not texts:
            raise SettingsError(f"--vary {text}: write it as an option and its values, e.g. --vary contrast=0,8")
        changed = [(value, _with(settings, leaf, value)) for value in texts]
        new = [
            Variation(f"{named.strip().lstrip('-')}={value}", other, explains=_changes_explaining(leaf))
            for value, other in changed
            if not _same(settings, other)
        ]
        if not new:
            raise SettingsError(f"--vary {text}: the base has that value already; name another one")
        out += new
    folders = [variation.folder for variation in out]
    if twice := next((v for i, v in enumerate(out) if v.folder in folders[:i]), None):
        raise SettingsError(f"--vary {twice.name}: is there twice; leave one of them out")
    return out


def _leaf(name: str) -> Leaf:
    """The option of this name.

    Raises:
        SettingsError: there is none that changes an answer.
    """
    written = f"--{name.lstrip('-').replace('_', '-')}"
    known = [
        leaf
        for leaf in leaves(Compare)
        if leaf.targets[0].path[-1] not in _NO_ANSWER and {t.path[0] for t in leaf.targets} & {*_STAGES}
    ]
    found = next((leaf for leaf in known if written in (*leaf.names, f"--{leaf.key.replace('_', '-')}")), None)
    if found is None:
        usual = "judge-rendering, rendering, outline, levels, contrast, top, per-call"
        raise SettingsError(f"--vary {name}: no option of explain or score that changes an answer; there is {usual} …")
    return found


def _changes_explaining(leaf: Leaf) -> bool:
    return any(_STAGES.get(target.path[0], False) for target in leaf.targets)


def _with(settings: Compare, leaf: Leaf, value: str) -> Compare:
    """The settings with one option given otherwise."""
    whole = {name: getattr(settings, name) for name in settings.model_fields_set}
    if leaf.key == "model":
        # The record and the option have one name.
        return Compare.given(whole | {"model": settings.model.model_copy(update={"model": ModelName(value)})})
    return Compare.given(whole | {leaf.key: value.split("+") if leaf.several else value})


def _same(one: Compare, other: Compare) -> bool:
    return all(getattr(one, name) == getattr(other, name) for name in _STAGES)
