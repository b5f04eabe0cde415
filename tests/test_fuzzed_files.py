"""Files from outside that were damaged at random: each reader ends in a value or in an error of one line."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import explanation
from standin.commands import run

from autointerp.batch.manifest import Event, Manifest
from autointerp.commands.explain import Explain
from autointerp.errors import AutointerpError
from autointerp.jobs.batch.plan import read_plan, record
from autointerp.lmm.prices import read_prices
from autointerp.runs.descriptions import open_foreign
from autointerp.runs.folder import RunWriter, open_run
from autointerp.runs.index import ScoreIndex
from autointerp.runs.info import DumpReference, ExplainStage, RunInfo, ScoreStage
from autointerp.runs.parts import PartInfo, Split, parts_of, read_splits, write_part, write_splits
from autointerp.schema import FailureRecord, Unscored, Usage
from autointerp.scoring.calibration import Calibration, load_calibration, save_calibration
from autointerp.settings import ExplainSettings, ModelName, ModelSettings, ScoreSettings

ROUNDS = 120
"""Damaged copies of each file."""
PIECES = (
    b"[" * 3000,
    b'{"a":' * 3000,
    b'{"a":' * 400 + b"1" + b"}" * 400,
    b"9" * 5000,
    b"1e999",
    b"-1",
    b"18446744073709551616",
    b"NaN",
    b"null",
    b'"\\ud800"',
    b"\xff\xfe",
    b"\x00",
    b"\xef\xbb\xbf",
    b'"\\u001b[2J\\u202e"',
    b"\r\n",
    b'"""',
    b"{}",
    b"[]",
    b"true",
)
"""What a file may hold that nobody expected."""


def damaged(content: bytes, chance: random.Random) -> bytes:
    """The content with one to three faults: a flipped bit, a cut, bytes twice, or a piece in another's place."""
    out = bytearray(content)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(out) + 1)
        end = min(len(out), at + chance.randint(0, 12))
        match chance.randrange(5):
            case 0 if at < len(out):
                out[at] ^= 1 << chance.randrange(8)
            case 1:
                del out[at:end]
            case 2:
                out[at:at] = out[at:end]
            case 3:
                starts = [i for i, c in enumerate(out) if c in b':=,["'] or [0]
                at = chance.choice(starts) + 1
                out[at:at] = chance.choice(PIECES)
            case _:
                out[at:end] = chance.choice(PIECES)
    return bytes(out)


def read_whole_run(folder: Path) -> object:
    run = open_run(folder)
    index = run.index()
    scores = ScoreIndex(folder / "scores.jsonl")
    return (
        run.info.explain.model.base_url,
        list(run.explanations()),
        list(run.scores()),
        run.pending(),
        run.unexplainable(),
        [index[int(f)] for f in index.features],
        [list(scores.scores(name, scores.features(name))) for name in scores.scorers],
    )


def read_batch(folder: Path) -> object:
    with Manifest(folder / "batch", writing=False) as manifest:
        return read_plan(folder), manifest.n_open


PRICES = b'["m-1"]\ninput = 0.25\noutput = 2.0\ncached = 0.025\nsource = "contract"\ndate = 2026-11-23\n'
WHEN = "2026-01-31T12:00:00Z"
MODEL = ModelSettings(model=ModelName("m"), base_url="http://a/v1")
INFO = RunInfo(
    version="1",
    created=WHEN,
    dump=DumpReference(name="dümp", path="/somewhere", digest="d" * 64, n_latents=8),
    explain=ExplainStage(model=MODEL, settings=ExplainSettings(), prompts={"explain": "aaa"}),
    score=ScoreStage(judge=MODEL, settings=ScoreSettings(), prompts={"judge": "bbb"}),
)
CONFIG = (
    b'[explain]\nmodel = "m"\ntop = 4\nbase-url = ["http://a/v1"]\n[batch.submit]\nbudget = "$5"\n[score]\nseed = 1\n'
)
FOREIGN = b'layer,unit,description,similarity\nlayer1,0,red circle,0.5\nlayer1,1,"blue, square",0.25\n'


CALIBRATION = Calibration(
    n_true=100,
    n_false=100,
    sensitivity=0.9,
    sensitivity_low=0.8,
    sensitivity_high=1.0,
    specificity=0.9,
    specificity_low=0.8,
    specificity_high=1.0,
    kinds=(),
    formats=(),
    order=None,
    agreements=(),
    near_yes=None,
    random_yes=None,
    position=None,
    unanswered=0,
    model="m",
    prompt="0" * 12,
    layout="sheet",
    per_call=12,
    rendering="full",
    side=224,
    seed=0,
    usage=Usage(),
    created=WHEN,
    version="1",
)
CASES: list[tuple[str, Callable[[Path], object]]] = [
    ("run.json", read_whole_run),
    ("explanations.jsonl", read_whole_run),
    ("scores.jsonl", read_whole_run),
    ("failures.jsonl", read_whole_run),
    ("parts/merged.json", read_splits),
    ("parts/explain-00000-of-00002/part.json", lambda folder: list(parts_of(folder))),
    ("batch/plan.json", read_batch),
    ("batch/manifest.jsonl", read_batch),
    ("calibration.json", lambda folder: load_calibration(folder / "calibration.json")),
    ("prices.toml", lambda folder: read_prices(folder / "prices.toml")),
    ("prices.json", lambda folder: read_prices(folder / "prices.json")),
    ("foreign.csv", lambda folder: list(open_foreign(folder / "foreign.csv", layer=None, n_latents=8).descriptions)),
]
"""Files of the folder of a run, and what reads each of them, given the folder."""


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with every file that one may hold, all as this version writes them."""
    folder = tmp_path_factory.mktemp("fuzz") / "run"
    for place in (folder, folder / "parts" / "explain-00000-of-00002"):
        with RunWriter(place, INFO) as writer:
            writer.explanation(explanation(1))
            writer.score(Unscored(feature=1, scorer="detection", reason="too few", judge="m", created=WHEN))
            writer.failure(
                FailureRecord(feature=2, stage="explain", kind="timeout", message="no", attempts=6, created=WHEN)
            )
    write_part(folder / "parts" / "explain-00000-of-00002", PartInfo(selection="0" * 16, features=2))
    write_splits(folder, {"explain": Split(of=2, selection="0" * 16, merged=(1,))})
    record(folder, "explain", Explain.given({"dump": "d", "run": str(folder), "model": "m", "base_url": "http://a/v1"}))
    with Manifest(folder / "batch", writing=True) as manifest:
        written = Event(
            event="written",
            file="requests-00001.jsonl",
            stage="explain",
            model="m",
            base_url="http://a/v1",
            lines=1,
            bytes=9,
            questions={"explain": ("k",)},
        )
        uploaded = Event(event="uploaded", file=written.file, id="u")
        for event in (written, uploaded, Event(event="taken", answered=("k",))):
            manifest.add(event)
    save_calibration(CALIBRATION, folder / "calibration.json")
    (folder / "prices.toml").write_bytes(PRICES)
    (folder / "prices.json").write_text(json.dumps({"m-1": {"input": 0.25, "output": 2.0}}))
    (folder / "config.toml").write_bytes(CONFIG)
    (folder / "foreign.csv").write_bytes(FOREIGN)
    return folder


@pytest.mark.parametrize(("name", "read"), [pytest.param(*case, id=case[0]) for case in CASES])
def test_a_damaged_file_is_a_value_or_one_line(sound: Path, tmp_path: Path, name: str, read: Callable[[Path], object]):
    folder = tmp_path / "run"
    shutil.copytree(sound, folder)
    content, chance = (folder / name).read_bytes(), random.Random(name)
    assert read(folder) is not None
    lines: list[str] = []
    for _ in range(ROUNDS):
        (folder / name).write_bytes(damaged(content, chance))
        try:
            read(folder)
        except AutointerpError as error:
            lines.append(str(error))

    assert len(lines) > ROUNDS // 10
    assert [line for line in lines if len(line.splitlines()) > 1 or len(line) > 2000] == []


def test_a_damaged_configuration_is_one_line_too(tmp_path: Path):
    chance, file = random.Random("config"), tmp_path / "config.toml"
    for _ in range(ROUNDS // 2):
        file.write_bytes(damaged(CONFIG, chance))

        said = run("--config", file, "explain", tmp_path / "none", "--run", tmp_path / "run")

        assert said.code == 2, said.err
        assert "Traceback" not in said.err
