"""Molecules as SELFIES (arXiv 1905.13741), what they are worth, and what they have in common; needs rdkit and selfies.

The molecules to begin with are the first 5,000 of the National Cancer Institute's collection, which RDKit ships.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import selfies
from rdkit import Chem, DataStructs, RDConfig, RDLogger
from rdkit.Chem import QED, Crippen, rdFingerprintGenerator
from rdkit.Chem.Scaffolds import MurckoScaffold

RDLogger.DisableLog("rdApp.*")  # pyright: ignore[reportAttributeAccessIssue]
FILE = Path(RDConfig.RDDataDir) / "NCI" / "first_5K.smi"
SHORTEST, LONGEST = 6, 20
"""Symbols of a molecule."""
SEEN = 20
"""A symbol that fewer molecules have is left out, and they with it."""
LIPOPHILICITY, WIDTH = 4.0, 1.0
"""The property target: Crippen's logP at this, with this standard deviation of the reward's bell."""
BOUND = 0.7
"""Reward from which a molecule counts as good, for either target."""


class Molecule(NamedTuple):
    """What is known of a molecule."""

    smiles: str
    """Canonical."""
    scaffold: str
    """Bemis and Murcko's (1996), as canonical SMILES; empty for one without a ring."""
    rewards: Mapping[str, float]
    """By target, 0 to 1."""


TARGETS = ("QED", "logP 4")


@cache
def molecule(smiles: str) -> Molecule | None:
    """What RDKit makes of a SMILES; None where it is no molecule."""
    found = Chem.MolFromSmiles(smiles) if smiles else None
    if found is None or found.GetNumHeavyAtoms() == 0:
        return None
    drug_like = float(QED.qed(found))
    lipophilicity = Crippen.MolLogP(found)  # pyright: ignore[reportAttributeAccessIssue]
    bell = float(np.exp(-((lipophilicity - LIPOPHILICITY) ** 2) / (2 * WIDTH**2)))
    rewards = {"QED": drug_like, "logP 4": bell}
    return Molecule(Chem.MolToSmiles(found), MurckoScaffold.MurckoScaffoldSmiles(mol=found), rewards)


@cache
def read(symbols: tuple[str, ...]) -> Molecule | None:
    """The molecule that SELFIES symbols write; every sequence writes one, which may be empty."""
    try:
        return molecule(selfies.decoder("".join(symbols)))
    except selfies.DecoderError:
        return None


def forget() -> None:
    """Molecules that were read before are read and rated anew."""
    molecule.cache_clear()
    read.cache_clear()


@cache
def known() -> tuple[tuple[str, ...], ...]:
    """Symbols of the molecules to begin with: of one part, neutral, neither too short nor too long."""
    rows: list[tuple[str, ...]] = []
    for line in FILE.read_text().splitlines():
        found = Chem.MolFromSmiles(line.split()[0])
        if found is None or "." in (text := Chem.MolToSmiles(found, isomericSmiles=False)):
            continue
        try:
            symbols = tuple(selfies.split_selfies(selfies.encoder(text)))
        except selfies.EncoderError:
            continue
        if SHORTEST <= len(symbols) <= LONGEST:
            rows.append(symbols)
    often = Counter(s for row in rows for s in set(row))
    return tuple(dict.fromkeys(row for row in rows if all(often[s] >= SEEN for s in row)))


@cache
def fingerprint(smiles: str) -> DataStructs.ExplicitBitVect:
    """Morgan's, radius 2, 1,024 bits."""
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=1024)
    return generator.GetFingerprint(Chem.MolFromSmiles(smiles))


def internal_diversity(smiles: Sequence[str]) -> float:
    """One less the mean Tanimoto likeness of fingerprints over all pairs of samples, repeats among them."""
    if len(smiles) < 2:
        return 0.0
    prints = [fingerprint(s) for s in smiles]
    likeness = [sum(DataStructs.BulkTanimotoSimilarity(prints[i], prints[:i])) for i in range(1, len(prints))]
    return 1 - 2 * sum(likeness) / (len(prints) * (len(prints) - 1))
