"""How shards are dealt to actors; Ray is played by futures that the test settles."""

import pickle
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from autointerp.errors import AutointerpError, EndpointError, SettingsError
from autointerp.job import JobResult
from autointerp.pipeline import Stop
from autointerp.settings import EngineSettings
from autointerp.shards.builds import build
from autointerp.shards.ray_dealing import AGAIN, TRIES, Dealing, GivenUp
from autointerp.shards.ray_workers import DRAINED, Order
from autointerp.shards.shards import Shard

DONE = JobResult(Path(), 1, 0, done=1)


class RayError(Exception):
    """As Ray's, of which all others are."""


class RayTaskError(RayError):
    """What an actor did has ended in an error."""

    def __init__(self, cause: Exception) -> None:
        self.cause = cause


@dataclass(frozen=True, eq=False)
class Ref:
    """What an actor was asked; settled as soon as it is asked, or never."""

    number: int
    answer: object


@dataclass
class Actor:
    """One of the cluster's: `works` says what becomes of the shard that it is given."""

    name: int
    cluster: "Cluster"

    @property
    def runs(self) -> "Method":
        """Says what it runs."""
        return Method(lambda: self.cluster.ref(self.cluster.begins(self.name)))

    @property
    def work(self) -> "Method":
        """Works on a shard."""
        return Method(lambda packed: self.cluster.given(self.name, pickle.loads(packed)[1].shard.index))


@dataclass
class Method:
    """What a handle has."""

    remote: Callable


@dataclass
class Cluster:
    """Takes the place of the module `ray`."""

    works: Callable[[int, int], object]
    """What becomes of a shard, by the actor's name and the shard's number; an exception is raised."""
    begins: Callable[[int], object] = lambda name: (f"node-{name}", build())
    """What an actor says at first; an exception is raised, and None is never answered."""
    made: int = 0
    asked: list[tuple[int, int]] = field(default_factory=list)
    killed: list[int] = field(default_factory=list)
    refs: int = 0

    def make(self) -> Actor:
        self.made += 1
        return Actor(self.made - 1, self)

    def ref(self, answer: object) -> Ref:
        self.refs += 1
        return Ref(self.refs, answer)

    def given(self, name: int, shard: int) -> Ref:
        self.asked.append((name, shard))
        return self.ref(self.works(name, shard))

    def wait(self, refs: Sequence[Ref], timeout: float) -> tuple[list[Ref], list[Ref]]:
        # One at a time, the longest asked first.
        settled = sorted((ref for ref in refs if ref.answer is not None), key=lambda ref: ref.number)[:1]
        return settled, [ref for ref in refs if ref not in settled]

    def get(self, ref: Ref) -> object:
        if isinstance(ref.answer, RayError):
            raise ref.answer
        return ref.answer

    def kill(self, actor: Actor) -> None:
        self.killed.append(actor.name)


@pytest.fixture(autouse=True)
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray itself is neither needed nor loaded."""
    exceptions = ModuleType("ray.exceptions")
    exceptions.RayError, exceptions.RayTaskError = RayError, RayTaskError  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ray.exceptions", exceptions)


def deal(
    monkeypatch: pytest.MonkeyPatch, cluster: Cluster, shards: int, size: int, stop: Stop | None = None
) -> tuple[AutointerpError | None, list[tuple[int, object]]]:
    """What stopped all, and what was said of each shard in turn."""
    monkeypatch.setitem(sys.modules, "ray", cluster)  # type: ignore[arg-type]
    heard: list[tuple[int, object]] = []
    orders = [Order(Shard(i, shards, np.arange(1)), EngineSettings(), None) for i in range(shards)]
    dealing = Dealing(
        print,  # type: ignore[arg-type]
        orders,
        cluster.make,  # type: ignore[arg-type]
        size,
        hear=lambda shard, said: heard.append((shard.index, said)),
        say=lambda text: None,
        halt=lambda reason: None,
        stop=stop or Stop(),
    )
    return dealing.run(), heard


def test_each_shard_is_worked_on_once_by_no_more_actors_than_asked_for(monkeypatch: pytest.MonkeyPatch):
    cluster = Cluster(lambda name, shard: DONE)

    problem, heard = deal(monkeypatch, cluster, 5, 2)

    assert problem is None
    assert sorted(shard for shard, _ in heard) == [0, 1, 2, 3, 4]
    assert cluster.made == 2
    assert sorted(cluster.killed) == [0, 1]


def test_an_actor_that_is_free_takes_a_lost_ones_shard_though_no_core_is_left(monkeypatch: pytest.MonkeyPatch):
    cluster = Cluster(
        lambda name, shard: RayError() if name == 1 else DONE,
        lambda name: (f"node-{name}", build()) if name < 2 else None,
    )

    problem, heard = deal(monkeypatch, cluster, 4, 2)

    assert problem is None
    assert [said for _, said in heard].count(AGAIN) == 1
    assert sorted(shard for shard, said in heard if said is DONE) == [0, 1, 2, 3]
    assert {name for name, _ in cluster.asked[2:]} == {0}


def test_a_shard_that_is_handed_back_goes_to_another_and_counts_as_no_loss(monkeypatch: pytest.MonkeyPatch):
    back = JobResult(Path(), 1, 0, stopped=DRAINED)
    cluster = Cluster(lambda name, shard: back if name < 2 * TRIES else DONE)

    problem, heard = deal(monkeypatch, cluster, 1, 1)

    assert problem is None
    assert [said for _, said in heard] == [AGAIN] * 2 * TRIES + [DONE]
    # Its node ends once no actor is on it.
    assert cluster.killed[: 2 * TRIES] == list(range(2 * TRIES))


def test_a_shard_that_loses_worker_after_worker_is_given_up_and_the_others_are_not(monkeypatch: pytest.MonkeyPatch):
    cluster = Cluster(lambda name, shard: RayError() if shard == 1 else DONE)

    problem, heard = deal(monkeypatch, cluster, 3, 1)

    assert problem is None
    assert len([shard for _, shard in cluster.asked if shard == 1]) == TRIES
    assert heard[-1] == (2, DONE)
    assert (1, GivenUp("its workers were lost")) in heard


def test_a_bug_over_one_shard_is_told_and_does_not_end_the_others(monkeypatch: pytest.MonkeyPatch):
    cluster = Cluster(lambda name, shard: RayTaskError(KeyError("x")) if shard == 0 else DONE)

    problem, heard = deal(monkeypatch, cluster, 2, 1)

    assert problem is None
    assert heard == [(0, GivenUp("its worker met a bug: KeyError('x')")), (1, DONE)]
    assert cluster.made == 1


def test_a_worker_that_lost_touch_with_the_cluster_is_replaced(monkeypatch: pytest.MonkeyPatch):
    cluster = Cluster(lambda name, shard: RayTaskError(RayError()) if name == 0 else DONE)

    problem, heard = deal(monkeypatch, cluster, 1, 1)

    assert (problem, heard) == (None, [(0, AGAIN), (0, DONE)])
    assert cluster.killed[0] == 0


def test_what_stops_one_worker_stops_all(monkeypatch: pytest.MonkeyPatch):
    refused = SettingsError("no key")
    cluster = Cluster(lambda name, shard: refused)

    problem, heard = deal(monkeypatch, cluster, 3, 1)

    assert problem is refused
    assert heard == [(0, refused)]


def test_after_a_wish_to_stop_nothing_is_begun(monkeypatch: pytest.MonkeyPatch):
    stop = Stop()

    def works(name: int, shard: int) -> JobResult:
        stop.ask("interrupted")
        return DONE

    problem, heard = deal(monkeypatch, Cluster(works), 3, 1, stop)

    assert (problem, heard) == (None, [(0, DONE)])


def test_a_node_of_another_program_is_one_line_and_gets_no_shard(monkeypatch: pytest.MonkeyPatch):
    cluster = Cluster(lambda name, shard: DONE, lambda name: ("node-7", "0.0.1 (build 00000000)"))

    problem, heard = deal(monkeypatch, cluster, 2, 1)

    assert str(problem).startswith("--engine ray: node node-7 runs autointerp 0.0.1 (build 00000000), this machine ")
    assert (heard, cluster.asked) == ([], [])


def test_workers_that_never_begin_are_one_line(monkeypatch: pytest.MonkeyPatch):
    cluster = Cluster(lambda name, shard: DONE, lambda name: RayError("no such module"))

    problem, _ = deal(monkeypatch, cluster, 2, 1)

    assert isinstance(problem, EndpointError)
    assert str(problem) == "--engine ray: no worker can be begun: no such module"
    assert cluster.made == TRIES
