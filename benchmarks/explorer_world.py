"""A run of many features for the explorer, written as fast as lines can be: real lines, multiplied."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from autointerp.dump.format import EXEMPLARS, FEATURES, DumpInfo
from autointerp.dump.reader import open_dump
from autointerp.dump.writer import N_GROUP_EXEMPLARS, N_GROUP_FEATURES, DumpWriter
from autointerp.job import reference
from autointerp.runs.folder import RunWriter
from autointerp.runs.info import ExplainStage, RunInfo, ScoreStage
from autointerp.runs.score_lines import SCORE
from autointerp.schema import Control, Explanation, FeatureRow, Scored, Usage, Verdict
from autointerp.settings import ExplainSettings, ModelSettings, ScoreSettings
from benchmarks.dumps import PIXELS, photograph

N_IMAGES = 64
N_SEEN = 1_000_000
"""Images that were run, by the dump's word."""
STRATA = ("top", "top", "top", "silent")
WORDS = 4_000
"""Of a vocabulary in which the n-th word is used with a chance of about 1/n, as in a language."""
WHEN = "2026-01-01T00:00:00Z"
N_VERDICTS = 60
BLOCK = 50_000


def write(folder: Path, n: int) -> None:
    """Writes `dump` and `run` into a folder: each feature explained, scored by detection and by accuracy."""
    _dump(folder / "dump", n)
    with open_dump(folder / "dump") as dump:
        stage = ExplainStage(model=ModelSettings(model="seer"), settings=ExplainSettings(), prompts={})
        judged = ScoreStage(judge=ModelSettings(model="judge"), settings=ScoreSettings(), prompts={})
        info = RunInfo(version="1", created=WHEN, dump=reference(dump), explain=stage, score=judged)
    RunWriter(folder / "run", info).close()
    chance = np.random.default_rng(0)
    for start in range(0, n, BLOCK):
        features = range(start, min(n, start + BLOCK))
        _append(folder / "run/explanations.jsonl", _explanations(features, chance))
        _append(folder / "run/scores.jsonl", _scores(features, chance))


def _append(file: Path, lines: list[str]) -> None:
    with file.open("a", encoding="utf-8") as out:
        out.writelines(lines)


def vocabulary() -> list[str]:
    """Words of two to four syllables, each once, the most used first."""
    chance = np.random.default_rng(1)
    syllables = [a + b for a in "bdfgklmnprst" for b in "aeiou"]
    out: dict[str, None] = {}
    while len(out) < WORDS:
        out["".join(chance.choice(syllables, chance.integers(2, 5)))] = None
    return list(out)


def _explanations(features: range, chance: np.random.Generator) -> list[str]:
    words = np.array(vocabulary())
    likely = 1 / np.arange(2, WORDS + 2)
    drawn = chance.choice(words, (len(features), 12), p=likely / likely.sum())
    shape = Explanation(
        feature=0,
        text="TEXT",
        concepts=("CONCEPT",),
        none=False,
        model="seer",
        prompt="0" * 12,
        images=tuple(range(16)),
        contrast=(1, 2, 3, 4),
        usage=Usage(input_tokens=963, output_tokens=30, calls=1, dollars=1e-4),
        created=WHEN,
    )
    line = shape.model_dump_json().replace('"feature":0', '"feature":%d').replace("TEXT", "%s").replace("CONCEPT", "%s")
    return [line % (f, " ".join(own[:10]), " ".join(own[10:])) + "\n" for f, own in zip(features, drawn, strict=True)]


def _scores(features: range, chance: np.random.Generator) -> list[str]:
    values = chance.beta(4, 3, (len(features), 2))
    kinds = {"detection": N_VERDICTS, "accuracy": N_VERDICTS // 3}
    shapes = {scorer: _score_line(scorer, n) for scorer, n in kinds.items()}
    return [
        line % (f, value, max(0.0, value - 0.1), min(1.0, value + 0.1)) + "\n"
        for f, own in zip(features, values.tolist(), strict=True)
        for line, value in zip(shapes.values(), own, strict=True)
    ]


def _score_line(scorer: str, n: int) -> str:
    beliefs = np.random.default_rng(2).integers(0, 2, n).tolist()
    verdicts = [
        Verdict(image=i, active=i % 2 == 0, stratum=f"q{1 + i % 4}", activation=1.25 + i / 7, belief=b, weight=1.5)
        for i, b in enumerate(beliefs)
    ]
    details = {name: 0.123456789 for name in ("precision", "recall", "specificity", "auprc", "pearson", "p_permuted")}
    names = ("always_yes", "constant", "permuted")
    score = Scored(
        feature=77,
        scorer=scorer,
        value=0.111,
        low=0.222,
        high=0.333,
        n=n,
        details=details,
        controls={name: Control(value=0.05, low=0.0, high=0.1, n=n) for name in names},
        verdicts=tuple(verdicts),
        judge="judge",
        prompt="0" * 12,
        usage=Usage(input_tokens=778, output_tokens=12, calls=12, dollars=1e-4),
        created=WHEN,
    )
    line = json.dumps(json.loads(SCORE.dump_json(score)), separators=(",", ":")).replace("%", "%%")
    return line.replace(":77,", ":%d,", 1).replace("0.111", "%.15f").replace("0.222", "%.15f").replace("0.333", "%.15f")


def _dump(folder: Path, n: int) -> None:
    """Written as `DumpWriter` does, but for the rows of features and exemplars, of which it takes one at a time."""
    info = DumpInfo(
        name=f"{n:,} features",
        created=WHEN,
        created_by="benchmarks/explorer_world.py",
        model="none",
        hookpoint="none",
        n_latents=n,
        widths=(n // 8, n // 2, n),
        n_images=N_SEEN,
        active_above=0.0,
    )
    with DumpWriter(folder, info) as writer:
        for image in range(N_IMAGES):
            writer.add_image(image, data=photograph(image), size=(PIXELS, PIXELS), group=f"image-{image}")
        writer.add_feature(FeatureRow(0, n // 8, 1, 1.0, None, None), [])
    chance = np.random.default_rng(3)
    _features(folder / "features.parquet", n, chance, info.widths)
    _exemplars(folder / "exemplars.parquet", n, chance)


def _features(file: Path, n: int, chance: np.random.Generator, widths: tuple[int, ...]) -> None:
    with pq.ParquetWriter(file, FEATURES) as out:
        for start in range(0, n, N_GROUP_FEATURES):
            ids = np.arange(start, min(n, start + N_GROUP_FEATURES))
            nothing = pa.nulls(len(ids))
            columns = [
                *(ids, np.array(widths)[np.searchsorted(widths, ids, side="right")]),
                *(
                    np.minimum(chance.lognormal(6, 2, len(ids)).astype(np.int64) + 3, N_SEEN),
                    chance.lognormal(2, 1, len(ids)),
                ),
            ]
            arrays = [pa.array(c) for c in columns] + [nothing] * 4
            table = pa.Table.from_arrays(
                [a.cast(f.type) for a, f in zip(arrays, FEATURES, strict=True)], schema=FEATURES
            )
            out.write_table(table)


def _exemplars(file: Path, n: int, chance: np.random.Generator) -> None:
    per = N_GROUP_EXEMPLARS // len(STRATA)
    with pq.ParquetWriter(file, EXEMPLARS) as out:
        for start in range(0, n, per):
            ids = np.repeat(np.arange(start, min(n, start + per)), len(STRATA))
            m = len(ids) // len(STRATA)
            first = np.tile(np.arange(len(STRATA)), m)
            corner = chance.integers(0, 200, (2, len(ids)))
            active = first < len(STRATA) - 1
            columns = {
                "feature": ids,
                "image": (ids * 7 + first) % N_IMAGES,
                "activation": np.where(active, 3.0 - first / 2, 0.0),
                "stratum": pa.array(list(STRATA) * m),
                "probability": np.where(active, 1.0, 0.01),
                "x0": corner[0],
                "y0": corner[1],
                "x1": corner[0] + 128,
                "y1": corner[1] + 128,
            }
            arrays = [pa.array(columns[f.name]) if f.name in columns else pa.nulls(len(ids)) for f in EXEMPLARS]
            table = pa.Table.from_arrays(
                [a.cast(f.type) for a, f in zip(arrays, EXEMPLARS, strict=True)], schema=EXEMPLARS
            )
            out.write_table(table)
