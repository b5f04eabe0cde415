"""The three domains of HypoSpace: each fast validator against a slow, obvious enumeration, and cases done by hand."""

from itertools import combinations, permutations, product

import numpy as np
import pytest

from benchmarks.ips.many.boolean import Boolean, expressions, parsed
from benchmarks.ips.many.causal import EDGES, LETTERS, Causal, observed
from benchmarks.ips.many.domains import SIZES, Domain, Question, near, outcomes, starting_logits
from benchmarks.ips.many.voxels import Voxels, floating, seen_from_above
from benchmarks.ips.methods import INVALID
from benchmarks.ips.tabular import softmax


def admissible(domain: Domain, question: Question) -> set[object]:
    """What the table takes for admissible, by meaning."""
    all_ = domain.hypotheses(question)
    fits = outcomes(all_, question) != INVALID
    return {domain.outcome(t, question) for t, yes in zip(all_.texts, fits, strict=True) if yes}


def acyclic_graphs(nodes: str) -> list[set[tuple[str, str]]]:
    """All of them: whatever some order of the nodes allows."""
    found: dict[frozenset[tuple[str, str]], None] = {}
    for order in permutations(nodes):
        forward = list(combinations(order, 2))
        for kept in product((False, True), repeat=len(forward)):
            found[frozenset(e for e, yes in zip(forward, kept, strict=True) if yes)] = None
    return [set(graph) for graph in found]


def moved_by(graph: set[tuple[str, str]], node: str) -> set[str]:
    """Nodes downstream, one step after another."""
    out: set[str] = set()
    waiting = [node]
    while waiting:
        here = waiting.pop()
        for a, b in graph:
            if a == here and b not in out:
                out.add(b)
                waiting.append(b)
    return out


def test_the_slow_enumeration_finds_the_known_numbers_of_acyclic_graphs():
    # Robinson's numbers; the published data of the benchmark have 3 graphs on two nodes.
    assert [len(acyclic_graphs("ABCD"[:n])) for n in (1, 2, 3, 4)] == [1, 3, 25, 543]


@pytest.mark.parametrize("size", SIZES)
def test_admissible_graphs_are_those_of_the_slow_enumeration(size: int):
    domain = Causal()
    question = domain.draw(size, np.random.default_rng(size))
    words = question.prompt.replace("none", "").split(" ;")[:-1]
    seen = {w.split()[1]: set(w.split()[3:]) for w in words}

    slow = {
        frozenset(f"{a}>{b}" for a, b in g)
        for g in acyclic_graphs(LETTERS)
        if all(moved_by(g, node) == moved for node, moved in seen.items())
    }

    assert admissible(domain, question) == slow
    assert near(len(slow), size)


def test_a_chain_moves_what_is_downstream_and_a_cycle_is_no_hypothesis():
    # A moves B, C and D: the chain A > B > C > D does, and so does A alone with three edges; a cycle does not count.
    reach = np.zeros((4, 4), bool)
    reach[0, 1:] = True
    question = observed(reach, [0])

    def judged(*edges: str) -> bool:
        return Causal().outcome(edges, question) is not None

    assert question.prompt == "perturb A moves B C D ;"
    assert judged("A>B", "B>C", "C>D")
    assert judged("C>D", "A>B", "B>C")
    assert judged("A>D", "A>C", "A>B")
    assert not judged("A>B", "B>C")
    assert not judged("A>B", "B>C", "C>D", "D>B")
    assert not judged("A>B", "A>B", "A>C", "A>D")
    assert not judged("A>B", "none", "A>C", "A>E")


def test_edges_in_another_order_are_the_same_outcome():
    question = observed(np.zeros((4, 4), bool), [3])

    assert Causal().outcome(["A>B", "B>C"], question) == Causal().outcome(["B>C", "A>B"], question)
    assert Causal().outcome(["none"], question) == frozenset()
    assert len(EDGES) == 12


def structures(side: int, height: int) -> list[np.ndarray]:
    """Every filling of a small grid, block by block."""
    cells = side * side
    every = product((False, True), repeat=height * cells)
    return [np.array(bits).reshape(height, cells) for bits in every]


def falls(blocks: np.ndarray) -> bool:
    """Whether some block has nothing below it."""
    height, cells = blocks.shape
    return any(blocks[z, c] and not blocks[z - 1, c] for z in range(1, height) for c in range(cells))


def test_floating_blocks_are_counted_as_looking_at_each_block_counts_them():
    every = np.stack(structures(2, 3))

    assert ((floating(every) > 0) == np.array([falls(b) for b in every])).all()


@pytest.mark.parametrize("size", SIZES)
def test_admissible_structures_are_those_of_the_slow_enumeration(size: int):
    domain = Voxels()
    question = domain.draw(size, np.random.default_rng(size))
    view = question.prompt.replace(" ", "")

    slow: set[object] = set()
    for heights in product(range(4), repeat=view.count("1")):
        column = iter(heights)
        tall = [next(column) if c == "1" else 0 for c in view]
        if all((h > 0) == (c == "1") for h, c in zip(tall, view, strict=True)):
            layers = ("".join("1" if h > z else "0" for h in tall) for z in range(3))
            slow.add(" ".join(layer[i : i + 3] for layer in layers for i in (0, 3, 6)))

    assert admissible(domain, question) == slow
    assert len(slow) == size


def test_one_block_seen_from_above_is_one_to_three_high():
    # The published data of the benchmark: a view of one cell on a grid of three by three has three structures.
    view = np.zeros(9, bool)
    view[1] = True
    question = seen_from_above(view)
    ground = ("010", "000", "000")
    empty = ("000", "000", "000")

    def judged(*layers: tuple[str, ...]) -> bool:
        return Voxels().outcome([row for layer in layers for row in layer], question) is not None

    assert question.prompt == "010 000 000"
    assert judged(ground, empty, empty)
    assert judged(ground, ground, empty)
    assert judged(ground, ground, ground)
    assert not judged(empty, ground, empty)
    assert not judged(ground, empty, ground)
    assert not judged(empty, empty, empty)
    assert not judged(("011", "000", "000"), empty, empty)
    assert not judged(ground, empty)


def spelled(words: list[str]) -> tuple[str, list[str]]:
    """An expression as Python, and the words that are left."""
    first, rest = words[0], words[1:]
    if first in ("x", "y", "z"):
        return first, rest
    one, rest = spelled(rest)
    if first == "NOT":
        return f"(not {one})", rest
    other, rest = spelled(rest)
    joined = f"({one} {'and' if first == 'AND' else 'or'} {other})"
    return (f"(not {joined})" if first == "NOR" else joined), rest


@pytest.mark.parametrize("size", SIZES)
def test_admissible_mechanisms_are_those_that_python_evaluates_to_what_was_seen(size: int):
    domain = Boolean()
    question = domain.draw(size, np.random.default_rng(size))
    seen = [row.split() for row in question.prompt.split(" ;")[:-1]]
    rows = [({"x": int(x), "y": int(y), "z": int(z)}, out == "1") for x, y, z, out in seen]

    slow: set[object] = set()
    for words in expressions(("x", "y", "z"), 2):
        code = compile(spelled(list(words))[0], "expression", "eval")
        if all(bool(eval(code, {}, values)) == out for values, out in rows):
            slow.add(parsed(words, 2)[0])

    assert admissible(domain, question) == slow
    assert near(len(slow), size)


def test_there_are_seven_mechanisms_of_two_inputs_one_deep_as_published():
    two = {parsed(words, 1)[0] for words in expressions(("x", "y"), 1)}

    assert len(two) == 7


def test_order_repetition_and_brackets_within_and_do_not_matter_and_not_of_not_does():
    def mechanism(text: str) -> object:
        return parsed(text.split(), 2)[0]

    assert mechanism("AND x y") == mechanism("AND y x") == mechanism("AND x AND x y")
    assert mechanism("AND x AND y z") == mechanism("AND AND x y z")
    assert mechanism("OR x x") == mechanism("x")
    assert mechanism("NOR x x") == mechanism("NOT x")
    assert mechanism("NOT NOT x") != mechanism("x")
    assert mechanism("NOR x NOR y z") != mechanism("NOR NOR x y z")


def test_what_is_no_expression_or_nests_three_deep_is_no_hypothesis():
    question = Boolean().draw(81, np.random.default_rng(0))

    for text in ("", "AND x", "x y", "NOT NOT NOT x", "x AND y", "w"):
        assert Boolean().outcome(text.split(), question) is None


@pytest.mark.parametrize("domain", [Causal(), Voxels(), Boolean()], ids=lambda d: d.name)
def test_texts_of_a_table_are_read_as_the_table_judges_them(domain: Domain):
    chance = np.random.default_rng(1)
    question = domain.draw(9, chance)
    all_ = domain.hypotheses(question)
    found = outcomes(all_, question)

    for i in chance.choice(len(all_.texts), 60):
        assert (domain.outcome(all_.texts[i], question) is None) == (found[i] == INVALID)
        assert set(all_.texts[i]) <= set(domain.vocabulary) or domain.name == "voxels"
    longest = max(len(t) for t, own in zip(all_.texts, found, strict=True) if own != INVALID)
    assert longest <= domain.longest


def test_the_starting_policy_makes_each_misread_fact_rarer():
    domain, chance = Causal(), np.random.default_rng(0)
    question = domain.draw(27, chance)
    all_ = domain.hypotheses(question)

    p = np.mean([softmax(starting_logits(all_, question, chance)) for _ in range(20)], 0)
    right, one_wrong = ((all_.facts[:, question.seen] != question.values).sum(1) + all_.flaws == k for k in (0, 1))

    assert 0.15 < p[one_wrong].mean() / p[right].mean() < 0.3  # exp(-1.5) = .22
