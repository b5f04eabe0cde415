from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from report_browser import Tab, find_browser, in_tab, running
from report_world import World, explained, failed, feature_of, scored, separation, unscored

from autointerp.reports.page import write_report
from autointerp.schema import Control
from autointerp.scoring.control_tests import CONTROLS

BROWSER = find_browser()
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium found: install chromium to test the script")

SHOWN = "[...document.querySelectorAll('#table tbody tr')].filter(r => !r.hidden).map(r => r.dataset.feature).join(' ')"
CARDS = "[...document.querySelectorAll('.card')].filter(c => !c.hidden).map(c => c.dataset.feature).join(' ')"
SORTED = "[...document.querySelectorAll('[aria-sort]')].map(h => h.textContent.trim() + '=' + h.ariaSort).join(' ')"

Visit = Callable[[Callable[[Tab], Awaitable[None]]], None]


@pytest.fixture
def page(world: World, tmp_path: Path) -> str:
    """Features 1–6: 1–3 scored .5 .9 .1, 4 none, 5 mixed and unscored, 6 failed; even ones of width 32."""
    world.feature = lambda n: feature_of(n, width=32 if n % 2 == 0 else 16)
    world.explanations = [
        explained(1, "a red wheel"),
        explained(2, "a Blue wheel <script>window.owned=1</script>"),
        explained(3, "water"),
        explained(4, ""),
        explained(5, "sand or snow", mixed=True, concepts=("sand", "snow")),
    ]
    world.scores = [scored(1, 0.5), scored(2, 0.9), scored(3, 0.1), unscored(5)]
    world.failures = [failed(6), failed(3, "score:accuracy")]
    return write_report(world.data(), tmp_path / "report.html", limit=200).path.as_uri()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    assert BROWSER is not None
    with running(BROWSER, tmp_path_factory.mktemp("profile")) as address:
        yield address


@pytest.fixture
def visit(browser: str) -> Visit:
    return lambda steps: in_tab(browser, steps)


def press(column: str) -> str:
    return f"document.querySelector('[data-sort={column}]').click()"


def fill(name: str, value: str) -> str:
    return (
        f"(f => {{ f.value = '{value}'; f.dispatchEvent(new Event('input', {{bubbles: true}})); }})"
        f"(document.querySelector('#tools [name={name}]'))"
    )


def test_a_click_on_a_head_sorts_rows_and_cards_with_missing_scores_last(page: str, visit: Visit):
    async def steps(tab: Tab) -> None:
        await tab.open(page)
        assert await tab.run(SHOWN) == "1 2 3 4 5 6"

        await tab.run(press("s0"))
        assert await tab.run(SHOWN) == "2 1 3 4 5 6"
        assert await tab.run(CARDS) == "2 1 3 4 5 6"
        assert await tab.run(SORTED) == "Feature=none Width=none Density=none F1=descending"

        await tab.run(press("s0"))
        assert await tab.run(SHOWN) == "3 1 2 4 5 6"
        assert await tab.run(SORTED) == "Feature=none Width=none Density=none F1=ascending"

    visit(steps)


def test_each_filter_keeps_what_it_says_and_reset_brings_all_back(page: str, visit: Visit):
    async def steps(tab: Tab) -> None:
        await tab.open(page)
        for name, value, left in [
            ("q", "WHEEL blue", "2"),
            ("q", "snow", "5"),
            ("show", "none", "4"),
            ("show", "mixed", "5"),
            ("show", "failed", "3 6"),
            ("width", "32", "2 4 6"),
            ("min", "0.5", "1 2"),
        ]:
            await tab.run(fill(name, value))
            assert await tab.run(SHOWN) == left
            assert await tab.run(CARDS) == left
            await tab.run("document.querySelector('#tools [type=reset]').click()")
            await tab.until(f"{SHOWN} === '1 2 3 4 5 6'")

    visit(steps)


def test_the_view_stands_in_the_address_and_opens_from_it(page: str, visit: Visit):
    async def steps(tab: Tab) -> None:
        await tab.open(f"{page}#q=wheel&sort=s0&down=1")
        assert await tab.run(SHOWN) == "2 1"
        assert await tab.run("document.getElementById('shown').textContent") == "2 of 6"

        await tab.run(fill("q", "blue"))
        assert await tab.run("location.hash") == "#q=blue&sort=s0&down=1"

    visit(steps)


def test_a_search_that_finds_nothing_says_so(page: str, visit: Visit):
    async def steps(tab: Tab) -> None:
        await tab.open(page)
        await tab.run(fill("q", "zebra"))
        assert await tab.run(SHOWN) == ""
        assert await tab.run("document.getElementById('no-cards').hidden") is False

    visit(steps)


def test_a_link_to_a_card_opens_its_details_even_where_a_filter_hid_it(page: str, visit: Visit):
    async def steps(tab: Tab) -> None:
        await tab.open(f"{page}#q=water")
        await tab.run("location.hash = 'f1'")
        await tab.until("!document.getElementById('f1').hidden")
        await tab.until("[...document.querySelectorAll('#f1 details')].every(d => d.open)")

    visit(steps)


def test_pictures_appear_nothing_is_asked_of_the_network_and_no_foreign_script_runs(page: str, visit: Visit):
    async def steps(tab: Tab) -> None:
        await tab.open(page)
        await tab.run("document.getElementById('table').scrollIntoView({behavior: 'instant'})")
        await tab.until("[...document.querySelectorAll('#table img')].every(i => i.complete && i.naturalWidth === 144)")
        assert await tab.run("typeof window.owned") == "undefined"
        assert tab.asked == [page]
        assert tab.complaints == []

    visit(steps)


@pytest.mark.parametrize("width", [320, 390, 768, 920, 1440])
def test_no_width_scrolls_sideways_even_with_words_of_300_letters(
    world: World, tmp_path: Path, visit: Visit, width: int
):
    word = "w" * 300
    world.title = word
    world.explanations = [explained(1, word, lookalikes=word, model=word, mixed=True, concepts=(word, word))]
    bounded = {word: 0.5, f"{word}_low": 0.25, f"{word}_high": 0.75, "unsure": word}
    world.scores = [scored(1, 0.5, details=bounded, controls={word: Control(value=0.1)}), unscored(2, word, word)]
    world.separations = tuple(separation(c, "does not separate", p=0.5) for c in CONTROLS)
    world.failures = [failed(2, message=word)]
    page = write_report(world.data(), tmp_path / "report.html", limit=200).path.as_uri()

    async def steps(tab: Tab) -> None:
        await tab.open(page, width=width)
        await tab.run("document.getElementById('open-all').click()")
        assert await tab.run("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0

    visit(steps)


@pytest.fixture
def tree(world: World, tmp_path: Path) -> str:
    """Of 0 to 3 each has 15 features under it, and 4 under 0 has one more: too many to be unfolded at first."""
    world.widths = (4, 64, 128)
    world.explanations = [*(explained(n) for n in range(64)), explained(70, "w" * 300)]
    world.parents = {n: (n % 4,) for n in range(4, 64)} | {70: (4,)}
    world.scores = [scored(70, 0.5)]
    return write_report(world.data(), tmp_path / "report.html", limit=1).path.as_uri()


VISIBLE = "[...document.querySelectorAll('.tree ul li')].filter(l => l.checkVisibility()).length"


def test_a_tree_unfolds_by_key_and_by_button(tree: str, visit: Visit):
    # Under each of four 12 of 15 and a line for the rest, and one under 4.
    async def steps(tab: Tab) -> None:
        await tab.open(tree)
        assert await tab.run(VISIBLE) == 0

        await tab.run("document.querySelector('.tree summary').focus()")
        enter = {"key": "Enter", "code": "Enter", "text": "\r", "windowsVirtualKeyCode": 13}
        for kind in ("keyDown", "keyUp"):
            await tab.call("Input.dispatchKeyEvent", type=kind, **enter)
        assert await tab.run(VISIBLE) == 13

        await tab.run("document.getElementById('open-tree').click()")
        assert await tab.run(VISIBLE) == 4 * 13 + 1

        await tab.run("document.getElementById('close-tree').click()")
        assert await tab.run(VISIBLE) == 0

    visit(steps)


def test_a_folded_tree_is_printed_whole(tree: str, visit: Visit):
    async def steps(tab: Tab) -> None:
        await tab.open(tree)
        assert await tab.run(VISIBLE) == 0

        await tab.call("Emulation.setEmulatedMedia", media="print")
        heights = "[...document.querySelectorAll('.tree ul li')].map(l => l.getBoundingClientRect().height)"
        assert await tab.run(f"Math.min(...{heights}) > 10") is True
        assert await tab.run(VISIBLE) == 53

    visit(steps)


@pytest.mark.parametrize("width", [320, 500, 768, 1440])
def test_no_width_scrolls_an_unfolded_tree_sideways(tree: str, visit: Visit, width: int):
    async def steps(tab: Tab) -> None:
        await tab.open(tree, width=width)
        await tab.run("document.getElementById('open-tree').click()")
        rights = "[...document.querySelectorAll('.tree *')].map(e => e.getBoundingClientRect().right)"
        assert await tab.run("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
        assert await tab.run(f"Math.max(...{rights}) <= {width}") is True

    visit(steps)


def test_without_the_script_a_tree_stands_and_unfolds(tree: str, visit: Visit, tmp_path: Path):
    whole = (tmp_path / "report.html").read_text()
    plain = tmp_path / "plain.html"
    plain.write_text(whole[: whole.index("<script>")])

    async def steps(tab: Tab) -> None:
        await tab.open(plain.as_uri())
        assert await tab.run("document.getElementById('open-tree').checkVisibility()") is False
        await tab.run("document.querySelector('.tree summary').click()")
        assert await tab.run(VISIBLE) == 13

    visit(steps)
