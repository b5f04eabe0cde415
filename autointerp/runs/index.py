"""Which features a JSON-lines file speaks of and where: a few bytes a line, however many lines."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from autointerp.errors import RunError
from autointerp.runs.jsonl import opened
from autointerp.schema import Explanation

Ints = npt.NDArray[np.int64]


class _Key(BaseModel):
    """The part of a line that says what it is about."""

    feature: Annotated[int, Field(ge=0, lt=2**63)]
    scorer: str = ""


_KEY = TypeAdapter[_Key](_Key)


def keys(path: Path) -> Iterator[tuple[int, str, int]]:
    """Feature, scorer (empty in explanations.jsonl) and byte offset of every whole line.

    Raises:
        RunError: a line is not JSON or names no feature.
    """
    if not path.exists():
        return
    offset = 0
    with opened(path) as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return  # torn: its writer was killed or is writing it now
            try:
                key = _KEY.validate_json(line)
            except ValidationError as e:
                raise RunError(f"{path}:{number}: not a line of a run; mend or delete it") from e
            yield key.feature, key.scorer, offset
            offset += len(line)


def holds(ids: Ints, feature: int) -> bool:
    """Whether an id is among ascending ones; unlike `in`, it does not read them all."""
    at = int(np.searchsorted(ids, feature))
    return at < len(ids) and int(ids[at]) == feature


class ExplanationIndex:
    """Random access to explanations.jsonl; of a feature explained twice the last line holds.

    Args:
        path: the file, which may be missing.

    Raises:
        RunError: a line is not JSON or names no feature.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        found = np.fromiter((pair for f, _, at in keys(path) for pair in (f, at)), np.int64).reshape(-1, 2)
        order = np.lexsort((found[:, 1], found[:, 0]))
        features = found[order, 0]
        last = np.append(features[1:] != features[:-1], True) if len(features) else np.zeros(0, bool)
        self.features: Ints = features[last]
        """Ids, ascending, each once."""
        self._offsets: Ints = found[order, 1][last]

    def __getitem__(self, feature: int) -> Explanation:
        """The explanation of a feature. Raises KeyError where there is none, RunError where its line is broken."""
        if not holds(self.features, feature):
            raise KeyError(feature)
        at = int(np.searchsorted(self.features, feature))
        with opened(self._path) as file:
            file.seek(int(self._offsets[at]))
            line = file.readline()
        try:
            return Explanation.model_validate_json(line)
        except ValidationError as e:
            first = e.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise RunError(f"{self._path}: the explanation of feature {feature}: {where}: {first['msg']}") from e
