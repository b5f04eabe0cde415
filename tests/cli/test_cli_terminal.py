"""Foreign words cannot steer a terminal, wherever they are printed, and no address tells a key."""

import io
import json
import re
from pathlib import Path

import pytest
from rich.table import Table

import autointerp.cli
from autointerp.cli import printing as terminal
from autointerp.cli.printing import Terminal, as_json, say, say_aside, say_json, shown
from autointerp.cli.progress import Live
from autointerp.errors import AutointerpError, one_line, without_secrets

EVIL = "a\x1b[31m\x07\x9b2J\u202e\u200b\u2066\ufeff\U000e0041\x7f\r\ud800b"
"""An escape, a bell, the C1 form of an escape, turned and invisible writing, a tag, delete, a return, half a pair."""


def raw(text: str) -> list[str]:
    """Characters that a terminal might obey, or not show."""
    return [c for c in text if not c.isprintable() and c != "\n"]


def test_what_is_not_printable_is_a_space():
    assert shown(EVIL) == "a [31m  2J        b"
    assert shown("ünï ☃ 日本 é — “x”") == "ünï ☃ 日本 é — “x”"
    assert shown("one\ntwo") == "one two"


def test_a_line_is_one_line_and_json_stays_json(capsys: pytest.CaptureFixture[str]):
    say(f"{EVIL}\nnext: rm -rf /")
    say_aside(EVIL)
    say_json({"text": EVIL, "more": [1, None]})

    out, err = capsys.readouterr()
    assert raw(out + err) == []
    line, _, rest = out.partition("\n")
    assert line.endswith("b next: rm -rf /")
    assert json.loads(rest) == {"text": EVIL, "more": [1, None]}
    assert json.loads(as_json(EVIL)) == EVIL
    assert as_json({"a": "ü\x1b"}) == '{"a": "ü\\u001b"}'


def test_a_table_draws_words_as_text_in_its_own_colours():
    out = io.StringIO()
    console = Terminal(width=60)
    console.file = out
    console._force_terminal = True
    table = Table(title="[bold]t")
    table.add_column(EVIL)
    table.add_row("[/x] [link=http://evil]click[/link] :smile:")
    table.add_row(f"{EVIL}\n{EVIL}")

    console.print(table)
    console.print(EVIL, soft_wrap=True)

    text = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())
    assert raw(text) == []
    assert "[/x] [link=http://evil]click[/link] :smile:" in text
    assert "[31m" in text


def test_notes_are_text_too(capsys: pytest.CaptureFixture[str]):
    for as_json_events in (False, True):
        Live(as_json=as_json_events).note(f"[red]{EVIL}")

    words, event = capsys.readouterr().err.splitlines()
    assert words.startswith("[red]a [31m")
    assert raw(words + event) == []
    assert json.loads(event) == {"event": "note", "text": f"[red]{EVIL}"}


def test_nothing_is_printed_past_the_one_place():
    """A further command prints by the functions that keep foreign words in check."""
    files = sorted(Path(autointerp.cli.__path__[0]).rglob("*.py"))
    past = re.compile(r"(?<!\.)\bprint\(|\becho\(|sys\.std(out|err)\.write|\bConsole\(")
    found = {f.name: past.findall(f.read_text("utf-8")) for f in files if f != Path(terminal.__file__)}

    assert len(files) > 20
    assert {name for name, lines in found.items() if lines} == set()


SECRET = "s3cr3t"
ADDRESSES = [
    f"https://user:{SECRET}@host/v1",
    f"https://{SECRET}@host/v1",
    f"https:/user:{SECRET}@host/v1",
    f"http://host/v1?api_key={SECRET}",
    f"http://host/v1?a=1&key={SECRET}",
    f"http://host/x?X-Amz-Signature={SECRET}&b=2",
    f"http://host/x?sv=1&sig={SECRET}",
    f"http://host/x?access_token={SECRET}",
]


@pytest.mark.parametrize("url", ADDRESSES)
def test_no_message_tells_the_key_in_an_address(url: str, capsys: pytest.CaptureFixture[str]):
    for text in (url, f"cannot read {url}: no", f'{{"url": "{url}", "b": 1}}', f"({url})"):
        assert SECRET not in without_secrets(text)
        assert "host" in without_secrets(text)
        assert SECRET not in one_line(text) + str(AutointerpError(text)) + as_json({"a": text})
        say(text)
        Live(as_json=True).note(text)
    out, err = capsys.readouterr()
    assert SECRET not in out + err
    assert [json.loads(line)["event"] for line in err.splitlines()] == ["note"] * 4


@pytest.mark.parametrize(
    "text", ["a@b.c and x = 1", "http://host/v1 says key=5", "images/a@2x.png", "C:/x@y", "f(x)?a=1", "at 10:30 me@x"]
)
def test_other_text_stays(text: str):
    assert without_secrets(text) == text
