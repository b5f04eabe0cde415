"""Names that no disk takes, disks that take nothing, and files of the environment that have no say: one line each."""

import errno
import os
import shutil
from pathlib import Path

import pytest
from standin.commands import Command, Result, run
from standin.planted import Population
from standin.server import StandIn

from autointerp.commands.explain import Explain
from autointerp.errors import SettingsError
from autointerp.runs import parts
from autointerp.shards import merge as merging

LONG = "x" * 300


def one_line(said: Result, *words: str) -> None:
    """A shell sees one line that has these words in it, and exit code 2."""
    assert (said.code, "Traceback" in said.err) == (2, False), said.err
    last = said.err.splitlines()[-1]
    assert last.startswith("autointerp: ")
    assert all(word in last for word in words), last


@pytest.mark.parametrize("bad", [LONG, f"a/{LONG}/b"], ids=["name", "within"])
@pytest.mark.parametrize(
    "command",
    [
        "explain DUMP --run BAD --model m --base-url URL",
        "explain BAD --run r --model m --base-url URL",
        "explain DUMP --run r --model m --base-url URL --cache BAD",
        "explain DUMP --run r --model m --base-url URL --prices BAD",
        "explain DUMP --run r --model m --base-url URL --prompts BAD",
        "score BAD",
        "report BAD",
        "report RUN --out BAD",
        "report RUN --dump BAD",
        "status BAD",
        "merge BAD",
        "compare BAD RUN",
        "inspect BAD",
        "score RUN --calibration BAD",
        "score RUN --random-dump BAD",
        "score DUMP --explanations BAD --run r",
        "calibrate --model m --base-url URL --out BAD",
        "calibrate --model m --base-url URL --planted-sides 64 --keep-images BAD",
        "batch submit BAD",
        "batch status BAD",
        "batch collect BAD",
        "batch collect RUN BAD",
        "estimate BAD --models m",
        "import folder BAD out",
    ],
)
def test_a_name_that_no_file_can_have_is_one_line(
    planted: Population, seer: StandIn, explained: Path, here: Path, command: str, bad: str
):
    words = {"DUMP": str(planted.folder), "RUN": str(explained), "URL": seer.url, "BAD": bad}

    one_line(run(*(words.get(word, word) for word in command.split())))


@pytest.fixture(scope="module")
def explained(planted: Population, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one feature; not to be written to."""
    folder = tmp_path_factory.mktemp("explained") / "run"
    with StandIn() as seer:
        usual = ("--model", "seer", "--base-url", seer.url, "--features", "0", "--cache", folder.parent / "cache")
        assert run("explain", planted.folder, "--run", folder, *usual).code == 0
    return folder


@pytest.fixture(scope="module")
def sharded(planted: Population, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two shards that are not merged; not to be written to."""
    folder = tmp_path_factory.mktemp("sharded") / "run"
    with StandIn() as seer:
        usual = ("--model", "seer", "--base-url", seer.url, "--features", "0-3", "--cache", folder.parent / "cache")
        for shard in ("0/2", "1/2"):
            assert run("explain", planted.folder, "--run", folder, *usual, "--shard", shard).code == 0
    return folder


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EROFS, errno.EACCES])
@pytest.mark.parametrize(
    "where", [(merging, "replace_file"), (parts, "replace_file"), (os, "fsync"), (Path, "rename"), (Path, "rmdir")]
)
def test_a_merge_on_a_disk_that_takes_nothing_is_one_line_and_goes_on_later(
    sharded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: tuple[object, str], fault: int
):
    folder = Path(shutil.copytree(sharded, tmp_path / "run"))

    def refused(*_: object, **__: object) -> None:
        raise OSError(fault, os.strerror(fault), str(folder / "file"))

    with monkeypatch.context() as patch:
        patch.setattr(*where, refused)
        said = run("merge", folder)
    again = run("merge", folder)

    if said.code:
        one_line(said, os.strerror(fault), "cannot be ")
    assert again.code == 0
    assert len((folder / "explanations.jsonl").read_bytes().splitlines()) == 4


def test_a_netrc_file_that_names_the_server_has_no_say(
    seer: StandIn, explain: Command, here: Path, monkeypatch: pytest.MonkeyPatch
):
    (here / ".netrc").write_text("machine 127.0.0.1 login me password s3cr3t\nmachine localhost login me password s\n")
    (here / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(here))
    monkeypatch.setenv("NETRC", str(here / ".netrc"))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine")

    said = explain("--features", "0")

    assert said.code == 0
    assert seer.last_headers["Authorization"] == "Bearer sk-mine"


@pytest.mark.parametrize("key", ["sk-a\nb", "sk-a\rb", "sk-\x1b[2J", "sk-\x00a", "sk-ünï", "sk a"])
def test_a_key_that_cannot_stand_in_a_header_is_one_line_that_does_not_tell_it(
    seer: StandIn, explain: Command, monkeypatch: pytest.MonkeyPatch, key: str
):
    monkeypatch.setattr(os, "environ", os.environ | {"OPENAI_API_KEY": key})

    said = explain("--features", "0")

    one_line(said, "OPENAI_API_KEY has white space, a line break or another odd character inside")
    assert seer.calls == []


@pytest.mark.parametrize("port", ["abc", "99999", "-1", "0", "8000x", "٨"])
def test_a_port_that_is_none_is_one_line(planted: Population, here: Path, port: str):
    url = f"http://localhost:{port}/v1"
    for command in (
        ("explain", planted.folder, "--run", "r", "--model", "m", "--base-url", url),
        ("calibrate", "--model", "m", "--base-url", url),
    ):
        one_line(run(*command), f"--base-url {url}: ")


def test_a_configuration_of_a_name_that_no_file_can_have_is_one_line(explained: Path):
    one_line(run("--config", LONG, "status", explained), "--config")


@pytest.mark.parametrize("name", ["dump", "run", "cache", "prices", "prompts"])
def test_a_name_with_a_nul_is_one_line_from_python_and_from_a_configuration(name: str):
    with pytest.raises(SettingsError, match=f"^(--)?{name}: there is a NUL in 'a b'; leave it out$"):
        Explain.given({"dump": "d", "run": "r", "model": "m", name: "a\0b"})
