"""The scorers by name, as reports list them."""

from collections.abc import Mapping

from autointerp.scoring.case import Scorer
from autointerp.scoring.scorers.accuracy import ACCURACY
from autointerp.scoring.scorers.causal import CAUSAL
from autointerp.scoring.scorers.choice import CHOICE
from autointerp.scoring.scorers.detection import DETECTION
from autointerp.scoring.scorers.embedding import EMBEDDING
from autointerp.scoring.scorers.generation import GENERATION
from autointerp.scoring.scorers.intruder import INTRUDER
from autointerp.scoring.scorers.localisation import LOCALISATION
from autointerp.scoring.scorers.naming import NAMING
from autointerp.scoring.scorers.relevance import RELEVANCE

SCORERS: Mapping[str, Scorer] = {
    s.name: s
    for s in (
        DETECTION,
        CHOICE,
        NAMING,
        RELEVANCE,
        ACCURACY,
        LOCALISATION,
        INTRUDER,
        EMBEDDING,
        CAUSAL,
        GENERATION,
    )
}
