"""What tasks on a cluster take of its nodes, and what they tell; without Ray, whose nodes tests/e2e has."""

import pickle
from collections.abc import Callable

import pytest

from autointerp.counting import Counting
from autointerp.errors import SettingsError
from autointerp.shards.builds import build
from autointerp.shards.ray_nodes import Takes, lacking
from autointerp.shards.ray_tasks import Board, Unfit, _Telling, at_work

GPU = Takes(cores=4, gpus=1, modules=("torch", "no_such_module"), extra="train")


class Remote:
    """A board whose methods are called as those of an actor."""

    def __init__(self) -> None:
        self.board = Board()

    def __getattr__(self, name: str) -> object:
        class Method:
            remote: Callable[..., None] = staticmethod(getattr(self.board, name))

        return Method


def counting(argument: int, progress: Counting) -> int:
    for done in range(argument + 1):
        progress.count("images run", done, argument)
    progress.note("a line")
    return 2 * argument


def failing(argument: str, progress: Counting) -> None:
    raise SettingsError(argument)


@pytest.fixture(autouse=True)
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was told has arrived."""
    monkeypatch.setattr(_Telling, "end", lambda telling: None)


def work(*of: object, board: Remote | None = None, own: str | None = None, modules: tuple[str, ...] = ()) -> object:
    return at_work(own or build(), modules, pickle.dumps(of), board or Remote(), 1)  # type: ignore[arg-type]


def test_a_task_returns_what_its_work_returns_and_tells_the_board():
    board = Remote()

    assert work(counting, 3, board=board) == 6
    assert board.board.read() == ([("images run", 3, 3)], ["a line"])
    assert board.board.read() == ([("images run", 3, 3)], [])


def test_a_task_returns_the_error_that_stopped_it():
    found = work(failing, "no such image")

    assert isinstance(found, SettingsError)
    assert str(found) == "no such image"


def test_the_board_adds_what_the_tasks_have_done():
    board = Board()
    board.count(0, "images run", 3, 10)
    board.count(1, "images run", 4, 8)
    board.count(0, "images run", 5, 10)
    board.count(0, "files read", 1, 1)

    assert board.read()[0] == [("images run", 9, 18), ("files read", 1, 1)]


def test_a_node_of_another_build_begins_nothing():
    found = work(failing, "begun", own="0.0.1 (build 00000000)")

    assert isinstance(found, Unfit)
    with pytest.raises(SettingsError, match="node n runs autointerp 9, this machine"):
        raise Unfit("n", "9", ()).problem(GPU)


def test_a_node_without_an_extra_is_named_with_what_it_lacks():
    found = work(failing, "begun", modules=("json", "no_such_module"))

    assert isinstance(found, Unfit)
    assert str(found.problem(GPU)).endswith(
        "lacks no_such_module of the extra `train`; run pip install '.[train]' in your checkout of autointerp, on "
        "every node"
    )
    assert lacking(("json", "no_such_module")) == ("no_such_module",)


@pytest.mark.parametrize(
    ("nodes", "line"),
    [
        ([{"CPU": 8.0}], "--device cuda: no node of the Ray cluster has a GPU; start one that has, or leave out "),
        ([{"CPU": 8.0}, {"CPU": 2.0, "GPU": 1.0}], "--cores 4: the largest node with a GPU of the Ray cluster has 2"),
        ([{"CPU": 8.0}, {"CPU": 4.0, "GPU": 1.0}], None),
    ],
)
def test_a_cluster_without_what_a_task_takes_is_told_before_it_waits_for_ever(
    nodes: list[dict[str, float]], line: str | None
):
    problem = GPU.nobody(nodes)

    assert (problem is None) == (line is None)
    assert line is None or str(problem).startswith(line)
