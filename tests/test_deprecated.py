"""Functions by their former names still do what they did, and say what to call instead."""

from pathlib import Path

import pytest
from standin.planted import plant

import autointerp
from autointerp.jobs.batch.plan import planned


def test_what_was_recorded_by_a_former_name_is_recorded_and_the_successor_is_named(tmp_path: Path):
    dump, run = plant(tmp_path / "dump").folder, tmp_path / "run"

    with pytest.warns(DeprecationWarning, match=r"call autointerp\.explain\(…, batch=True\)"):
        autointerp.batch_explain(dump, run, model="seer", features="0")
    with pytest.warns(DeprecationWarning, match=r"call autointerp\.score\(…, batch=True\)"):
        autointerp.batch_score(run, judge="seer")
    with pytest.warns(DeprecationWarning, match=r"call autointerp\.calibrate\(…, batch=True\)"):
        autointerp.batch_calibrate("seer", out=run / "seer.json")

    assert planned(run) == ("calibrate", "explain", "score")
