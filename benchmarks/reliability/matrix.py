"""Each kind of fault at each rate in each way of running: what it costs."""

import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from standin.commands import Result, run
from standin.planted import plant

from autointerp.batch import api
from benchmarks.reliability.faults import FAULTS
from benchmarks.reliability.servers import Batches, Endpoint
from benchmarks.reliability.truth import SCORERS, Held, Key, held, posing, unaccounted, undone

RATES = (0.05, 0.30)
MODES = ("explain", "score", "batch", "ray")
ENGINE = ("--attempts", "3", "--concurrency", "8")
ENDINGS = (0, 1)
"""Exit codes of a run that faults have disturbed: all was overcome, or failures are recorded."""


@dataclass(frozen=True)
class Cell:
    """One kind of fault at one rate in one mode."""

    fault: str
    rate: float
    mode: str
    struck: int
    """Calls, or lines of a batch's results, that went wrong."""
    lost: int
    """Results neither there nor on record as failed, and those not there after a second run at a healthy endpoint."""
    paid_twice: int
    """Usable answers that had reached the client and were asked for once more."""
    posing: int
    """Records that say what no answer said."""
    unanswered: int
    """Scores that still lack answers after the second run."""
    code: int
    """Exit code of the disturbed run."""
    again: int
    """Exit code of the second run, or of the recorded commands where `batch run` leaves its failures to them."""
    complaint: str
    """The last line on stderr where the disturbed run ended in neither 0 nor 1, or in a traceback."""

    @property
    def sound(self) -> bool:
        """Whether nothing was lost, paid twice or made up, and no answer was given up for a fault of transport."""
        settled = self.unanswered and FAULTS[self.fault].transport
        return not (self.lost or self.paid_twice or self.posing or settled or self.again)


@dataclass(frozen=True)
class World:
    """The dump, the undisturbed run and what it holds, and the endpoints."""

    place: Path
    dump: Path
    chosen: str
    """Features."""
    clean: Held
    endpoint: Endpoint
    batches: Batches

    @property
    def explained(self) -> Path:
        """An undisturbed run that is not scored."""
        return self.place / "explained"

    def expected(self, mode: str) -> set[Key]:
        """What a mode makes."""
        return {key for key in self.clean.data if mode == "batch" or (key[1] != "explain") == (mode == "score")}


@contextmanager
def world(place: Path, features: int = 12, seed: int = 0) -> Iterator[World]:
    """Makes a world in an empty folder.

    Args:
        place: where everything is written.
        features: how many are explained and scored, at most 12.
        seed: of the faults.
    """
    dump = plant(place / "dump", n_top=12, n_band=4, n_silent=8).folder
    chosen = f"0-{features - 1}"
    own = {"XDG_CONFIG_HOME": str(place / "config"), "AUTOINTERP_CACHE": str(place / "cache")}
    with Endpoint(seed=seed) as endpoint, Batches(seed=seed) as batches, mock.patch.dict(os.environ, own):
        begun = World(place, dump, chosen, Held({}, {}, frozenset(), 0), endpoint, batches)
        must(run(*explaining(begun, begun.explained)))
        shutil.copytree(begun.explained, place / "clean")
        must(run(*scoring(begun, place / "clean")))
        yield World(place, dump, chosen, held(place / "clean"), endpoint, batches)


def must(result: Result) -> None:
    """What nothing disturbs ends in 0."""
    assert result.code == 0, result.err


def explaining(world: World, to: Path, *options: str, url: str | None = None) -> tuple[str | Path, ...]:
    """The command that explains."""
    model = ("--model", "seer", "--base-url", url or world.endpoint.url, "--domain", "physical-plausibility")
    return ("explain", world.dump, "--run", to, "--features", world.chosen, *model, *ENGINE, *options)


def scoring(world: World, of: Path, *options: str, url: str | None = None) -> tuple[str | Path, ...]:
    """The command that scores, by all scorers that ask a model."""
    judge = ("--judge-model", "seer", "--judge-base-url", url or world.endpoint.url)
    return ("score", of, "--scorers", ",".join(SCORERS), "--controls", "2", *judge, *ENGINE, *options)


def command(world: World, mode: str, to: Path, timeout: float) -> tuple[str | Path, ...]:
    """The command of a mode, with what has to be there before it."""
    within = ("--timeout", str(timeout))
    if mode == "explain":
        return explaining(world, to, *within)
    if mode == "ray":
        return explaining(world, to, *within, "--engine", "ray", "--actors", "2")
    if mode == "score":
        shutil.copytree(world.explained, to)
        return scoring(world, to, *within)
    url = world.batches.url
    must(run(*explaining(world, to, *within, "--batch", url=url)))
    must(run(*scoring(world, to, *within, "--batch", url=url)))
    return ("batch", "run", to, "--poll", "0.01")


def cell(world: World, fault: str, rate: float, mode: str) -> Cell:
    """Runs a command at an endpoint that fails, then once more at one that is well."""
    to = world.place / f"{mode}-{fault}-{rate}".replace(" ", "-")
    own = {"AUTOINTERP_CACHE": f"{to}-cache"}
    with mock.patch.dict(os.environ, own), mock.patch.object(api, "PAUSES", (0.01,) * len(api.PAUSES)):
        words = command(world, mode, to, FAULTS[fault].timeout)
        _fail(world, fault, rate)
        first = _run(words)
        struck = sum(c.fault is not None for c in world.endpoint.calls) + world.batches.struck
        disturbed = held(to)
        _fail(world, None, 0.0)
        second = _run(words)
        if mode == "batch" and second.code == 1:
            second = _directly(world, to)
        after = held(to)
    paid_twice = world.batches.paid_twice if mode == "batch" else world.endpoint.paid_twice
    wanted = world.expected(mode)
    whole = not any(key[1] == "explain" for key in wanted - disturbed.data.keys())
    ended = first.code in ENDINGS and "Traceback" not in first.err
    made = Cell(
        fault=fault,
        rate=rate,
        mode=mode,
        struck=struck,
        lost=(unaccounted(disturbed, wanted) if ended else 0) + undone(after, wanted),
        paid_twice=paid_twice,
        posing=sum(posing(h, world.clean, whole=whole) for h in (disturbed, after)) + after.repeated,
        unanswered=len(after.gaps),
        code=first.code,
        again=second.code,
        complaint="" if ended else _last_line(first.err, world.place),
    )
    shutil.rmtree(to)
    shutil.rmtree(f"{to}-cache")
    return made


def _directly(world: World, to: Path) -> Result:
    """The recorded commands without `--batch`, as `batch run` says where the model itself gave no usable answer."""
    first = _run(explaining(world, to))
    return first if first.code else _run(scoring(world, to))


def _last_line(text: str, place: Path) -> str:
    """Without what differs from run to run: the folder and the port."""
    line = (text.strip().splitlines() or [""])[-1].replace(str(place), "")
    return re.sub(r"127\.0\.0\.1:\d{4,5}\b", "HOST", line)[:200]


def _fail(world: World, fault: str | None, rate: float) -> None:
    if fault is not None:
        world.endpoint.forget()
        world.batches.usable.clear()
    world.endpoint.fault_kinds, world.endpoint.fault_rate = ((fault,) if fault else ()), rate
    world.batches.settle(fault, rate)


def _run(words: Sequence[str | Path]) -> Result:
    """A command in this process, whose traceback is a result too."""
    try:
        return run(*words)
    except Exception as e:  # noqa: BLE001 - a bug is what this looks for
        return Result(1, "", f"Traceback: {type(e).__name__}: {e}")


@contextmanager
def cluster() -> Iterator[bool]:
    """A small Ray cluster for all runs of that mode; whether Ray is installed."""
    if importlib.util.find_spec("ray") is None:
        sys.stderr.write("Ray is not installed, its mode is left out\n")
        yield False
        return
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}
    import ray

    ray.init(address="local", num_cpus=3, include_dashboard=False, log_to_driver=False, logging_level=50)
    try:
        yield True
    finally:
        ray.shutdown()
