"""`autointerp export`: a run in a form that other tools read."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from autointerp.options import Argument, Option, Work
from autointerp.settings import Location, OfRun

Form = Literal["csv", "parquet", "neuronpedia", "datasette", "site"]
MOST_PICTURES = 16


class Export(OfRun):
    """Write a run for other tools: a table, a SQLite file, a site, or Neuronpedia's upload.

    `csv` and `parquet` have one row a feature: the explanation, every score with its interval and controls, and what
    the dump says. `datasette` is a SQLite file with pictures and full-text search. `site` is a folder
    of static pages for any web server, which search in the browser. `neuronpedia` is a folder of bodies
    for its upload. docs/exports.md lists the columns and files.

    Example: `autointerp export runs/first --to parquet --out first.parquet`
    """

    to: Annotated[Form, Argument(option=True)]
    """The form: csv, parquet, neuronpedia, datasette or site."""
    out: Annotated[Path | None, Argument(option=True), Option(default="in RUN: features.csv, site, …")] = None
    """The file, or the folder of neuronpedia and site, that is written."""
    overwrite: bool = False
    """Replace what an earlier export wrote there."""
    pictures: Annotated[int, Field(ge=0, le=MOST_PICTURES)] = 8
    """With datasette and site, the most pictures of each feature."""
    title: str | None = None
    """With site, the title of the page; without it the name of the folder of the run."""
    model_id: str | None = None
    """With neuronpedia, the model that the features belong to, as it is named there."""
    source: str | None = None
    """With neuronpedia, the source that you made there for these features, such as 11-vision-sae-16k."""
    judge: Annotated[str | None, Option(default="all; with site the first one")] = None
    """Of a run that several judges scored, only the scores of this one; where it has several, as JUDGE@DIGEST."""
    dump: Annotated[Location | None, Option(panel="Files")] = None
    """Where the dump of the run is now, if it was moved; or its URL."""
    allow_outside: Annotated[bool, Option(panel="Files")] = False
    """Trust the image paths of the dump even where they leave its folder."""


export = Work(Export, "autointerp.jobs.export:run")
