"""Features that can never be explained are settled: told of once, asked about never, and no failure of the run."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from standin.batches import BatchServer
from standin.commands import Command, run
from standin.planted import Population
from standin.records import explanations, failures
from standin.server import StandIn

from autointerp.errors import typed
from autointerp.unexplainable import NEVER_FIRED, NO_IMAGES, TOO_FEW

DEAD, GONE, SINGLE = (3, 4), 6, 9
SETTLED = {3: NEVER_FIRED, 4: NEVER_FIRED, GONE: NO_IMAGES, SINGLE: TOO_FEW}
LIVE = set(range(12)) - SETTLED.keys()
TOLD = (
    "4 features cannot be explained: 2 never fired, 1 has no images in the dump, "
    "1 has too few images to show one and hold one out"
)


@pytest.fixture(scope="session")
def scarce(planted: Population, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The planted dump, where 3 and 4 never fired, 6 has no images, 9 one of each stratum; not to be written to."""
    folder = tmp_path_factory.mktemp("scarce") / "dump"
    shutil.copytree(planted.folder, folder)
    features = pq.read_table(folder / "features.parquet").to_pylist()
    for row in features:
        if row["feature"] in DEAD:
            row.update(n_active=0, n_active_attribute=0, max_activation=0.0, histogram=None)
    schema = pq.read_schema(folder / "features.parquet")
    pq.write_table(pa.Table.from_pylist(features, schema=schema), folder / "features.parquet")
    rows = pq.read_table(folder / "exemplars.parquet").to_pylist()
    seen: set[str] = set()
    kept = []
    for row in rows:
        if row["feature"] in (*DEAD, GONE) or (row["feature"] == SINGLE and row["stratum"] in seen):
            continue
        if row["feature"] == SINGLE:
            seen.add(row["stratum"])
        kept.append(row)
    schema = pq.read_schema(folder / "exemplars.parquet")
    pq.write_table(pa.Table.from_pylist(kept, schema=schema), folder / "exemplars.parquet", row_group_size=50)

    return folder


def settled(folder: Path) -> dict[int, str]:
    """Why a feature is settled; each stands once."""
    found = [f for f in failures(folder) if f.kind == "unexplainable"]
    assert len({f.feature for f in found}) == len(found), "a feature is settled twice"
    assert {f.stage for f in found} <= {"explain"}
    return {f.feature: f.message for f in found}


def test_they_are_recorded_told_and_left_out_of_every_denominator(
    explain: Command, scarce: Path, seer: StandIn, tmp_path: Path
):
    said = explain(dump=scarce)

    assert said.code == 0
    assert said.out.startswith("explained 8 of 8 features in ")
    assert said.out.splitlines()[2:] == [TOLD, f"next: autointerp score {typed(tmp_path / 'run')}"]
    assert settled(tmp_path / "run") == SETTLED
    assert len(failures(tmp_path / "run")) == 4
    assert explanations(tmp_path / "run").keys() == LIVE
    assert len(seer.calls) == 8


def test_a_second_run_neither_asks_nor_writes_of_them_and_tells_the_same(
    explain: Command, scarce: Path, seer: StandIn, tmp_path: Path
):
    explain("--features", "2-6", dump=scarce)
    before = (tmp_path / "run" / "failures.jsonl").read_bytes()
    asked = len(seer.calls)

    again = json.loads(explain("--features", "2-6", "--json", dump=scarce).out)

    assert (again["selected"], again["before"], again["done"], again["failed"], again["dead"]) == (5, 2, 0, 0, 2)
    assert again["unexplainable"] == {NEVER_FIRED: 2, NO_IMAGES: 1}
    assert (tmp_path / "run" / "failures.jsonl").read_bytes() == before
    assert len(seer.calls) == asked


def test_beside_a_failure_only_that_one_is_pending(explain: Command, scarce: Path, seer: StandIn, tmp_path: Path):
    seer.text_of = lambda *_: "prose"

    said = explain("--features", "2-4", dump=scarce)
    told = json.loads(run("status", tmp_path / "run", "--json").out)

    assert said.code == 1
    assert "1 feature failed and stays pending" in said.out
    assert told["pending"] == {"explain: malformed": 1}
    assert told["unexplainable"] == {NEVER_FIRED: 2}


def test_status_score_and_report_tell_of_them_in_a_count_of_their_own(explain: Command, scarce: Path, tmp_path: Path):
    explain(dump=scarce)

    scored = run("score", tmp_path / "run", "--scorers", "accuracy", "--concurrency", "8", "--json")
    status = run("status", tmp_path / "run")
    run("report", tmp_path / "run")

    assert (json.loads(scored.out)["selected"], scored.code) == (8, 0)
    assert f"  settled     {TOLD}\n" in status.out
    assert "pending" not in status.out
    page = (tmp_path / "run" / "report.html").read_text()
    assert "<dt>Cannot be explained</dt><dd><b>4</b>" in page
    assert "<dt>Failed</dt><dd><b>0</b>" in page
    assert "<dt>Not yet explained</dt><dd><b>0</b>" in page
    assert "All 8 features have a row and a card." in page
    assert "Nothing failed." in page


def test_scoring_where_none_can_be_explained_says_so(explain: Command, scarce: Path, tmp_path: Path):
    said = explain("--features", "3,6", dump=scarce)
    scored = run("score", tmp_path / "run", "--features", "3,6")

    assert said.out.splitlines()[0].startswith("explained 0 of 0 features in ")
    assert "next:" not in said.out
    assert (
        "none of the chosen features is explained yet; "
        "2 features cannot be explained: 1 never fired, 1 has no images in the dump"
    ) in scored.out.splitlines()


def test_shards_settle_them_and_merging_counts_them_apart_and_once(explain: Command, scarce: Path, tmp_path: Path):
    parts = [explain("--shard", f"{i}/2", dump=scarce) for i in range(2)]
    merged = run("merge", tmp_path / "run")
    # A machine that never saw the run repeats them.
    again = [explain("--shard", f"{i}/2", dump=scarce, to="elsewhere") for i in range(2)]
    shutil.copytree(tmp_path / "elsewhere" / "parts", tmp_path / "run" / "parts")
    repeated = run("merge", tmp_path / "run", "--json")

    assert [r.code for r in (*parts, merged, *again, repeated)] == [0] * 6
    first, second, _ = merged.out.splitlines()
    assert (first, second) == (f"merged 2 parts: 8 explanations -> {tmp_path / 'run'}", TOLD)
    told = json.loads(repeated.out)
    assert (told["explanations"], told["failures"], told["unexplainable"]) == (0, 0, {})
    assert settled(tmp_path / "run") == SETTLED


def test_a_batch_job_settles_them_before_any_answer_comes(scarce: Path, tmp_path: Path):
    with BatchServer() as server:
        where = ("--run", tmp_path / "run", "--model", "seer", "--base-url", server.url, "--cache", tmp_path / "cache")
        run("explain", scarce, *where, "--features", "2-6", "--batch")
        sent = json.loads(run("batch", "submit", tmp_path / "run", "--files-only", "--json").out)["stages"]["explain"]
        written = settled(tmp_path / "run")
        driven = run("batch", "run", tmp_path / "run", "--poll", "0.01")

    assert (sent["deferred"], sent["failed"], sent["unexplainable"]) == (2, 0, {NEVER_FIRED: 2, NO_IMAGES: 1})
    assert written == {f: SETTLED[f] for f in (3, 4, GONE)}
    assert driven.code == 0, driven.err
    assert driven.out.splitlines()[0] == (
        "explain: 2 of 2 features done; 3 features cannot be explained: 2 never fired, 1 has no images in the dump"
    )
    assert settled(tmp_path / "run") == written


def test_a_run_of_an_older_version_settles_what_it_tried_again_and_again(
    explain: Command, scarce: Path, tmp_path: Path
):
    explain("--features", "2", dump=scarce)
    old = {"feature": GONE, "stage": "explain", "kind": "image", "message": "the dump has no image on which it fires"}
    line = json.dumps({**old, "attempts": 0, "created": "2026-01-31T12:00:00Z"}) + "\n"
    (tmp_path / "run" / "failures.jsonl").write_text(line)
    before = json.loads(run("status", tmp_path / "run", "--json").out)

    codes = [explain("--features", "2,6", dump=scarce).code for _ in range(2)]
    after = json.loads(run("status", tmp_path / "run", "--json").out)
    run("report", tmp_path / "run")

    assert (before["pending"], before["unexplainable"]) == ({"explain: image": 1}, {})
    assert codes == [0, 0]
    assert (after["pending"], after["unexplainable"]) == ({}, {NO_IMAGES: 1})
    assert len(failures(tmp_path / "run")) == 2
    assert "<dt>Failed</dt><dd><b>0</b>" in (tmp_path / "run" / "report.html").read_text()


def test_a_misspelt_model_still_leaves_no_trace(scarce: Path, seer: StandIn, tmp_path: Path):
    seer.status = (404, "there is no model saer")
    where = ("--run", tmp_path / "run", "--model", "saer", "--base-url", seer.url)

    said = run("explain", scarce, *where)

    assert said.code == 2
    assert not (tmp_path / "run").exists()
