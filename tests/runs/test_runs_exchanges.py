"""What a run keeps of its questions: packed a line a feature, bounded, and read back without trust."""

import base64
import json
import zlib
from pathlib import Path

import pytest
from pydantic import ValidationError

from autointerp.errors import RunError
from autointerp.runs.exchanges import (
    FILE,
    LONGEST,
    MOST,
    MOST_BYTES,
    Exchange,
    ExchangeLine,
    Exchanges,
    Sent,
    ShownTile,
    Turn,
    packed,
    shortened,
)

WHEN = "2026-01-31T12:00:00Z"


def exchange(key: str, reply: str = "yes", text: str = "Does it fit?") -> Exchange:
    sheet = Sent(tiles=(ShownTile(number=1, image=7, rendering="crop", box=(0, 0, 8, 8)),), columns=1)
    turn = Turn(role="user", parts=(Sent(text=text), sheet))
    return Exchange(key=key, task="judge", model="m", turns=(turn,), replies=(reply,))


def write(run: Path, *lines: ExchangeLine) -> Exchanges:
    (run / FILE).write_text("".join(line.model_dump_json() + "\n" for line in lines))
    return Exchanges(run)


def test_the_exchanges_of_a_feature_come_from_all_its_lines_each_once(tmp_path: Path):
    kept = write(
        tmp_path,
        packed(3, "explain", WHEN, [exchange("a")]),
        packed(4, "explain", WHEN, [exchange("b")]),
        packed(3, "score", WHEN, [exchange("c"), exchange("d", "unsure")]),
        packed(3, "score", WHEN, [exchange("d", "no")]),
    )

    assert kept.of(3) == (exchange("a"), exchange("c"), exchange("d", "no"))
    assert kept.of(5) == ()
    assert Exchanges(tmp_path / "nothing kept").of(3) == ()


def test_what_is_kept_has_bounds_and_says_what_is_left_out():
    line = packed(1, "score", WHEN, [exchange(str(i)) for i in range(MOST + 5)], more=2)

    assert (line.n, line.left_out, len(line.exchanges)) == (MOST, 7, MOST)
    assert shortened("x" * LONGEST) == "x" * LONGEST
    assert shortened("x" * (LONGEST + 1)).endswith(f"x… (cut here, {LONGEST + 1:,} characters in all)")
    # A hundred texts of 100 kB are more than fits: half of them, 5 MB, do.
    long = packed(1, "score", WHEN, [exchange(str(i), text="x" * 100_000) for i in range(100)])
    assert (long.n, long.left_out, len(long.exchanges)) == (50, 50, 50)


@pytest.mark.parametrize(
    "content",
    [
        "no base64!",
        base64.b64encode(b"not compressed").decode(),
        base64.b64encode(zlib.compress(b'[{"key": 1}]')).decode(),
        base64.b64encode(zlib.compress(b"[]")[:-3]).decode(),
        base64.b64encode(zlib.compress(b" " * (MOST_BYTES + 1))).decode(),
    ],
)
def test_a_line_that_this_program_did_not_write_is_named(content: str, tmp_path: Path):
    kept = write(tmp_path, ExchangeLine(feature=3, stage="score", created=WHEN, n=1, packed=content))

    with pytest.raises(RunError, match=r"exchanges\.jsonl: feature 3: .*; mend or delete the line"):
        kept.of(3)


@pytest.mark.parametrize(
    ("start", "end"), [("[", "]"), ('[{"key": "a", "task": "judge", "model": "m", "replies": [], "turns": [', "]}]")]
)
def test_of_a_damaged_list_the_first_fault_is_enough(start: str, end: str, tmp_path: Path):
    # A list of a million faults is a line of 3 kB; each fault told would take 150 bytes and more.
    content = base64.b64encode(zlib.compress((start + "1," * 1_000_000 + "1" + end).encode())).decode()
    kept = write(tmp_path, ExchangeLine(feature=3, stage="score", created=WHEN, n=1, packed=content))

    with pytest.raises(RunError, match=r"feature 3: packed: Input should be an object; mend") as caught:
        kept.of(3)

    cause = caught.value.__cause__
    assert cause is not None
    assert isinstance(cause.__cause__, ValidationError)
    assert cause.__cause__.error_count() == 1


def test_a_line_has_no_more_exchanges_than_are_written(tmp_path: Path):
    text = json.dumps([exchange(str(i)).model_dump() for i in range(MOST + 1)]).encode()
    content = base64.b64encode(zlib.compress(text)).decode()
    kept = write(tmp_path, ExchangeLine(feature=3, stage="score", created=WHEN, n=1, packed=content))

    with pytest.raises(RunError, match=r"at most 100 items"):
        kept.of(3)


def test_of_more_than_fits_into_memory_the_last_lines_are_read(tmp_path: Path):
    # 5 MB each, of which six fit into 32 MB.
    lines = [packed(3, "score", WHEN, [exchange(str(i), text="x" * 5_000_000)]) for i in range(8)]

    assert [e.key for e in write(tmp_path, *lines).of(3)] == ["2", "3", "4", "5", "6", "7"]
