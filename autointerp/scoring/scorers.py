"""The scorers by name."""

from autointerp.scoring.accuracy import accuracy
from autointerp.scoring.detection import detection
from autointerp.scoring.protocol import Scorer
from autointerp.scoring.relevance import relevance

SCORERS: dict[str, Scorer] = {"detection": detection, "accuracy": accuracy, "relevance": relevance}
