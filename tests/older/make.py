"""Writes tests/older/v0_1: a small file of each kind that version 0.1.0 writes, answered by the stand-in endpoints.

Run `.venv/bin/python tests/older/make.py FOLDER` in a checkout of the commit that README.md names: it uses that
commit's package and tests.
"""

import json
import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "e2e")]

import torch  # noqa: E402
from older.test_older import (  # noqa: E402
    CALIBRATION,
    DIVERSE,
    EXPLAIN,
    KINDS,
    PLACE,
    SCORE,
    SEER,
    SMALL,
    SMALL_SCORE,
    TWO,
    UNREACHABLE,
)
from standin.batches import BatchServer  # noqa: E402
from standin.commands import Result, run  # noqa: E402
from standin.favourite import REFUSAL  # noqa: E402
from standin.mind import Question  # noqa: E402
from standin.offline import Line, answer_files, answered  # noqa: E402
from standin.planted import Planted, kinds, plant  # noqa: E402
from standin.server import StandIn  # noqa: E402
from test_e2e_embedding import Embeddings  # noqa: E402

from autointerp.transcoder.store import Activations, StoreWriter  # noqa: E402
from autointerp.version import __version__  # noqa: E402

N_IMAGES = 104
NAMES = ("red", "green triangle", "blue circle or red square", "square")
TEXT = {".json", ".jsonl", ".csv"}


def done(*args: str | Path, code: int = 0) -> Result:
    """A command that must end in this way."""
    result = run(*args)
    assert result.code == code, f"{args}: {result.out}{result.err}"
    return result


def refuse(question: Question, value: dict[str, object]) -> str:
    """Of an endpoint that explains nothing."""
    return REFUSAL if question.task == "explain" else json.dumps(value)


def fond(question: Question, value: dict[str, object]) -> str:
    """Of an endpoint that names one concept, drawn by the request's seed."""
    if question.task != "explain" or not (concepts := value["concepts"]):
        return json.dumps(value)
    assert isinstance(concepts, list)
    said = str(concepts[question.seed % len(concepts)])
    return json.dumps(value | {"verdict": "one", "explanation": said, "concepts": [said]})


def dumps(root: Path) -> None:
    """A planted dump, and one that is imported from a folder with some of its pictures."""
    population = plant(
        root / "dump",
        features=[Planted(n, kinds(n)) for n in NAMES],
        n_images=N_IMAGES,
        n_top=14,
        n_band=3,
        n_silent=26,
    )
    for feature in (3, 12):
        source = root / "source" / f"feature_{feature}"
        source.mkdir(parents=True)
        names = [f"{i}.png" for i in range(0, 48, 2) if i % 12 == feature % 12 % 4 * 2][:4]
        for name in names:
            shutil.copy(population.folder / "images" / name, source / name)
        lines = [f"{name},{4 - i}.5\n" for i, name in enumerate(names)]
        (source / "activations.csv").write_text("image,activation\n" + "".join(lines))
    done("import", "folder", root / "source", root / "imported", "--silent-from-others", "2")


def runs(root: Path, server: StandIn, vectors: Embeddings) -> None:
    """`run`, `diverse`, `explained-parts` and `scored-parts`, and the calibration."""
    where = ("--model", "seer", "--base-url", server.url)
    sees = ("--embedder", "kinds", "--embedder-base-url", vectors.url)
    explain = ("explain", root / "dump", *where, *EXPLAIN)
    server.text_of = refuse
    done(*explain, "--run", root / "run", "--features", "2", code=1)
    server.text_of = None
    done(*explain, "--run", root / "run")
    done("score", root / "run", *SCORE, *sees)

    diverse = (*explain, *DIVERSE, "--embedder-base-url", server.url, "--run", root / "diverse")
    server.text_of = fond
    done(*diverse, "--features", "0-2")
    server.text_of = refuse
    done(*diverse, code=1)
    server.text_of = None
    done("score", root / "diverse", *SCORE, *TWO)

    for name in ("explained-parts", "scored-parts"):
        for i in range(2):
            done(*explain, "--run", root / name, "--shard", f"{i}/2")
    done("merge", root / "scored-parts")
    for i in range(2):
        done("score", root / "scored-parts", *SCORE, "--scorers", "detection,choice", "--shard", f"{i}/2")

    done("calibrate", *where, *CALIBRATION, "--out", root / "calibration.json")


def planned(root: Path) -> None:
    """`planned` and `judged`: commands recorded, nothing written or sent."""
    done("explain", root / "dump", *SEER, *EXPLAIN, "--run", root / "planned", "--batch")
    done("score", root / "planned", *SCORE, *KINDS, "--attempts", "1", "--batch")
    done("calibrate", *SEER, *CALIBRATION, "--out", root / "judged" / "judge.json", "--batch")


def sent(root: Path) -> None:
    """`sent`: explained by a Batch API; the questions of scoring are written, and their answers lie beside."""
    reply = {"candidates": ["red"], "verdict": "one", "explanation": "red", "concepts": ["red"]}
    reply |= {"lookalikes": "", "misfits": []}

    def say(_: int, asked: Sequence[Line]) -> tuple[str, Sequence[Line], Sequence[Line]]:
        return "completed", [answered(line, json.dumps(reply)) for line in asked], []

    with BatchServer(spoil=say) as server:
        where = ("--model", "seer", "--base-url", server.url)
        done("explain", root / "dump", *where, *SMALL, "--run", root / "sent", "--batch")
        done("batch", "run", root / "sent", "--poll", "0.01")
        done("score", root / "sent", *SMALL_SCORE, "--batch")
        done("batch", "submit", root / "sent", "--files-only")
        forget(root, server.url)
    (written,) = (root / "sent" / "batch").glob("requests-*.jsonl")
    answer_files(root / "answers.jsonl", written)


def coders(root: Path) -> None:
    """A store of 16 images of 8 tokens, six channels to two, and a coder that learnt from it."""
    draw = torch.Generator().manual_seed(0)
    mix = torch.randn(6, 2, generator=draw)
    about = Activations(backbone="tiny", reads="block.0.mlp.in", writes="block.0.mlp.out", d_in=6, d_out=2)
    with StoreWriter(root / "activations", about, shard_tokens=80) as writer:
        for image in range(16):
            x = torch.randn(8, 6, generator=draw).relu()
            of = torch.full((8,), image)
            writer.add(x, x @ mix, of, of)
    options = ("--widths", "4,12", "--k", "2", "--steps", "60", "--batch", "32", "--held-out", "0.25")
    done("train", "transcoder", root / "activations", "--out", root / "coder", *options, "--rate", "0.02")


def forget(root: Path, text: str) -> None:
    """Puts the address that nobody serves in place of one that somebody did."""
    for file in root.rglob("*"):
        if file.suffix in TEXT:
            file.write_text(file.read_text().replace(text, UNREACHABLE))


def portable(root: Path) -> None:
    """Paths become PLACE, the cache one small file; locks go."""
    for file in root.rglob("*"):
        if file.suffix in TEXT:
            file.write_text(file.read_text().replace(str(root), PLACE))
    for lock in root.rglob(".lock"):
        lock.unlink()
    shutil.rmtree(root / "source")
    database = sqlite3.connect(root / "cache" / "answers" / "cache.db", isolation_level=None)
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.execute("VACUUM")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()


def main(target: Path) -> None:
    """Writes all of it."""
    assert __version__ == "0.1.0"
    root = Path(tempfile.mkdtemp()) / "v0_1"
    root.mkdir()
    os.environ["AUTOINTERP_CACHE"] = str(root / "cache")
    shutil.copytree(HERE.parents[1] / "prompts", root / "prompts")
    os.chdir(root)
    dumps(root)
    with StandIn() as server, Embeddings() as vectors:
        runs(root, server, vectors)
        planned(root)
        forget(root, server.url)
        forget(root, vectors.url)
    sent(root)
    coders(root)
    portable(root)
    shutil.copytree(root, target, dirs_exist_ok=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
