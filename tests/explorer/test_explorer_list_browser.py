"""The list, the overview and the comparison in a real browser: by keyboard, without a script, with hostile texts."""

import re

import pytest
from explorer.explorer_world import opened
from exports.exports_world import info_of, write_dump, write_run
from report.report_world import explained, scored
from standin.browser import Tab, chromium, served

from autointerp.explorer.server import app_of
from autointerp.runs.folder import RunWriter

NASTY = '</bdi></td><script>window.owned=1</script><img src=x onerror="window.owned=2"> \u202e\u2066 ' + "x" * 600


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explorer")
    dump = write_dump(folder / "dump")
    one, two = write_run(folder / "one", dump), write_run(folder / "two", dump)
    with RunWriter(one, info_of(dump)) as writer:
        writer.explanation(explained(6, NASTY))
        writer.score(scored(2, 0.9))
    with opened(one, two, cache=folder / "cache") as what, served(app_of(what)) as found:
        yield found


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.mark.parametrize("place", ["", "overview", "compare", "?q=script&sort=difference"])
@pytest.mark.parametrize("width", [390, 1440])
def test_pages_hold_their_width_ask_for_nothing_beyond_and_run_no_script_of_a_text(
    browser, address: str, place: str, width: int
):
    with Tab(browser, address, width=width, dark=width == 390) as tab:
        page = tab.open(place)

        assert page.evaluate("window.owned") is None
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert (tab.complaints, tab.beyond) == ([], [])


def test_the_keyboard_finds_walks_and_opens(browser, address: str):
    with Tab(browser, address) as tab:
        page = tab.open()
        page.keyboard.press("/")
        page.keyboard.type("wheel")
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile(r"\?q=wheel$"))
        page.keyboard.press("j")
        assert page.evaluate("document.activeElement.textContent") == "0"
        page.goto(address)
        for key in ("j", "ArrowDown", "j", "k"):
            page.keyboard.press(key)
        assert page.evaluate("document.activeElement.textContent") == "1"
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile(r"/feature/1$"))


def test_without_a_script_the_form_narrows_the_list(browser, address: str):
    with Tab(browser, address, script=False) as tab:
        page = tab.open()
        page.click("text=Filters")
        page.select_option("select[name=state]", "mixed")
        page.click("text=Apply")
        page.wait_for_url(re.compile("state=mixed"))

        assert page.locator("#list tbody tr").count() == 1
        assert page.locator(".chips bdi").all_inner_texts() == ["several properties"]


def test_nothing_moves_while_pictures_load(browser, address: str):
    with Tab(browser, address) as tab:
        page = tab.open()
        moved = page.evaluate(
            """() => new Promise((done) => {
                let sum = 0;
                new PerformanceObserver((list) => { for (const e of list.getEntries()) sum += e.value; })
                    .observe({ type: "layout-shift", buffered: true });
                setTimeout(() => done(sum), 200);
            })"""
        )

        assert moved < 0.01


def test_bars_and_cells_are_reached_by_keyboard(browser, address: str):
    with Tab(browser, address) as tab:
        page = tab.open("overview")
        page.focus("main")
        reached = []
        for _ in range(12):
            page.keyboard.press("Tab")
            reached.append(page.evaluate("document.activeElement.closest('svg')?.getAttribute('class')"))
        assert {"columns-drawn", "cells"} <= {*reached}
        stops = "(all) => all.map((one) => one.querySelectorAll('a:not([tabindex=\"-1\"])').length)"
        assert {*page.eval_on_selector_all(".columns-drawn, .cells", stops)} == {1}

        page.focus(".columns-drawn a[tabindex='0']")
        first = page.evaluate("document.activeElement.getAttribute('aria-label')")
        page.keyboard.press("ArrowRight")
        second = page.evaluate("document.activeElement.getAttribute('aria-label')")
        page.keyboard.press("ArrowLeft")
        back = page.evaluate("document.activeElement.getAttribute('aria-label')")
        page.keyboard.press("Enter")
        page.wait_for_url("**score_from=**")

    assert (first == back, first == second) == (True, False)


def test_the_form_of_the_images_page_is_no_button(browser, address: str):
    with Tab(browser, address) as tab:
        page = tab.open("image")
        colours = page.evaluate(
            "['.jump', 'main'].map((one) => getComputedStyle(document.querySelector(one)).backgroundColor)"
        )

    assert colours[0] == colours[1]
