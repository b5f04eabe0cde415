"""The commands that can be recorded for a batch job."""

from autointerp.commands.calibrate import Calibrate
from autointerp.commands.explain import Explain
from autointerp.commands.score import Score
from autointerp.jobs import calibrate as calibrating
from autointerp.jobs import explain as explaining
from autointerp.jobs import score as scoring
from autointerp.jobs.batch.plan import Kind

KINDS = {
    "calibrate": Kind(Calibrate, calibrating.run, calibrating.models),
    "explain": Kind(Explain, explaining.run, explaining.models),
    "score": Kind(Score, scoring.run, scoring.models),
}
"""By name; a stage of a batch job is one of them."""
