"""Takes other methods' descriptions into a run, so that they are scored as our own explanations are."""

import time
from pathlib import Path

import numpy as np

from autointerp.clock import now
from autointerp.dump.reader import Dump
from autointerp.errors import SettingsError
from autointerp.job import JobResult, named_dump, reference, refuse_overlap
from autointerp.prompts import plain
from autointerp.remote.path import Location
from autointerp.runs.descriptions import Foreign, open_foreign
from autointerp.runs.folder import RunWriter
from autointerp.runs.index import holds
from autointerp.runs.info import FOREIGN, ExplainStage, RunInfo
from autointerp.schema import Explanation, Usage
from autointerp.settings import ExplainSettings, ModelName, ModelSettings
from autointerp.version import __version__


def adopt(
    explanations: str | Path,
    dump: Location,
    run: str | Path,
    *,
    layer: str | None = None,
    allow_outside: bool = False,
) -> JobResult:
    """Writes a run whose explanations are the descriptions of another tool; done again, it adds what is missing.

    Args:
        explanations: a file as the tool wrote it, or the folder of several; or a table of the columns feature and text.
            docs/bring-your-own.md lists the tools.
        dump: folder of the feature dump that they are of.
        run: folder of the run, made if missing.
        layer: which layer, model or explainer of the file, if it has several.
        allow_outside: as for `explain`.

    Raises:
        SettingsError: the file cannot be read or used; the message names the line.
        DumpError: the dump cannot be read.
        RunError: the folder holds another run, or the file is not as it was.
    """
    started = time.monotonic()
    refuse_overlap(dump, run)
    opened = named_dump(dump, allow_outside=allow_outside)
    foreign = open_foreign(Path(explanations), layer=layer, n_latents=opened.info.n_latents)
    chosen = np.intersect1d(foreign.features, opened.feature_ids)
    if not len(chosen):
        raise SettingsError(
            f"{explanations}: none of its {len(foreign.features):,} features is in {dump}; "
            "give the dump that the descriptions are of"
        )
    with RunWriter(Path(run), _info(opened, foreign)) as writer:
        left = np.setdiff1d(chosen, writer.run.index().features)
        result = JobResult(run=Path(run), selected=len(chosen), before=len(chosen) - len(left))
        for described in foreign.descriptions:
            if holds(left, described.feature):
                writer.explanation(_explanation(foreign, described.feature, described.text))
                result.done += 1
    result.notes += _notes(foreign, len(foreign.features) - len(chosen))
    result.seconds = time.monotonic() - started
    return result


def _info(dump: Dump, foreign: Foreign) -> RunInfo:
    stage = ExplainStage(
        model=ModelSettings(model=ModelName(foreign.name)),
        settings=ExplainSettings(),
        prompts={FOREIGN: foreign.digest[:12]},
    )
    return RunInfo(version=__version__, created=now(), dump=reference(dump), explain=stage)


def _explanation(foreign: Foreign, feature: int, text: str) -> Explanation:
    return Explanation(
        feature=feature,
        text=plain(text),
        concepts=(),
        none=False,
        model=foreign.name,
        prompt=foreign.digest[:12],
        images=(),
        usage=Usage(),
        created=now(),
    )


def _notes(foreign: Foreign, absent: int) -> list[str]:
    notes = [
        f"which images {foreign.method} looked at is not known, so none could be held out: its scores may be too high"
    ]
    if foreign.empty:
        notes.append(f"passed over: {foreign.empty:,} without a description in the file")
    if foreign.further:
        notes.append(f"passed over: {foreign.further:,} further texts of features whose first one is taken")
    if absent:
        notes.append(f"passed over: {absent:,} described but not in the dump")
    return notes
