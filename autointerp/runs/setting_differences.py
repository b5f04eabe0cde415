"""In which settings two runs differ: each by its name in run.json, and the options that were given otherwise."""

from collections.abc import Iterator, Mapping

from autointerp.runs.info import RunInfo
from autointerp.runs.option_names import option_of

Flat = Mapping[str, object]
_WHO = "model.model"
"""The explainer and the judge are two choices though one option may have set both."""


def differing(a: RunInfo, b: RunInfo) -> tuple[str, ...]:
    """Every setting that can change an explanation or a score and differs, each as `name: A | B`."""
    left, right = _flat(a), _flat(b)
    return tuple(f"{name}: {left.get(name)} | {right.get(name)}" for name in _names(left, right))


_CONTRAST = "explain.settings.contrast_kind"
_OF_CONTRAST = frozenset(
    ("explain.prompts.explain", "explain.prompts.explain-pairs", "explain.prompts.edit", "explain.settings.pictures")
)
"""What follows from the kind of contrast: its templates, and who paints."""


def varied(a: RunInfo, b: RunInfo) -> tuple[str, ...]:
    """The choices that were made otherwise, each as `--option: A | B`, without what follows from another one.

    An option that sets both stages is one choice; so are all settings of several explanations where one run samples one
    alone. A template that only one of the runs used, since it has another scorer, is none.
    """
    left, right = _flat(a), _flat(b)
    kinds = left.get(_CONTRAST), right.get(_CONTRAST)
    out: dict[object, str] = {}
    for name in _names(left, right):
        whole = _whole(name, left, right)
        lacking = not (whole in left and whole in right)
        if lacking and (whole.startswith("score.prompts.") or (whole in _OF_CONTRAST and kinds[0] != kinds[1])):
            continue
        values = left.get(whole, "given"), right.get(whole, "given")
        same = whole if whole.endswith(_WHO) else (whole.rpartition(".")[2], *map(str, values))
        out.setdefault(same, f"{_typed(whole)}: {_written(values[0])} | {_written(values[1])}")
    return tuple(out.values())


def _names(left: Flat, right: Flat) -> Iterator[str]:
    return (name for name in sorted({*left, *right}) if left.get(name) != right.get(name))


def _whole(name: str, left: Flat, right: Flat) -> str:
    """The setting inside which another one lies, where one of the runs has none of it."""
    steps = name.split(".")
    around = (".".join(steps[:n]) for n in range(1, len(steps)))
    return next((outer for outer in around if outer in left or outer in right), name)


def _typed(name: str) -> str:
    stage, _, rest = name.partition(".")
    if stage == "explain":
        option = option_of("explain", rest)
    elif stage == "score":
        option = option_of("score", rest)
    else:
        return name
    return name if option == rest else option


def _written(value: object) -> str:
    return "+".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _flat(info: RunInfo) -> dict[str, object]:
    """Every setting that can change an explanation or a score, by dotted name."""
    out: dict[str, object] = {"dump": f"{info.dump.name} ({info.dump.digest[:12]})"}
    left: list[tuple[str, object]] = [("explain", info.explain.model_dump())]
    left += [("score", info.score.model_dump())] if info.score else []
    while left:
        name, value = left.pop()
        if isinstance(value, dict):
            left += [(f"{name}.{key}", inner) for key, inner in value.items()]
        elif not name.endswith((".base_url", "settings.scorers")):
            out[name] = value
    return out
