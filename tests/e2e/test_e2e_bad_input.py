"""Bad input: one short line that names the thing and the remedy, exit code 2, nothing half-written."""

import json
import shutil
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from standin.commands import Command, Done, run, says, unasked
from standin.planted import FEATURES, Population, plant
from standin.records import failures, scores
from standin.server import StandIn

from autointerp.schema import Unscored
from autointerp.unexplainable import TOO_FEW

EXPLAIN = [
    (("--features", "99"), "features 99 do not exist: this dump has 0 to 15"),
    (("--features", "3,12"), "features 12 are not in this dump: its 12 features lie in 0 to 11"),
    (("--features", "5-2"), "--features: '5-2' runs backwards; write 2-5"),
    (("--features", "x"), "--features: 'x' is not a feature, a range such as 0-511, all, or @FILE"),
    (("--features", ""), "--features '': no feature is named; write all for every feature"),
    (("--width", "7"), "--width 7: the dump has no such nested prefix; choose one of 8, 16"),
    (("--domain", "nope"), "--domain nope: no such domain; there is physical-plausibility"),
    (("--rendering", "zoom"), "--rendering 'zoom': input should be 'crop', 'outline', 'mask', 'full' or 'auto'"),
    (("--levels", "x"), "--levels 'x': input should be 'words', 'numbers' or 'none'"),
    (("--shown", "x"), "--shown 'x': input should be 'drawn' or 'highest'"),
    (("--top", "0", "--bands", "0"), "--top 0 with --bands 0: no active image would be shown; raise one of them"),
    (("--budget", "lots"), "--budget 'lots': write it as 2.50usd, $2.50, 3M tokens or 3000000tok"),
    (("--budget", "0usd"), "--budget '0usd': it must be above zero; leave it out for no limit"),
    (
        ("--budget", "2usd", "--base-url", "https://example.com/v1"),
        "budget in dollars: the price of seer is not known; state it with --prices FILE, "
        "or give the budget in tokens, such as 3M tokens",
    ),
    (("--prompts", "nofolder"), "nofolder: no such folder of prompts"),
    (("--prices", "no.txt"), "no.txt: prices are read from a file that ends in .toml or .json"),
    (
        ("--base-url", "localhost:8000/v1"),
        "--base-url localhost:8000/v1: not an http(s) address; e.g. http://localhost:8000/v1",
    ),
    (
        ("--base-url", "http://me:pw@x/v1"),
        "--base-url holds a user name or password; put the key into AUTOINTERP_API_KEY instead",
    ),
    (
        ("--base-url", "http://x/v1?key=pw"),
        "--base-url has a ? or # in it; end it with the path, and put a key into AUTOINTERP_API_KEY",
    ),
]


@pytest.mark.parametrize(("options", "line"), EXPLAIN, ids=lambda v: " ".join(v) if isinstance(v, tuple) else "")
def test_bad_option_of_explain_is_one_line_and_leaves_nothing(
    options: Sequence[str], line: str, planted: Population, here: Path
):
    usual = ("--run", "run", "--model", "seer", "--base-url", "http://127.0.0.1:9/v1", "--cache", "cache")

    result = run("explain", planted.folder, *usual, *options)

    says(result, line)
    assert not (here / "run").exists()


@pytest.mark.parametrize(
    ("dump", "to", "why"),
    [
        ("dump", "dump", "is the dump itself"),
        ("dump", "dump/../dump", "is the dump itself"),
        ("dump", "link", "is the dump itself"),
        ("link", "dump", "is the dump itself"),
        ("dump", "dump/runs/first", "lies in the dump dump"),
        ("dump", "link/runs", "lies in the dump dump"),
        ("dump", ".", "holds the dump dump"),
        ("s3://b/dump", "s3://b/dump/", "is the dump itself"),
        ("s3://b/dump", "s3://b/dump/run", "lies in the dump s3://b/dump"),
        ("s3://b/dump", "s3://b", "holds the dump s3://b/dump"),
    ],
)
def test_a_run_and_its_dump_in_one_folder_are_refused_before_anything_is_written(
    dump: str, to: str, why: str, planted: Population, here: Path
):
    shutil.copytree(planted.folder, here / "dump")
    (here / "link").symlink_to("dump")
    before = sorted(here.rglob("*"))

    result = run("explain", dump, "--run", to, "--model", "seer", "--base-url", "http://127.0.0.1:9/v1")

    says(result, f"--run {to}: {why}; name a folder beside it, and move a run that is there already")
    assert sorted(here.rglob("*")) == before


def test_a_run_of_descriptions_from_elsewhere_is_not_written_into_the_dump(planted: Population, here: Path):
    shutil.copytree(planted.folder, here / "dump")
    (here / "d.csv").write_text("feature,text\n0,a red circle\n")

    result = run("score", "dump", "--explanations", "d.csv", "--run", "dump", "--judge-model", "seer")

    says(result, "--run dump: is the dump itself; name a folder beside it, and move a run that is there already")
    assert not (here / "dump" / "run.json").exists()


def test_no_key_and_no_base_url_is_one_line(planted: Population, here: Path):
    result = run("explain", planted.folder, "--run", "run", "--model", "gpt-5-mini")

    says(
        result,
        "no API key: set OPENAI_API_KEY (or AUTOINTERP_API_KEY), name your own server with --base-url, "
        "or use --model local, which needs neither",
    )
    assert not (here / "run").exists()


def test_no_model_is_one_line(planted: Population, here: Path):
    result = run("explain", planted.folder, "--run", "run")

    says(
        result,
        "name a model with --model: one that your endpoint knows, e.g. gpt-5-mini, or `local` for the embedded one",
    )


@pytest.mark.parametrize(
    ("status", "message", "line"),
    [
        (401, "Bad key", "{url} refuses the API key (Bad key); set AUTOINTERP_API_KEY or OPENAI_API_KEY"),
        (
            404,
            "The model `seer` does not exist",
            "{url} has no such model or path (The model `seer` does not exist); "
            "check --model and --base-url (it ends in /v1)",
        ),
        (
            400,
            "This model does not support image input",
            "{url}: the model does not see images (This model does not support image input); "
            "name a model with vision with --model",
        ),
    ],
    ids=["401", "404", "no vision"],
)
def test_endpoint_that_cannot_work_is_found_out_by_one_call(
    status: int, message: str, line: str, seer: StandIn, explain: Command, here: Path
):
    seer.status = (status, message)

    result = explain()

    says(result, line.format(url=seer.url))
    assert len(seer.calls) == 1
    assert not (here / "run").exists()


def test_endpoint_that_cannot_judge_is_found_out_by_one_call(seer: StandIn, done: Done, here: Path):
    shutil.copytree(done.run, here / "run")
    (here / "run" / "scores.jsonl").unlink()
    seer.status = (401, "Bad key")

    result = run("score", "run", "--judge-base-url", seer.url, "--concurrency", "8")

    says(result, f"{seer.url} refuses the API key (Bad key); set AUTOINTERP_API_KEY or OPENAI_API_KEY")
    assert len(seer.calls) == 1
    assert len((here / "run" / "explanations.jsonl").read_bytes().splitlines()) == 12


def test_endpoint_that_is_not_there_is_one_line(planted: Population, here: Path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        # The port stays taken, and nobody listens at it.
        result = run("explain", planted.folder, "--run", "run", "--model", "m", "--base-url", url, "--attempts", "1")

    assert result.code == 2
    assert unasked(result.err).startswith(f"autointerp: {url}: Cannot connect to host")
    assert result.err.endswith("; is the server up and --base-url right?\n")
    assert unasked(result.err).count("\n") == 1
    assert not (here / "run").exists()


def other_format(dump: Path) -> None:
    info = json.loads((dump / "dump.json").read_text()) | {"format": "autointerp-dump/2"}
    (dump / "dump.json").write_text(json.dumps(info))


def short_heat(dump: Path) -> None:
    file = dump / "exemplars.parquet"
    rows = pq.read_table(file).to_pylist()
    rows[3]["heat"] = b"abc"
    pq.write_table(pa.Table.from_pylist(rows, schema=pq.read_schema(file)), file)


def no_parquet(dump: Path) -> None:
    (dump / "exemplars.parquet").write_bytes(b"not parquet")


def no_features(dump: Path) -> None:
    (dump / "features.parquet").unlink()


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (shutil.rmtree, "dump: not a dump, it has no dump.json; give a folder such as `autointerp import` writes"),
        (
            other_format,
            "dump/dump.json: format: is 'autointerp-dump/2', and this version reads 'autointerp-dump/1'; "
            "upgrade autointerp or export it again",
        ),
        (
            short_heat,
            "dump/exemplars.parquet: row 3: heat is 3; expected 64 bytes, 8 rows of 8 (patch_grid)",
        ),
        (
            no_parquet,
            "dump/exemplars.parquet: not a Parquet file: it does not end as one does; harvest or import the dump again",
        ),
        (
            no_features,
            "dump/features.parquet: there is no such file; a dump has one, so harvest or import it again",
        ),
    ],
)
def test_spoilt_dump_is_one_line(
    spoil: Callable[[Path], None], line: str, planted: Population, seer: StandIn, explain: Command, here: Path
):
    shutil.copytree(planted.folder, "dump")
    spoil(Path("dump"))

    result = explain(dump=Path("dump"))

    says(result, line)
    assert seer.calls == []
    assert not (here / "run").exists()


def test_feature_with_one_active_image_is_settled_and_no_failure_of_the_run(explain: Command, here: Path):
    plant(here / "few", features=FEATURES[:2], n_top=1, n_band=0)

    result = explain(dump=Path("few"))

    assert result.code == 0
    assert sorted((f.feature, f.stage, f.kind, f.message) for f in failures(here / "run")) == [
        (0, "explain", "unexplainable", TOO_FEW),
        (1, "explain", "unexplainable", TOO_FEW),
    ]


def test_feature_with_three_held_out_images_is_unscored_with_the_reason(
    seer: StandIn, explain: Command, score: Command, here: Path
):
    plant(here / "few", features=FEATURES[:2], n_top=6, n_band=0)
    explain(dump=Path("few"))
    asked = len(seer.calls)

    result = score()

    assert result.code == 0
    assert len(seer.calls) == asked
    reasons = [s.reason for s in scores(here / "run").values() if isinstance(s, Unscored)]
    remedy = "show fewer (explain --no-refill with a lower --top) or harvest more (harvest --top, --per-band)"
    assert reasons == [f"3 held-out active images, 5 are needed; {remedy}"] * 2
    assert f"2 features are not scored by accuracy, detection: {reasons[0]}" in result.out.splitlines()


def test_file_in_the_way_of_run_cache_or_report_is_one_line(explain: Command, done: Done, here: Path):
    (here / "file").write_text("mine")

    as_run, inside = explain("--run", "file"), explain("--run", "file/run")
    as_cache = explain("--cache", "file")
    as_report = run("report", done.run, "--out", "file/report.html")

    says(as_run, "file: the run folder cannot be written (File exists: file); name another with --run")
    says(inside, "file/run: the run folder cannot be written (Not a directory: file/run); name another with --run")
    assert as_cache.err.startswith("autointerp: file: the cache cannot be written (")
    assert as_report.err.startswith("autointerp: file/report.html: the report cannot be written (")
    assert [r.err.count("\n") for r in (as_cache, as_report)] == [1, 1]
    assert [r.code for r in (as_cache, as_report)] == [2, 2]
    assert (here / "file").read_text() == "mine"
    assert not (here / "run").exists()
