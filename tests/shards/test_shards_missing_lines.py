"""What of a part a run gets, against the same done by reading everything into memory."""

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from autointerp.shards.missing_lines import Known, missing_notes, missing_records

SCORERS = ("detection", "choice")


def write(file: Path, lines: list[dict[str, object]]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))
    return file


def drawn(chance: random.Random, low: int, high: int, n: int) -> list[dict[str, object]]:
    """Lines of features in a span, some of them several times, some of them equal."""
    about = [{"feature": chance.randrange(low, high), "scorer": chance.choice(SCORERS)} for _ in range(n)]
    return [{**one, "message": chance.choice("ab")} for one in about]


@pytest.mark.parametrize("seed", range(8))
def test_of_several_parts_each_feature_and_scorer_comes_once_by_feature(tmp_path: Path, seed: int):
    chance = random.Random(seed)
    there = drawn(chance, 0, 12, 6)
    parts = [drawn(chance, low, low + 10, 25) for low in (0, 5, 20)]
    run = write(tmp_path / "scores.jsonl", there)
    known = Known.of(run, notes=False)

    got = [
        [json.loads(line) for line in missing_records(write(tmp_path / f"{i}/scores.jsonl", part), known)]
        for i, part in enumerate(parts)
    ]

    seen = {(line["feature"], line["scorer"]) for line in there}
    for part, own in zip(parts, got, strict=True):
        last = {(line["feature"], line["scorer"]): line for line in part}
        first = list(dict.fromkeys(line["scorer"] for line in part))
        wanted = sorted(last.keys() - seen, key=lambda key: (key[0], first.index(key[1])))
        assert own == [last[key] for key in wanted]
        seen |= last.keys()


@pytest.mark.parametrize("seed", range(8))
def test_of_several_parts_equal_lines_come_as_often_as_a_part_has_more_of_them(tmp_path: Path, seed: int):
    chance = random.Random(seed)
    there = drawn(chance, 0, 12, 12)
    parts = [drawn(chance, low, low + 6, 30) for low in (0, 3, 20, 4)]
    run = write(tmp_path / "failures.jsonl", there)
    known = Known.of(run, notes=True)

    for i, part in enumerate(parts):
        has = Counter(map(str, there))
        file = write(tmp_path / f"{i}/failures.jsonl", part)
        with run.open("ab") as target:
            for line in missing_notes(file, run, known):
                target.write(line)
                target.flush()
        more = Counter(map(str, part))
        more.subtract(has)
        wanted = []
        for line in sorted(part, key=lambda line: line["feature"]):
            if more[str(line)] > 0:
                more[str(line)] -= 1
                wanted.append(line)
        there += wanted
        assert [json.loads(line) for line in run.read_text().splitlines()] == there
