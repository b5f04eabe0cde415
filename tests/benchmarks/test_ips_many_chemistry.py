"""Molecules: what is read, what is worth what, and that wordings of one molecule are one outcome."""

from itertools import combinations

import pytest

pytest.importorskip("rdkit")
pytest.importorskip("selfies")

import selfies

from benchmarks.ips.many.chemistry import LONGEST, fingerprint, forget, internal_diversity, known, molecule, read


def symbols(smiles: str) -> tuple[str, ...]:
    return tuple(selfies.split_selfies(selfies.encoder(smiles)))


def test_paracetamol_has_its_published_quality_and_the_scaffold_of_benzene():
    found = read(symbols("CC(=O)Nc1ccc(O)cc1"))

    assert found is not None
    assert abs(found.rewards["QED"] - 0.595) < 0.001
    assert found.scaffold == "c1ccccc1"


def test_another_wording_of_a_molecule_is_the_same_smiles_and_scaffold():
    one, other = read(symbols("Oc1ccccc1C")), read(symbols("Cc1ccccc1O"))

    assert symbols("Oc1ccccc1C") != symbols("Cc1ccccc1O")
    assert one == other


def test_what_was_read_is_rated_anew_when_it_is_forgotten():
    one = read(symbols("Oc1ccccc1C"))

    assert read(symbols("Oc1ccccc1C")) is one
    forget()
    again = read(symbols("Oc1ccccc1C"))
    assert again == one
    assert again is not one


def test_a_molecule_without_a_ring_has_the_empty_scaffold_and_nothing_is_no_molecule():
    ethanol = molecule("CCO")

    assert ethanol is not None
    assert ethanol.scaffold == ""
    assert read(()) is None
    assert molecule("C1CC") is None


def test_diversity_is_one_less_the_shared_part_of_the_bits_over_all_pairs():
    smiles = ["CCO", "c1ccccc1O", "CCO", "CCN"]
    bits = [set(fingerprint(s).GetOnBits()) for s in smiles]
    shared = [len(a & b) / len(a | b) for a, b in combinations(bits, 2)]

    assert abs(internal_diversity(smiles) - (1 - sum(shared) / 6)) < 1e-12
    assert internal_diversity(["CCO", "CCO", "CCO"]) == 0
    assert internal_diversity(["CCO"]) == 0


@pytest.mark.slow
def test_the_molecules_to_begin_with_are_short_and_read_as_molecules():
    rows = known()

    assert len(rows) == len(set(rows)) > 1000
    assert max(map(len, rows)) <= LONGEST
    assert all(read(row) is not None for row in rows[:50])
