"""The folder of a tuned explainer: what it was made with, figures by step, and what failed."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import filelock
import numpy as np
from pydantic import JsonValue, ValidationError

from autointerp.errors import SettingsError
from autointerp.record import Record
from autointerp.runs.index import FAILURE
from autointerp.runs.info import DumpReference
from autointerp.runs.jsonl import Appender, LineFile
from autointerp.schema import FailureRecord

INFO, METRICS, FAILURES = "tune.json", "metrics.jsonl", "failures.jsonl"


class Features(Record):
    """Ids of the features of either part."""

    train: tuple[int, ...]
    held_out: tuple[int, ...]


class Measure(Record):
    """A figure of the held-out features: mean and 95 % interval over features, which one alone does not give."""

    mean: float
    low: float | None
    high: float | None


class TuneInfo(Record):
    """Holds what tune.json says."""

    version: str
    """Of this package."""
    versions: dict[str, str]
    """Of the libraries that train."""
    created: str
    dump: DumpReference
    features: Features
    settings: dict[str, JsonValue]
    """All that the weights depend on."""
    before: dict[str, Measure] | None = None
    """Of the held-out features, before the first step."""
    after: dict[str, Measure] | None = None
    """After the last one."""
    finished: bool = False


class TuneFolder:
    """A folder opened for writing: holds its lock until the context is left.

    Raises:
        SettingsError: it was made with something else, is in use, or cannot be written.
    """

    def __init__(self, path: Path, info: TuneInfo) -> None:
        self.path = path
        self._lock = filelock.FileLock(path / ".lock", timeout=0)
        try:
            self.info = _agreed(path, info)
            path.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except filelock.Timeout as e:
            raise SettingsError(
                f"{path}: another autointerp is working on it; wait for it, or give another --out"
            ) from e
        except OSError as e:
            raise SettingsError(f"{path}: cannot be written ({e.strerror}); give another --out") from e
        if not (path / INFO).exists():
            self.update()
        self._failures = Appender(path / FAILURES, FAILURE)
        self._metrics: LineFile | None = None

    def begin(self, step: int) -> None:
        """Drops the figures of steps that will be done again; 0 drops all."""
        file = self.path / METRICS
        lines = file.read_text().splitlines(keepends=True) if file.exists() else []
        kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
        _replace(file, "".join(kept if step else []))
        self._metrics = LineFile(file)

    def metric(self, step: int, figures: Mapping[str, object]) -> None:
        """Appends a line to metrics.jsonl."""
        assert self._metrics is not None
        self._metrics.write((json.dumps({"step": step, **figures}) + "\n").encode())

    def failure(self, record: FailureRecord) -> None:
        """Appends a line to failures.jsonl."""
        self._failures.append(record)

    def update(self, **changes: object) -> None:
        """Writes tune.json with some of its fields changed."""
        self.info = self.info.model_copy(update=changes)
        _replace(self.path / INFO, self.info.model_dump_json(indent=2) + "\n")

    def __enter__(self) -> "TuneFolder":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        files = [file for file in (self._failures, self._metrics) if file is not None]
        try:
            for file in files if kind is None else ():
                file.check()
        finally:
            for file in files:
                file.close()
            self._lock.release()


def _agreed(path: Path, info: TuneInfo) -> TuneInfo:
    """What the folder says it was made with, if that is the same."""
    file = path / INFO
    if not file.exists():
        if path.is_dir() and any(p.name not in (".lock", f".{INFO}") for p in path.iterdir()):
            raise SettingsError(f"{path}: holds something else; give another --out")
        return info
    try:
        there = TuneInfo.model_validate_json(file.read_bytes())
    except (OSError, ValidationError) as e:
        raise SettingsError(f"{file}: is no such file as this version writes; give another --out") from e
    if there.dump.digest != info.dump.digest:
        raise SettingsError(f"{path}: was made with another dump, {there.dump.path}; give another --out")
    old, new = _flat(there.settings), _flat(info.settings)
    for name in [*new, *(old.keys() - new.keys())]:
        if old.get(name) != new.get(name):
            raise SettingsError(
                f"{path}: was made with {name} {json.dumps(old.get(name))}, which is now {json.dumps(new.get(name))}; "
                "give the same, or another --out"
            )
    if there.features != info.features:
        raise SettingsError(f"{path}: was made with other features; give the same, or another --out")
    return there


def _flat(values: Mapping[str, JsonValue], before: str = "") -> dict[str, JsonValue]:
    out: dict[str, JsonValue] = {}
    for name, value in values.items():
        out |= _flat(value, f"{before}{name}.") if isinstance(value, dict) else {before + name: value}
    return out


def _replace(path: Path, text: str) -> None:
    """Writes a file as a whole or not at all."""
    work = path.with_name(f".{path.name}")
    work.write_text(text)
    work.replace(path)


def measured(values: Mapping[str, Sequence[float]], seed: int) -> dict[str, Measure]:
    """Means with 95 % intervals, a percentile bootstrap over features (Efron & Tibshirani 1993).

    Args:
        values: by figure, one a feature; NaN where it has none.
        seed: of the resampling.
    """
    out: dict[str, Measure] = {}
    for name, given in values.items():
        known = np.array([v for v in given if np.isfinite(v)], float)
        if len(known):
            drawn = np.random.default_rng(seed).choice(known, (2000, len(known))).mean(axis=1)
            low, high = np.quantile(drawn, [0.025, 0.975]).tolist() if len(known) > 1 else (None, None)
            out[name] = Measure(mean=float(known.mean()), low=low, high=high)
    return out
