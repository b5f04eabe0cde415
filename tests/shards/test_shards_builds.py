from autointerp.shards.builds import build, differing


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
