import pickle

import pytest

from autointerp.errors import SettingsError
from autointerp.shards.builds import build, differing
from autointerp.shards.ray_engine import ShardWorker


def asked(*_: object, **__: object) -> object:
    raise AssertionError("the job was begun")


def test_nodes_that_run_the_same_program_are_no_fault():
    assert build() == build()
    assert differing([("10.0.0.1", build()), ("10.0.0.2", build())], build()) is None


def test_a_node_that_runs_another_program_is_named_with_both():
    other = differing(
        [("10.0.0.1", "0.2.0 (build 11111111)"), ("10.0.0.2", "0.1.0 (build 22222222)")], "0.2.0 (build 11111111)"
    )

    assert str(other) == (
        "--engine ray: node 10.0.0.2 runs autointerp 0.1.0 (build 22222222), this machine 0.2.0 (build 11111111); "
        "install the same on every node"
    )


def test_a_worker_on_a_node_that_has_come_later_begins_nothing_for_another_program():
    worker = ShardWorker(asked, None)  # type: ignore[arg-type]

    said = worker({"shard": [3], "build": ["0.0.1 (build 00000000)"], "order": [b"of another version"]})

    problem = pickle.loads(said["said"][0])  # type: ignore[arg-type]
    assert said["shard"] == [3]
    assert isinstance(problem, SettingsError)
    with pytest.raises(SettingsError, match=r"runs autointerp .*, this machine 0\.0\.1 \(build 00000000\)"):
        raise problem
