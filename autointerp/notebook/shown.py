"""Which record is shown by what."""

from functools import singledispatch

from autointerp.dump.reader import Dump
from autointerp.notebook.dump import of_dump
from autointerp.notebook.records import of_explanation, of_feature, of_score
from autointerp.notebook.run import of_run
from autointerp.runs.folder import Run
from autointerp.schema import Explanation, Feature, Scored, Unscored


@singledispatch
def html_of(record: object) -> str:
    """The HTML of a record that is `Shown`."""
    raise NotImplementedError(type(record).__name__)


html_of.register(Dump, of_dump)
html_of.register(Explanation, of_explanation)
html_of.register(Feature, of_feature)
html_of.register(Run, of_run)
html_of.register(Scored, of_score)
html_of.register(Unscored, of_score)
