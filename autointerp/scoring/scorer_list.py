"""The scorers by name."""

from autointerp.scoring.case import Scorer
from autointerp.scoring.scorers.accuracy import accuracy
from autointerp.scoring.scorers.choice import choice
from autointerp.scoring.scorers.detection import detection
from autointerp.scoring.scorers.embedding import embedding
from autointerp.scoring.scorers.intruder import intruder
from autointerp.scoring.scorers.localisation import localisation
from autointerp.scoring.scorers.naming import naming
from autointerp.scoring.scorers.relevance import relevance

SCORERS: dict[str, Scorer] = {
    "detection": detection,
    "accuracy": accuracy,
    "relevance": relevance,
    "intruder": intruder,
    "choice": choice,
    "naming": naming,
    "localisation": localisation,
    "embedding": embedding,
}

TEMPLATES: dict[str, str] = {
    "intruder": "intruder",
    "choice": "choice",
    "naming": "naming",
    "localisation": "localisation",
}
"""Scorers that ask questions of their own, and the template in prompts/ that each fills."""
