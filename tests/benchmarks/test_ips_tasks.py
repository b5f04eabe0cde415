"""The causal and the Boolean task: what is well formed, what is admissible, what counts as one outcome."""

import numpy as np
import torch

from benchmarks.ips.figures import estimate
from benchmarks.ips.hypotheses import AND, NOT, OR, PAD, Boolean, Causal, descendants, graphs, shortest, truth_tables
from benchmarks.ips.methods import GRPO, INVALID, IPS
from benchmarks.ips.policy import Lessons, Policies, train, write

X, Y, Z = 0, 1, 2


def formula(*tokens: int) -> np.ndarray:
    return np.array([[[*tokens, *[PAD] * (9 - len(tokens))]]])


def test_there_are_543_acyclic_graphs_on_four_nodes():
    assert len(graphs()) == 543


def test_descendants_are_followed_through_other_nodes():
    # Edges 0 → 1 and 1 → 2, which are the first and the fifth of the pairs.
    edges = np.array([1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0])

    assert np.argwhere(descendants(edges)).tolist() == [[0, 1], [0, 2], [1, 2]]


def test_truth_tables_of_formulas_in_prefix_notation():
    assert truth_tables(formula(X)).item() == 0b11110000
    assert truth_tables(formula(NOT, X)).item() == 0b00001111
    assert truth_tables(formula(AND, X, OR, Y, NOT, Z)).item() == 0b11010000


def test_two_wordings_of_one_function_are_one_outcome_and_two_texts():
    task = Boolean(1, 0, 0)

    one, other = task.judge(formula(AND, X, Y)), task.judge(formula(AND, Y, X))

    assert one.outcomes.item() == other.outcomes.item() == 0b11000000
    assert one.texts.item() != other.texts.item()


def test_every_function_that_nine_tokens_write_is_counted_and_no_other():
    chance, task = np.random.default_rng(0), Boolean(1, 0, 0)
    written = np.zeros((1, 20_000, 0), np.int64)
    for _ in range(task.length):
        allowed = task.allowed(written)
        drawn = np.argmax(np.where(allowed, chance.random(allowed.shape), -1), -1)
        written = np.concatenate([written, drawn[..., None]], -1)

    assert set(np.unique(truth_tables(written))) <= set(np.flatnonzero(shortest() <= 9))
    assert shortest()[[0b11110000, 0b00001111, 0b11000000]].tolist() == [1, 2, 3]


def test_policies_write_only_well_formed_hypotheses_and_their_validity_is_judged():
    causal = Causal(4, 0, (10, 60))
    generator = torch.Generator().manual_seed(0)

    group = write(Policies(4, causal.n_tokens, generator), causal, 4, 64, generator)
    outcomes = causal.judge(group.tokens).outcomes

    cyclic = np.diagonal(descendants(group.tokens), axis1=-2, axis2=-1).any()
    assert not cyclic
    assert {len(graphs()) > o >= INVALID for o in outcomes.ravel().tolist()} == {True}
    assert all(causal.admissible[i, o] for i, row in enumerate(outcomes) for o in row if o != INVALID)


def test_ips_finds_more_of_what_is_admissible_than_grpo():
    torch.set_num_threads(1)
    task, lessons = Causal(32, 0, (10, 60)), Lessons(16, 60, 0.01)
    kept: dict[str, np.ndarray] = {}

    for method in (GRPO, IPS):
        shares = train(task, 32, method, lessons, seed=1)
        kept[method.name] = (shares > 0.01).sum(1) / task.admissible.sum(1)

    assert estimate(kept["GRPO"]).high < estimate(kept["IPS-GRPO"]).low
