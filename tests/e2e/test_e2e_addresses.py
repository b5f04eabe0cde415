"""Which servers are asked: what was given on this machine, what a run inherits, and what only a run folder names."""

import json
import shutil
from pathlib import Path

import pytest
from remote.stores import WebFolder
from standin.commands import Command, Result, run
from standin.planted import Population
from standin.records import scores, whole_lines
from standin.server import StandIn

from autointerp.commands.calibrate import Calibrate
from autointerp.jobs.batch.plan import read_plan
from autointerp.runs.folder import open_run

KEY = "sk-planted-7f3a9c51e2d84b06"
SMALL = ("--calls", "12", "--planted-sides", "64")


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Another machine of the same user: there is a key, and no address was ever given."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("XDG_CONFIG_HOME", f"{tmp_path}-other-config")


def addresses(folder: Path) -> tuple[str | None, str | None]:
    """Of explainer and judge, as run.json has them."""
    info = open_run(folder).info
    return info.explain.model.base_url, info.score.judge.base_url if info.score is not None else None


def asked_once(result: Result, seer: StandIn) -> None:
    """The server was asked one question, to which it said that the key is wrong."""
    assert (result.code, len(seer.calls)) == (2, 1), result.err
    assert result.err.splitlines() == [
        f"asking judge at {seer.url}",
        f"autointerp: {seer.url} refuses the API key (Bad key); set AUTOINTERP_API_KEY or OPENAI_API_KEY",
    ]


@pytest.mark.parametrize("name", ["AUTOINTERP_BASE_URL", "AUTOINTERP_JUDGE_BASE_URL"])
def test_calibrate_obeys_the_environment(seer: StandIn, here: Path, monkeypatch: pytest.MonkeyPatch, name: str):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv(name, seer.url)
    seer.status = (401, "Bad key")

    result = run("calibrate", "--model", "judge", *SMALL, "--attempts", "1")

    asked_once(Result(result.code, result.out, "".join(result.err.splitlines(keepends=True)[1:])), seer)


@pytest.mark.parametrize("name", ["AUTOINTERP_BASE_URL", "AUTOINTERP_JUDGE_BASE_URL"])
def test_a_named_judge_obeys_the_environment(
    explain: Command, score: Command, monkeypatch: pytest.MonkeyPatch, name: str
):
    explain("--features", "0")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with StandIn(status=(401, "Bad key")) as other:
        monkeypatch.setenv(name, other.url)

        result = score("--judge-model", "judge")

        asked_once(result, other)


def test_a_named_judge_is_asked_where_the_run_was_explained_whatever_key_is_set(
    seer: StandIn, explain: Command, score: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    explain("--features", "0-1")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)

    result = score("--judge-model", "judge")

    assert result.code == 0, result.err
    assert f"asking judge at {seer.url}" in result.err
    assert len(scores(tmp_path / "run")) == 2
    assert addresses(tmp_path / "run") == (seer.url, seer.url)


def test_a_run_from_elsewhere_is_scored_by_its_server_only_after_a_yes(
    seer: StandIn, explain: Command, score: Command, tmp_path: Path, elsewhere: None, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as at_home:
        at_home.setenv("XDG_CONFIG_HOME", f"{tmp_path}-config")
        explain("--features", "0-1")
    seer.forget()
    flag = f"--trust-address {seer.url}"

    refused = score()
    asked_before = len(seer.calls)
    trusted = score("--features", "0", *flag.split())
    remembered = score("--features", "1")

    assert (refused.code, refused.out, asked_before) == (2, "", 0)
    assert f"run.json names the server {seer.url}, which was never given on this machine" in refused.err
    assert f"the pictures and your API key would go there: if you trust it, give {flag} once" in refused.err
    assert KEY not in refused.err
    assert (trusted.code, remembered.code) == (0, 0)


def test_a_random_dump_is_not_explained_by_a_server_that_only_the_run_names(
    seer: StandIn,
    explain: Command,
    score: Command,
    planted: Population,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    explain("--features", "0")
    monkeypatch.setenv("XDG_CONFIG_HOME", f"{tmp_path}-other-config")
    seer.forget()
    with StandIn() as judge:
        result = score("--random-dump", planted.folder, "--judge-base-url", judge.url)

        assert (result.code, judge.calls, seer.calls) == (2, [], [])
    assert f"--trust-address {seer.url} once" in result.err


@pytest.mark.parametrize("command", ["submit", "run"])
def test_a_plan_from_elsewhere_is_sent_to_its_server_only_after_a_yes(
    seer: StandIn, planted: Population, here: Path, monkeypatch: pytest.MonkeyPatch, command: str
):
    usual = ("--run", "run", "--model", "seer", "--base-url", seer.url, "--features", "0")
    run("explain", planted.folder, *usual, "--batch")
    monkeypatch.setenv("XDG_CONFIG_HOME", f"{here}-other-config")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)

    refused = run("batch", command, "run")
    trusted = run("batch", command, "run", "--trust-address", seer.url)

    assert refused.code == 2
    assert f"run/batch/plan.json names the server {seer.url}, which was never given on this machine" in refused.err
    assert f"asking the Batch API at {seer.url}" in trusted.err
    # The stand-in has no Batch API: it was asked for one.
    assert f"{seer.url} has no Batch API" in trusted.err


def test_a_manifest_that_names_another_server_is_not_obeyed(
    seer: StandIn, planted: Population, here: Path, monkeypatch: pytest.MonkeyPatch
):
    run("explain", planted.folder, "--run", "run", "--model", "seer", "--base-url", seer.url, "--batch")
    run("batch", "submit", "run", "--files-only")
    manifest = here / "run" / "batch" / "manifest.jsonl"
    stolen = manifest.read_text().replace(seer.url, "http://evil.example/v1")
    started = (
        {"event": "uploaded", "file": "requests-00001.jsonl", "id": "f"},
        {
            "event": "started",
            "file": "requests-00001.jsonl",
            "batch": "b",
        },
    )
    manifest.write_text(stolen + "".join(json.dumps(event) + "\n" for event in started))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)

    collected, status = run("batch", "collect", "run"), run("batch", "status", "run")

    assert collected.code == 2
    for said in (collected.err, status.out):
        assert "names the server http://evil.example/v1, which was never given on this machine" in said


def test_a_plan_of_an_earlier_version_without_an_address_means_openai(
    planted: Population, here: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    run("explain", planted.folder, "--run", "run", "--model", "gpt-5-mini", "--features", "0", "--batch")
    plan = here / "run" / "batch" / "plan.json"
    assert addresses(here / "run") == ("https://api.openai.com/v1", None)
    plan.write_text(plan.read_text().replace('"https://api.openai.com/v1"', "null"))
    monkeypatch.setenv("AUTOINTERP_BASE_URL", "http://gpu1:8000/v1")

    result = run("batch", "submit", "run", "--files-only")

    assert result.code == 0, result.err
    written = whole_lines(here / "run" / "batch" / "manifest.jsonl")
    assert [e["base_url"] for e in written if e["event"] == "written"] == ["https://api.openai.com/v1"]


def test_with_json_an_event_names_who_is_asked_before_the_first_call(seer: StandIn, explain: Command, score: Command):
    said: list[str] = []
    seer.on_call = lambda number: said.append(f"call {number}")

    explained, scored = explain("--features", "0", "--json"), score("--json")

    for result in (explained, scored):
        first, second, *_ = [json.loads(line) for line in result.err.splitlines()]
        assert first["event"] == "start"
        assert second == {"event": "note", "text": f"asking seer at {seer.url}"}


def test_run_json_tells_where_a_host_without_a_path_answers(
    seer: StandIn, planted: Population, score: Command, tmp_path: Path
):
    host = seer.url.removesuffix("/v1")
    usual = ("--run", tmp_path / "run", "--model", "seer", "--base-url", host)

    explained, scored = run("explain", planted.folder, *usual, "--features", "0"), score()

    assert (explained.code, scored.code) == (0, 0)
    assert f"{host} has no such path and {seer.url} has: that is asked from now on" in explained.err
    assert addresses(tmp_path / "run") == (seer.url, seer.url)


def test_openai_base_url_is_asked_where_nothing_else_is_named_and_said(
    seer: StandIn, planted: Population, here: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OPENAI_BASE_URL", seer.url)

    result = run("explain", planted.folder, "--run", "run", "--model", "seer", "--features", "0")

    assert result.code == 0, result.err
    assert f"asking seer at {seer.url}" in result.err
    assert addresses(here / "run") == (seer.url, None)


def test_an_embedder_without_an_address_is_asked_where_the_judge_is(
    seer: StandIn, explain: Command, score: Command, monkeypatch: pytest.MonkeyPatch
):
    explain("--features", "0")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)

    result = score("--scorers", "embedding", "--embedder", "nobody")

    assert result.code == 2
    assert f"asking nobody at {seer.url}" in result.err
    assert f"{seer.url} has no such model or path (The model `nobody` does not exist.)" in result.err


Steps = tuple[str | int, ...]
"""The way to a value in a JSON file, from the outside in."""


def rewrite(file: Path, *changes: tuple[Steps, object]) -> None:
    """Puts other values into a JSON file."""
    content = json.loads(file.read_bytes())
    for (*way, last), value in changes:
        inner = content
        for step in way:
            inner = inner[step]
        inner[last] = value
    file.write_text(json.dumps(content), encoding="utf-8")


def all_that_reads(run_folder: str, planted: Population, seer: StandIn) -> dict[str, Result]:
    """Every command on a run, with a judge that is named, some with the judge's own server."""
    named, own = ("--judge-model", "seer", "--cache", "c"), ("--judge-base-url", seer.url)
    scored = ("score", run_folder, *named)
    return {
        "status": run("status", run_folder),
        "report": run("report", run_folder),
        "compare": run("compare", run_folder, "run"),
        "merge": run("merge", run_folder),
        "score": run("score", run_folder, "--cache", "c"),
        "judge": run(*scored),
        "batch": run(*scored, "--batch"),
        "random": run(*scored, "--random-dump", planted.folder, *own),
        "embedding": run(*scored, "--scorers", "embedding", *own),
        "calibrate": run("calibrate", "--model", "judge", *SMALL, "--base-url", seer.url, "--cache", "c"),
    }


@pytest.mark.parametrize("what", ["servers", "dump"])
def test_no_command_asks_a_server_or_fetches_a_dump_that_only_a_run_from_elsewhere_names(
    explain: Command, score: Command, seer: StandIn, planted: Population, here: Path, elsewhere: None, what: str
):
    """The run was made by `seer`; what a stranger wrote into it names `evil`, in every place that holds an address."""
    explain("--features", "0-1")
    score()
    shutil.copytree("run", "theirs")
    with StandIn() as evil, WebFolder(planted.folder.parent, ranges=True) as web:
        dump = f"{web.url}/{planted.folder.name}"

        servers = (
            (("explain", "model", "base_url"), evil.url),
            (("score", "judge", "base_url"), evil.url),
            (("score", "settings", "embedder", "base_url"), evil.url),
        )
        changes = ((("dump", "path"), dump),) if what == "dump" else servers
        rewrite(here / "theirs" / "run.json", *changes)

        results = all_that_reads("theirs", planted, seer)

        assert (evil.calls, web.sent) == ([], [])
    refused = {name for name, result in results.items() if result.code == 2}
    if what == "dump":
        assert refused == {"report", "score", "judge", "batch", "random", "embedding"}
        assert results["report"].err == (
            f"autointerp: theirs/run.json names the dump {dump}, a URL that was never given on this machine; if you "
            f"trust it, give --dump {dump} once\n"
        )
    else:
        assert refused == {"score", "judge", "batch", "random"}, results["embedding"].err
        assert all(f"--trust-address {evil.url} once" in results[name].err for name in refused)


def test_no_batch_command_writes_where_only_a_plan_from_elsewhere_says(
    seer: StandIn, planted: Population, here: Path, elsewhere: None
):
    """A cache outside is refused until AUTOINTERP_CACHE names it; a calibration goes where the command says."""
    usual = ("--run", "run", "--model", "seer", "--base-url", seer.url, "--features", "0")
    assert run("explain", planted.folder, *usual, "--batch").code == 0
    assert run("calibrate", "--model", "seer", "--base-url", seer.url, "--out", "c/judge.json", "--batch").code == 0
    theirs, mine = here / "home" / "cache", here / "home" / "judge.json"
    mine.parent.mkdir()
    mine.write_text("mine")
    rewrite(here / "run" / "batch" / "plan.json", (("stages", 0, "cache"), str(theirs)))
    rewrite(here / "c" / "batch" / "plan.json", (("stages", 0, "out"), str(mine)))

    results = [run("batch", command, "run") for command in ("submit", "collect", "run")]
    wrote = theirs.exists()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOINTERP_CACHE", str(theirs))
        trusted = run("batch", "submit", "run", "--files-only", "--trust-address", seer.url)
    (stage,) = read_plan("c")

    for result in results:
        assert result.code == 2
        assert f"plan.json: explain would write into {theirs} (cache), which was never given on this" in result.err
        assert f"set AUTOINTERP_CACHE={theirs}, or record the command again" in result.err
    assert not wrote
    assert trusted.code == 0, trusted.err
    assert isinstance(stage.settings, Calibrate)
    assert stage.settings.target == Path("c/judge.json")


@pytest.mark.parametrize(
    ("way", "value"),
    [
        (("model", "base_url"), "URL"),
        (("engine", "more_base_urls"), ["URL"]),
        (("settings", "candidates"), {"diverse": True, "embedder": {"model": "e", "base_url": "URL"}}),
        (("trust_address",), ["URL"]),
    ],
    ids=["model", "more", "embedder", "trusts itself"],
)
def test_no_batch_command_asks_a_server_that_only_a_plan_from_elsewhere_names(
    seer: StandIn, planted: Population, here: Path, elsewhere: None, way: Steps, value: object
):
    usual = ("--run", "run", "--model", "seer", "--base-url", seer.url, "--features", "0")
    assert run("explain", planted.folder, *usual, "--batch").code == 0
    with StandIn() as evil:
        named = json.loads(json.dumps(value).replace("URL", evil.url))
        rewrite(here / "run" / "batch" / "plan.json", (("stages", 0, *way), named))

        results = [run("batch", command, "run") for command in ("submit", "status", "collect", "run")]

        assert evil.calls == []
        assert all("Traceback" not in said.err for said in results)


def test_a_dump_at_a_url_that_was_given_once_is_read_when_a_run_names_it(
    seer: StandIn, planted: Population, here: Path, monkeypatch: pytest.MonkeyPatch
):
    with WebFolder(planted.folder.parent, ranges=True) as web:
        dump = f"{web.url}/{planted.folder.name}"
        usual = ("--run", "run", "--model", "seer", "--base-url", seer.url, "--features", "0")
        assert run("explain", dump, *usual).code == 0
        assert run("report", "run").code == 0
        monkeypatch.setenv("XDG_CONFIG_HOME", f"{here}-other-config")

        refused, told, again = run("report", "run"), run("report", "run", "--dump", dump), run("report", "run")

    assert (refused.code, told.code, again.code) == (2, 0, 0)


def test_a_plan_from_elsewhere_fetches_no_dump_that_it_names(
    seer: StandIn, planted: Population, here: Path, monkeypatch: pytest.MonkeyPatch
):
    usual = ("--run", "run", "--model", "seer", "--base-url", seer.url, "--features", "0")
    run("explain", planted.folder, *usual, "--batch")
    with WebFolder(planted.folder.parent, ranges=True) as web:
        dump = f"{web.url}/{planted.folder.name}"
        rewrite(here / "run" / "batch" / "plan.json", (("stages", 0, "dump"), dump))

        results = [run("batch", command, "run") for command in ("submit", "run")]

        assert web.sent == []
    for said in results:
        assert said.code == 2
        assert f"run/batch/plan.json names the dump {dump}, a URL that was never given on this machine" in said.err


@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd", "secret", "requests-00001.jsonl/../secret"])
def test_a_manifest_from_elsewhere_has_no_other_file_sent_or_removed(
    seer: StandIn, planted: Population, here: Path, name: str
):
    usual = ("--run", "run", "--model", "seer", "--base-url", seer.url, "--features", "0")
    run("explain", planted.folder, *usual, "--batch")
    run("batch", "submit", "run", "--files-only")
    manifest = here / "run" / "batch" / "manifest.jsonl"
    manifest.write_text(manifest.read_text().replace("requests-00001.jsonl", name), encoding="utf-8")
    for secret in (here / "secret", here / "run" / "batch" / "secret"):
        secret.write_text("mine")

    for command in (("submit",), ("submit", "--again"), ("run",), ("status",), ("collect",)):
        said = run("batch", command[0], "run", *command[1:])
        assert said.code == 2
        assert f"manifest.jsonl: speaks of a file {name!r}, which is none of a batch job" in said.err

    assert (here / "secret").read_text() == "mine"
    assert seer.calls == []
