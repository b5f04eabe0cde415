from collections.abc import Callable, Mapping

import numpy as np
import pytest

from autointerp.settings import Budget, EngineSettings
from autointerp.shards.dealing import Report
from autointerp.shards.ray_engine import _orders, unreachable
from autointerp.shards.ray_workers import DRAINED, EVERY, Begin, Mailbox, Order
from autointerp.shards.shards import Shard


def mailbox_of(going: Mapping[str, int] | None = None, clock: Callable[[], float] = lambda: 0.0) -> Mailbox:
    """A mailbox of a cluster of which these nodes are about to be shut down."""
    return Mailbox(lambda: going or {}, clock)


def test_who_begins_a_shard_learns_what_a_lost_worker_spent_on_it():
    mailbox = mailbox_of()

    first = mailbox.begin(3, "a")
    mailbox.tell(3, "a", Report(spent=20))
    second = mailbox.begin(3, "b")
    mailbox.tell(3, "b", Report(spent=5))
    third = mailbox.begin(3, "a")

    assert [first, second, third] == [Begin(None, 0), Begin(None, 20), Begin(None, 25)]


def test_reports_are_read_once():
    mailbox = mailbox_of()
    mailbox.tell(1, "a", Report(done=1))
    mailbox.tell(1, "a", Report(done=2))

    assert mailbox.read() == {1: Report(done=2)}
    assert mailbox.read() == {}


def test_the_wish_to_stop_reaches_whoever_reports_or_begins():
    mailbox = mailbox_of()

    before = mailbox.tell(1, "a", Report())
    mailbox.halt("interrupted")
    mailbox.halt("later")

    assert (before, mailbox.tell(1, "a", Report())) == (None, "interrupted")
    assert mailbox.begin(2, "b").halted == "interrupted"


def test_only_workers_of_a_node_that_is_shut_down_are_told_and_the_cluster_is_asked_once_a_second():
    now, asked = [0.0], list[float]()

    def draining() -> Mapping[str, int]:
        asked.append(now[0])
        return {"b": 0} if now[0] else {}

    mailbox = Mailbox(draining, lambda: now[0])
    early = [mailbox.tell(n, node, Report()) for n, node in enumerate("abab")]
    now[0] = EVERY
    late = [mailbox.tell(n, node, Report()) for n, node in enumerate("abab")]

    assert (early, late) == ([None] * 4, [None, DRAINED] * 2)
    assert mailbox.begin(5, "b").halted == DRAINED
    assert asked == [0.0, EVERY]


def test_a_shard_keeps_to_its_share_of_the_budget_over_all_who_work_on_it():
    order = Order(Shard(0, 1, np.arange(2)), EngineSettings(budget="9 tokens"), Budget.of(100, "tokens"))

    assert [order.left(spent).budget for spent in (0, 30, 100)] == ["100 tokens", "70 tokens", "1 tokens"]


def test_what_earlier_waves_spent_is_not_dealt_again():
    shards = [Shard(i, 4, np.arange(5)) for i in range(4)]

    second = list(_orders(shards, EngineSettings(budget="1000 tokens"), 2, 600.0))
    third = list(_orders(shards, EngineSettings(budget="1000 tokens"), 2, 1000.0))

    assert [order.left(0).budget for order in second] == ["100 tokens"] * 4
    assert [order.left(0).budget for order in third] == ["1 tokens"] * 4


def refused() -> Exception:
    """What `ray.init` raises where the head refuses a token (Ray 2.60), and what that came of, shortened."""
    error = ConnectionError("Failed to connect to Ray cluster at 10.0.0.1:6379")
    error.__cause__ = RuntimeError(
        "Failed to connect to GCS. Last connection error: Traceback (most recent call last): … "
        "ray.exceptions.AuthenticationError: RPC error: InvalidAuthToken: Authentication token is missing or incorrect."
    )
    return error


def test_a_refused_token_is_told_from_a_cluster_that_is_not_there():
    none = str(unreachable("auto", refused(), {}))
    other = str(unreachable("auto", refused(), {"RAY_AUTH_MODE": "token"}))
    away = str(unreachable("auto", ConnectionError("Failed to connect\nto Ray"), {}))

    assert none.startswith(
        "--ray-address auto: the cluster asks for a token; set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN"
    )
    assert other.startswith(
        "--ray-address auto: the token of this command is not that of the cluster; set RAY_AUTH_MODE"
    )
    assert away == "--ray-address auto: no Ray cluster can be reached: Failed to connect to Ray"


def test_a_token_that_is_not_here_is_named_without_ray_s_advice():
    exceptions = pytest.importorskip("ray.exceptions")
    error = exceptions.AuthenticationError("RAY_AUTH_TOKEN_PATH is set but file cannot be opened or is empty: /x")

    away, here = (str(unreachable(address, error, {"RAY_AUTH_MODE": "token"})) for address in ("auto", None))

    fault = "RAY_AUTH_TOKEN_PATH is set but file cannot be opened or is empty: /x"
    assert away.startswith(f"--ray-address auto: {fault}; set RAY_AUTH_MODE=token")
    assert here == f"--engine ray: {fault}; correct it in the environment"


def test_whichever_shards_are_worked_on_at_once_keep_to_the_ceiling():
    shards = [Shard(i, 4, np.arange(5)) for i in range(4)]

    orders = list(_orders(shards, EngineSettings(concurrency=3), 2, 0.0))

    assert [order.engine.concurrency for order in orders] == [1, 1, 1, 1]
