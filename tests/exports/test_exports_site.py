"""The site: what its files hold, and what it does in a real browser."""

import json
import re
import threading
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from exports_world import HOSTILE, info_of, write_dump, write_run
from PIL import Image
from report.report_browser import Tab, find_browser, in_tab, running
from report.report_world import explained, scored, unscored

from autointerp.commands.export import export
from autointerp.dump.reader import open_dump
from autointerp.runs.folder import RunWriter
from autointerp.schema import Control

BROWSER = find_browser()
in_a_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium found: install chromium to test the site")
Visit = Callable[[Path, Callable[[Tab, str], Awaitable[None]]], None]

SHOWN = "[...document.querySelectorAll('#rows .id')].map(e => e.textContent.replace('Feature ', '')).join(' ')"
READ = "document.getElementById('shown').textContent.endsWith('found')"
CARD = "document.querySelector('#card h2') && document.querySelector('#card h2').textContent.trim().split(/\\s+/)[1]"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    assert BROWSER is not None
    with running(BROWSER, tmp_path_factory.mktemp("profile")) as address:
        yield address


@pytest.fixture
def visit(browser: str) -> Iterator[Visit]:
    servers: list[ThreadingHTTPServer] = []

    def run(folder: Path, steps: Callable[[Tab, str], Awaitable[None]]) -> None:
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        in_tab(browser, lambda tab: steps(tab, f"http://127.0.0.1:{server.server_port}/index.html"))

    yield run
    for server in servers:
        server.shutdown()
        server.server_close()


def fill(name: str, value: str) -> str:
    return (
        f"(f => {{ f.value = '{value}'; f.dispatchEvent(new Event('input', {{bubbles: true}})); }})"
        f"(document.querySelector('#tools [name={name}]'))"
    )


def key(name: str) -> str:
    return f"dispatchEvent(new KeyboardEvent('keydown', {{key: '{name}', bubbles: true}}))"


def test_every_feature_is_in_the_index_and_has_a_card(run: Path):
    out = export(run, "site").out

    index = json.loads((out / "index" / "00000.json").read_text())
    cards = json.loads((out / "cards" / "00000.json").read_text())
    assert [(row[0], row[1]) for row in index] == [
        (0, "one"),
        (1, "one"),
        (2, "none"),
        (3, "mixed"),
        (4, "failed"),
        (5, "unexplainable"),
    ]
    # Value and bounds; what is not scored is null.
    assert [row[6:9] for row in index[:2]] == [[0.5, 0.4, 0.6], [None, None, None]]
    assert len(cards) == 6
    assert "No explanation: <bdi>never fired</bdi>" in cards[5]
    assert "too few held out" in cards[1]


def test_the_picture_has_the_size_that_the_card_states(run: Path):
    out = export(run, "site", pictures=3).out

    card = json.loads((out / "cards" / "00000.json").read_text())[0]
    stated = re.search(r'src="(.+?)" width="(\d+)" height="(\d+)"', card)
    assert stated is not None
    assert stated[1] == "pictures/0000/0.jpg"
    with Image.open(out / stated[1]) as picture:
        assert picture.size == (int(stated[2]), int(stated[3])) == (336, 112)


def test_hostile_texts_are_escaped_and_the_policy_lets_no_script_in_a_page_run(run: Path):
    out = export(run, "site", title="<script>alert(1)</script>").out

    page, cards = (out / "index.html").read_text(), json.loads((out / "cards" / "00000.json").read_text())
    assert "<script>alert" not in page
    assert "<script" not in cards[1]
    assert "script-src 'self'; connect-src 'self'" in page
    assert re.findall(r"<script[^>]*>", page) == ['<script src="site.js" defer>']
    assert " style=" not in page + "".join(cards)


def test_pieces_of_the_index_and_of_the_cards_hold_so_many_features(run: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("autointerp.exports.site.PER_INDEX", 4)
    monkeypatch.setattr("autointerp.exports.site.PER_CARDS", 5)

    out = export(run, "site").out

    assert [len(json.loads(f.read_text())) for f in sorted((out / "index").iterdir())] == [4, 2]
    assert [len(json.loads(f.read_text())) for f in sorted((out / "cards").iterdir())] == [5, 1]


def test_the_page_begins_with_the_controls(tmp_path: Path, dump: Path):
    with RunWriter(tmp_path / "run", info_of(dump)) as writer:
        for feature in (0, 1, 2, 3, 4, 6, 7):
            writer.explanation(explained(feature))
            writer.score(scored(feature, 0.5, controls={"constant": Control(value=0.6)}))

    page = (export(tmp_path / "run", "site", pictures=0).out / "index.html").read_text()

    assert 0 < page.index("Too few features have negative controls.") < page.index("<h1")


def test_a_run_whose_detection_scored_nothing_is_not_told_to_add_it(tmp_path: Path, dump: Path):
    with RunWriter(tmp_path / "run", info_of(dump)) as writer:
        writer.explanation(explained(0))
        writer.score(unscored(0))
        writer.score(scored(0, 0.5, "choice"))

    page = (export(tmp_path / "run", "site", pictures=0).out / "index.html").read_text()

    assert "The scorer “detection” left every feature unscored." in page


def test_what_the_dump_does_not_cover_is_a_sentence_of_the_page(tmp_path: Path, dump: Path):
    file = dump / "dump.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"population": "sample"}))
    with open_dump(dump) as opened:
        (note,) = opened.info.notes

    page = (export(write_run(tmp_path / "run", dump), "site", pictures=0).out / "index.html").read_text()

    assert f'<p class="note">{note[0].upper()}{note[1:]}.</p>' in page


@in_a_browser
def test_words_states_scores_and_order_choose_what_the_list_shows(
    run: Path, visit: Visit, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("autointerp.exports.site.PER_INDEX", 4)
    out = export(run, "site").out

    async def steps(tab: Tab, address: str) -> None:
        await tab.open(address)
        await tab.until(READ)
        assert await tab.run(SHOWN) == "0 1 2 3 4 5"
        for name, value, left in [
            ("q", "WHEEL red", "0"),
            ("q", "snow", "3"),
            ("q", "answer", ""),  # no explanation says so, but the failure of feature 4 does
            ("q", "4", "4"),
            ("state", "failed", "4"),
            ("state", "unscored", "1 2 3 4 5"),
            ("width", "4", "0 1 2 3"),
            ("min", "0.4", "0"),
            ("min", "0.41", ""),
            ("sort", "rare", "5 0 1 2 3 4"),
        ]:
            await tab.run(fill(name, value))
            assert await tab.run(SHOWN) == left, (name, value)
            await tab.run(fill(name, ""))

    visit(out, steps)


@in_a_browser
def test_a_feature_opens_by_its_link_and_by_keys_and_the_address_keeps_the_view(run: Path, visit: Visit):
    out = export(run, "site").out

    async def steps(tab: Tab, address: str) -> None:
        await tab.open(f"{address}#q=&sort=&f=3")
        await tab.until(f"({CARD}) === '3'")
        assert await tab.run("document.activeElement.textContent.includes('Feature 3')")
        await tab.run(key("ArrowLeft"))
        await tab.until(f"({CARD}) === '2'")
        assert await tab.run("location.hash.includes('f=2')")
        await tab.run(key("Escape"))
        await tab.until("!document.getElementById('list').hidden")
        assert await tab.run("document.activeElement.textContent.includes('Feature 2')")

    visit(out, steps)


@in_a_browser
def test_hostile_texts_do_nothing_and_nothing_is_asked_of_another_server(run: Path, visit: Visit):
    out = export(run, "site", title="<img src=x onerror=window.owned=1>").out

    async def steps(tab: Tab, address: str) -> None:
        await tab.open(f"{address}#f=1")
        await tab.until(f"({CARD}) === '1'")
        shown = await tab.run("document.querySelector('#card .explanation').textContent")
        await tab.run("location.hash = ''")
        await tab.until(READ)
        listed = await tab.run("document.querySelectorAll('#rows .words')[1].textContent")
        await tab.until("[...document.images].every(i => i.complete)")

        assert (shown, listed) == (HOSTILE, HOSTILE)
        assert await tab.run("window.owned === undefined")
        assert tab.complaints == []
        assert [url for url in tab.asked if not url.startswith(address.removesuffix("index.html"))] == []

    visit(out, steps)


@in_a_browser
@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_is_wider_than_the_screen_and_each_picture_is_there(run: Path, visit: Visit, width: int, scheme: str):
    out = export(run, "site").out
    wider = "document.documentElement.scrollWidth > innerWidth"

    async def steps(tab: Tab, address: str) -> None:
        await tab.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        await tab.open(address, width=width)
        await tab.until(READ)
        assert not await tab.run(wider)
        await tab.run("location.hash = 'f=1'")
        await tab.until(f"({CARD}) === '1'")
        await tab.until("document.querySelector('#card img').complete")
        assert await tab.run("document.querySelector('#card img').naturalWidth") == 336
        assert not await tab.run(wider)

    visit(out, steps)


@in_a_browser
def test_the_best_are_those_of_the_highest_lower_bound_and_pages_hold_fifty(tmp_path: Path, visit: Visit):
    dump = write_dump(tmp_path / "dump", n=60)
    with RunWriter(tmp_path / "run", info_of(dump)) as writer:
        for feature in range(60):
            writer.explanation(explained(feature, f"text {feature}"))
            writer.score(scored(feature, feature / 60, low=(59 - feature) / 60, high=1.0))
    out = export(tmp_path / "run", "site", pictures=0).out

    async def steps(tab: Tab, address: str) -> None:
        await tab.open(f"{address}#sort=worst")
        await tab.until(READ)
        assert await tab.run(SHOWN) == " ".join(str(n) for n in range(59, 9, -1))
        await tab.run("document.getElementById('after').click()")
        await tab.until("document.getElementById('page').textContent === 'page 2 of 2'")
        assert await tab.run(SHOWN) == " ".join(str(n) for n in range(9, -1, -1))

    visit(out, steps)


def test_a_picture_that_cannot_be_made_leaves_its_cell_empty(tmp_path: Path):
    run = write_run(tmp_path / "run", write_dump(tmp_path / "dump", broken=True))

    assert export(run, "site", pictures=3).broken == 5
