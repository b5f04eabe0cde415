"""`--image-uuids` against an endpoint that keeps pictures as vLLM does."""

from collections import OrderedDict
from pathlib import Path

import pytest
from standin.commands import Command
from standin.records import explanations
from standin.server import StandIn

DOMAIN = ("--domain", "physical-plausibility", "--n-shuffled", "0", "--features", "0-3")


@pytest.mark.parametrize("kept", [1000, 5])
def test_named_pictures_give_the_answers_that_sent_ones_give(
    explain: Command, seer: StandIn, tmp_path: Path, kept: int
):
    sent = explain(*DOMAIN, "--cache", tmp_path / "a", to="sent")
    assert seer.named == 0
    seer.store, seer.store_size = OrderedDict(), kept

    named = explain(*DOMAIN, "--cache", tmp_path / "b", "--image-uuids", to="named")

    assert (sent.code, named.code) == (0, 0)
    # The second pass shows the active pictures of the first one again, which a server that keeps few has dropped.
    assert (seer.named > 0) == (kept == 1000)
    before, after = (explanations(tmp_path / run) for run in ("sent", "named"))
    assert len(before) == 4
    assert {f: (e.text, e.domain) for f, e in before.items()} == {f: (e.text, e.domain) for f, e in after.items()}
