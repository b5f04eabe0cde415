import asyncio
import csv
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from report_browser import Tab, find_browser, in_tab, running
from report_world import World, explained, failed, feature_of, scored, separation, unscored

from autointerp.reports.page import write_report
from autointerp.schema import Box, Control, Exemplar, Feature, FeatureRow
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
            # By the lower bound.
            ("min", "0.5", "2"),
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


@pytest.fixture
def long(world: World, tmp_path: Path) -> str:
    """Forty features in cards of many heights; every fourth has a long explanation."""
    world.n_features, world.widths = 40, (64,)
    world.explanations = [explained(n, "a red wheel " * (40 if n % 4 == 0 else 1)) for n in range(40)]
    world.scores = [scored(n, n / 40) for n in range(40)]
    return write_report(world.data(), tmp_path / "report.html", limit=200).path.as_uri()


SETTLED = "new Promise(done => requestAnimationFrame(() => setTimeout(done, 300)))"
AT = "Math.abs(document.getElementById('f{}').getBoundingClientRect().top)"


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("feature", [2, 21, 38])
def test_a_link_in_the_table_leads_to_the_top_of_its_card(long: str, visit: Visit, width: int, feature: int):
    async def steps(tab: Tab) -> None:
        await tab.open(long, width=width)
        await tab.run(f"document.querySelector('#table a[href=\"#f{feature}\"]').click()")
        await tab.run(SETTLED)
        assert await tab.run(f"{AT.format(feature)} < 20") is True
        assert await tab.run("location.hash") == f"#f{feature}"

    visit(steps)


@pytest.mark.parametrize("address", ["#f21", "#q=wheel&sort=s0&down=1&at=f21"])
def test_an_address_with_a_feature_opens_at_the_top_of_its_card(long: str, visit: Visit, address: str):
    async def steps(tab: Tab) -> None:
        await tab.open(f"{long}{address}")
        await tab.run(SETTLED)
        assert await tab.run(f"{AT.format(21)} < 20") is True
        assert await tab.run("[...document.querySelectorAll('#f21 details')].every(d => d.open)") is True

    visit(steps)


def test_following_a_link_keeps_the_filter_and_the_order_and_going_back_brings_the_view_back(page: str, visit: Visit):
    async def steps(tab: Tab) -> None:
        await tab.open(f"{page}#q=wheel&sort=s0&down=1")
        await tab.run("location.hash = 'f1'")
        await tab.until("location.hash === '#q=wheel&sort=s0&down=1&at=f1'")
        assert await tab.run(SHOWN) == "2 1"
        assert await tab.run("document.querySelector('#tools [name=q]').value") == "wheel"

        await tab.run("document.querySelector('nav a').click()")
        await tab.until("location.hash === '#q=wheel&sort=s0&down=1&at=summary'")
        await tab.run("history.go(-2)")
        await tab.until("location.hash === '#q=wheel&sort=s0&down=1'")
        assert await tab.run(SHOWN) == "2 1"

    visit(steps)


def test_a_linked_card_that_the_filter_hides_is_shown_and_says_so_until_the_filter_changes(page: str, visit: Visit):
    note = "document.querySelector('#f1 .passed').checkVisibility()"

    async def steps(tab: Tab) -> None:
        await tab.open(f"{page}#q=water")
        await tab.run("location.hash = 'f1'")
        await tab.until(f"{CARDS} === '1 3'")
        assert await tab.run(note) is True
        assert await tab.run("[...document.querySelectorAll('#f1 details')].every(d => d.open)") is True

        await tab.run(fill("q", "wheel"))
        assert await tab.run(CARDS) == "1 2"
        assert await tab.run(note) is False

    visit(steps)


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_headline_and_best_median_and_worst_with_pictures_stand_on_the_first_screen(
    world: World, tmp_path: Path, visit: Visit, width: int, height: int
):
    # Scores 0, .1 … .8: the median is .4. The controls fail, which takes most words.
    world.explanations = [explained(n, "a red wheel with many spokes, as of a bicycle or a cart") for n in range(9)]
    world.scores = [scored(n, n / 10) for n in range(9)]
    world.separations = (separation("constant"), separation("other", "does not separate", value=0.6, p=0.5))
    world.notes = ("The judge is not calibrated.",)
    page = write_report(world.data(), tmp_path / "report.html", limit=200).path.as_uri()

    async def steps(tab: Tab) -> None:
        await tab.open(page, width=width, height=height)
        await tab.run(SETTLED)
        links = "[...document.querySelectorAll('.first h2 a')].map(a => a.hash).join(' ')"
        assert await tab.run(links) == "#f8 #f4 #f0"
        for part in (".top b", ".first:nth-child(3) img"):
            box = f"document.querySelector('{part}').getBoundingClientRect()"
            assert await tab.run(f"{box}.height > 30 && {box}.bottom <= {height}") is True
        shown = "[...document.querySelectorAll('.first img')].filter(i => i.checkVisibility())"
        await tab.until(f"{shown}.length >= 6 && {shown}.every(i => i.naturalWidth > 0)")

    visit(steps)


def test_a_click_enlarges_a_picture_and_the_arrow_keys_walk_along_its_row(page: str, visit: Visit):
    caption = "document.querySelector('#zoom .caption').textContent"
    wide = "document.querySelector('#zoom img').getBoundingClientRect().width"

    async def key(tab: Tab, name: str) -> None:
        await tab.call("Input.dispatchKeyEvent", type="keyDown", key=name, code=name)

    async def steps(tab: Tab) -> None:
        await tab.open(f"{page}#f1")
        small = await tab.run("document.querySelector('#f1 .thumbs img').getBoundingClientRect().width")
        await tab.run("document.querySelector('#f1 .thumbs img').click()")
        assert await tab.run(caption) == "Image 0, labelled wheel, activation 4.00"
        large = await tab.run(wide)
        assert isinstance(small, float | int)
        assert isinstance(large, float | int)
        assert large > 3 * small

        await key(tab, "ArrowRight")
        assert await tab.run(caption) == "Image 1, labelled wheel, activation 3.00"
        await key(tab, "ArrowLeft")
        await key(tab, "ArrowLeft")
        assert await tab.run(caption) == "Image 0, labelled wheel, activation 4.00"
        await tab.run("document.querySelector('#zoom img').click()")
        assert await tab.run("document.getElementById('zoom').open") is False

    visit(steps)


def test_the_outlines_can_be_switched_off_and_on_again_and_lie_where_the_region_is(
    world: World, tmp_path: Path, visit: Visit
):
    # Of two by two cells the upper right one fires.
    world.patch_grid, heat = (2, 2), bytes([0, 255, 0, 0])
    active = [Exemplar(i, 4.0 - i, "top", 1.0, None, heat) for i in range(4)]
    world.feature = lambda n: Feature(FeatureRow(n, 16, 50, 4.0, None, None), tuple(active))
    world.explanations = [explained(1)]
    page = write_report(world.data(), tmp_path / "report.html", limit=200).path.as_uri()
    seen = "[...document.querySelectorAll('#f1 .outline')].filter(o => o.checkVisibility()).length"
    box = "document.querySelector('#f1 .outline .line').getBoundingClientRect()"
    image = "document.querySelector('#f1 .outline').parentElement.getBoundingClientRect()"

    async def steps(tab: Tab) -> None:
        await tab.open(f"{page}#f1")
        await tab.run(SETTLED)
        outlined = await tab.run(seen)
        assert outlined
        assert await tab.run(f"Math.abs({box}.left - {image}.left - {image}.width / 2) < 2") is True
        assert await tab.run(f"Math.abs({box}.bottom - {image}.top - {image}.height / 2) < 2") is True

        await tab.run("document.querySelector('#cards .outlines').click()")
        assert await tab.run(seen) == 0
        words = "[...document.querySelectorAll('.outlines')].map(b => b.textContent)"
        assert await tab.run(f"{words}.every(w => w === 'Show outlines')") is True
        await tab.run("document.querySelector('nav .outlines').click()")
        assert await tab.run(seen) == outlined

    visit(steps)


@pytest.mark.parametrize("paper", [680, 794])
def test_the_table_is_printed_as_a_table_that_fits_the_paper(page: str, visit: Visit, paper: int):
    rights = "[...document.querySelectorAll('#table td')].map(c => c.getBoundingClientRect().right)"

    async def steps(tab: Tab) -> None:
        await tab.open(page, width=paper)
        await tab.call("Emulation.setEmulatedMedia", media="print")
        row = "getComputedStyle(document.querySelector('#table tbody tr')).display"
        assert await tab.run(row) == "table-row"
        assert await tab.run("document.querySelector('#table thead').getBoundingClientRect().height > 10") is True
        assert await tab.run(f"Math.max(...{rights}) <= {paper}") is True
        assert await tab.run("document.getElementById('tools').checkVisibility()") is False

    visit(steps)


def test_the_rows_that_pass_the_filter_come_as_a_csv_file_in_the_order_of_the_table(
    world: World, tmp_path: Path, visit: Visit
):
    texts = ["a red wheel", 'red, with "quotes"\nand a break', "=1+red()", "water", ""]
    world.explanations = [explained(n, text) for n, text in enumerate(texts)]
    world.scores = [scored(0, 0.5), scored(1, 0.9), scored(2, 0.75), scored(0, 0.25, "accuracy"), unscored(3)]
    page = write_report(world.data(), tmp_path / "report.html", limit=200).path.as_uri()

    async def steps(tab: Tab) -> None:
        await tab.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
        await tab.open(f"{page}#q=red&sort=s0&down=1")
        await tab.run("document.getElementById('csv').click()")
        while not (tmp_path / "scores.csv").exists():
            await asyncio.sleep(0.05)
        assert tab.complaints == []

    visit(steps)
    with (tmp_path / "scores.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["feature"], row["detection"], row["detection_low"], row["accuracy"]) for row in rows] == [
        ("1", "0.9", "0.8", ""),
        ("2", "0.75", "0.65", ""),
        ("0", "0.5", "0.4", "0.25"),
    ]
    assert [row["explanation"] for row in rows] == [texts[1], "'=1+red()", "a red wheel"]


def test_pictures_appear_nothing_is_asked_of_the_network_and_no_foreign_script_runs(page: str, visit: Visit):
    async def steps(tab: Tab) -> None:
        await tab.open(page)
        await tab.run("document.getElementById('table').scrollIntoView({behavior: 'instant'})")
        await tab.until("[...document.querySelectorAll('#table img')].every(i => i.complete && i.naturalWidth === 256)")
        assert await tab.run("typeof window.owned") == "undefined"
        assert tab.asked == [page]
        assert tab.complaints == []

    visit(steps)


@pytest.mark.parametrize("width", [320, 390, 768, 920, 1440])
def test_no_width_scrolls_sideways_even_with_words_of_300_letters(
    world: World, tmp_path: Path, visit: Visit, width: int
):
    word = "w" * 300
    band = tuple(Exemplar(i, 4.0 - i / 10, "q1", 1.0, Box(0, 0, 40, 40), None) for i in range(8))
    world.feature = lambda n: Feature(feature_of(n).row, (*feature_of(n).exemplars, *band))
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
