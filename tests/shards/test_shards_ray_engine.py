import numpy as np

from autointerp.settings import Budget, EngineSettings
from autointerp.shards.dealing import Report
from autointerp.shards.ray_engine import Begin, Mailbox, Order, _orders
from autointerp.shards.shards import Shard


def test_who_begins_a_shard_learns_what_a_lost_worker_spent_on_it():
    mailbox = Mailbox()

    first = mailbox.begin(3)
    mailbox.tell(3, Report(spent=20))
    second = mailbox.begin(3)
    mailbox.tell(3, Report(spent=5))
    third = mailbox.begin(3)

    assert [first, second, third] == [Begin(None, 0, 0), Begin(None, 1, 20), Begin(None, 2, 25)]


def test_reports_are_read_once():
    mailbox = Mailbox()
    mailbox.tell(1, Report(done=1))
    mailbox.tell(1, Report(done=2))

    assert mailbox.read() == {1: Report(done=2)}
    assert mailbox.read() == {}


def test_the_wish_to_stop_reaches_whoever_reports_or_begins():
    mailbox = Mailbox()

    before = mailbox.tell(1, Report())
    mailbox.halt("interrupted")
    mailbox.halt("later")

    assert (before, mailbox.tell(1, Report()), mailbox.begin(2).halted) == (None, "interrupted", "interrupted")


def test_a_shard_keeps_to_its_share_of_the_budget_over_all_who_work_on_it():
    order = Order(Shard(0, 1, np.arange(2)), EngineSettings(budget="9 tokens"), Budget.of(100, "tokens"))

    assert [order.left(spent).budget for spent in (0, 30, 100)] == ["100 tokens", "70 tokens", "1 tokens"]


def test_what_earlier_waves_spent_is_not_dealt_again():
    shards = [Shard(i, 4, np.arange(5)) for i in range(4)]

    second = list(_orders(shards, EngineSettings(budget="1000 tokens"), 2, 600.0))
    third = list(_orders(shards, EngineSettings(budget="1000 tokens"), 2, 1000.0))

    assert [order.left(0).budget for order in second] == ["100 tokens"] * 4
    assert [order.left(0).budget for order in third] == ["1 tokens"] * 4


def test_whichever_shards_are_worked_on_at_once_keep_to_the_ceiling():
    shards = [Shard(i, 4, np.arange(5)) for i in range(4)]

    orders = list(_orders(shards, EngineSettings(concurrency=3), 2, 0.0))

    assert [order.engine.concurrency for order in orders] == [1, 1, 1, 1]
