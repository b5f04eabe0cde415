"""Features that fire on no image: nothing to explain, and nothing that failed."""

import json
from pathlib import Path

from standin.commands import run
from standin.server import StandIn

from autointerp.dump.format import DumpInfo
from autointerp.dump.writer import DumpWriter
from autointerp.schema import FeatureRow


def test_dead_features_are_passed_over_and_counted(seer: StandIn, tmp_path: Path):
    info = DumpInfo(
        name="dead",
        created="2026-01-31T12:00:00+00:00",
        created_by="tests",
        model="m",
        hookpoint="h",
        n_latents=3,
        widths=(3,),
        n_images=10,
        active_above=0.0,
    )
    with DumpWriter(tmp_path / "dump", info) as writer:
        for number in range(3):
            writer.add_feature(FeatureRow(number, 3, 0, 0.0, None, None), ())

    model = ("--model", "seer", "--base-url", seer.url)
    result = run("explain", tmp_path / "dump", "--run", tmp_path / "run", *model, "--json")

    assert result.code == 0
    assert (json.loads(result.out)["dead"], json.loads(result.out)["failed"]) == (3, 0)
    assert seer.calls == []
