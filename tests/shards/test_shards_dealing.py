from pathlib import Path

import pytest

from autointerp.job import JobResult, Silent
from autointerp.lmm.gateway import Tally
from autointerp.pipeline import Stop
from autointerp.schema import Usage
from autointerp.settings import EngineSettings, FeatureSelection
from autointerp.shards.dealing import Board, Report, n_pieces


class Counted(Silent):
    """Counts the features that are through."""

    def __init__(self) -> None:
        self.through = {False: 0, True: 0}

    def advance(self, *, failed: bool) -> None:
        self.through[failed] += 1


def board_of(progress: Counted) -> Board:
    return Board(EngineSettings(), progress, Stop(), JobResult(Path("run"), selected=10, before=0))


def tally(requests: int) -> Tally:
    return Tally(requests=requests, answered=requests, usage=Usage(input_tokens=100 * requests, calls=requests))


def ended(*, before: int, done: int, failed: int, requests: int) -> JobResult:
    return JobResult(Path("part"), 5, before, done=done, failed=failed, tally=tally(requests))


def test_what_two_processes_report_is_summed():
    board = board_of(Counted())

    board.heard(0, Report(tally=tally(3), in_flight=2, limit=16.0, done=2))
    board.heard(1, Report(tally=tally(4), in_flight=1, limit=8.0, done=3))

    assert (board.tally.requests, board.tally.usage.input_tokens) == (7, 700)
    assert (board.limiter.in_flight, board.limiter.limit) == (3, 24.0)


def test_a_report_that_comes_after_the_end_counts_no_more():
    board = board_of(Counted())
    board.ended(0, ended(before=0, done=5, failed=0, requests=5))

    board.heard(0, Report(tally=tally(4), done=4))

    assert board.tally.requests == 5


def test_features_that_cannot_be_explained_are_through_and_summed_by_why():
    progress = Counted()
    board = board_of(progress)
    for shard, why in enumerate(("never fired", "never fired", "no images in the dump")):
        part = ended(before=0, done=1, failed=0, requests=1)
        part.unexplainable[why] += 1
        board.ended(shard, part)

    board.fold()

    assert board.result.unexplainable == {"never fired": 2, "no images in the dump": 1}
    assert (board.result.done, progress.through) == (3, {False: 6, True: 0})


def test_the_features_of_a_lost_process_are_counted_once():
    progress = Counted()
    board = board_of(progress)
    board.heard(0, Report(tally=tally(3), done=3))
    board.lost(0)
    board.heard(0, Report(tally=tally(1), before=3, done=1))
    board.ended(0, ended(before=3, done=2, failed=0, requests=2))

    board.fold()

    assert progress.through == {False: 5, True: 0}
    assert board.result.done == 5
    assert board.result.tally.requests == 5


def test_of_a_shard_that_is_begun_again_only_the_last_end_counts():
    board = board_of(Counted())
    board.ended(0, ended(before=0, done=2, failed=3, requests=5))
    board.ended(0, ended(before=2, done=2, failed=1, requests=3))

    board.fold()

    assert (board.result.done, board.result.failed, board.result.tally.requests) == (4, 1, 8)


@pytest.mark.parametrize(
    ("features", "size", "concurrency", "pieces"),
    [(10_000, 4, 64, 16), (100, 4, 64, 6), (6, 2, 64, 2), (0, 2, 1, 2)],
)
def test_no_shard_has_fewer_features_than_its_process_may_have_in_flight(
    features: int, size: int, concurrency: int, pieces: int
):
    assert n_pieces(features, size, concurrency) == pieces


def test_a_choice_of_features_means_the_same_in_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)

    assert [FeatureSelection(f) for f in ("0-5", (3, 1), "@list.txt")] == ["0-5", "3,1", f"@{tmp_path}/list.txt"]


def test_of_several_servers_the_fewest_that_a_process_sees_up_are_shown():
    board = board_of(Counted())

    board.heard(0, Report(endpoints=(3, 3)))
    board.heard(1, Report(endpoints=(2, 3)))

    assert board.limiter.endpoints == (2, 3)
