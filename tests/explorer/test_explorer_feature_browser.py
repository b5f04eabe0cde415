"""The pages of features and images in a real browser."""

from collections.abc import Iterator

import pytest
from explorer.explorer_world import HOSTILE, hostile, picture
from explorer.test_explorer_image import Encoder
from standin.browser import Tab, chromium, served

from autointerp.explorer.server import app_of
from autointerp.explorer.viewed import Viewed

PHONE = {"width": 390, "height": 844}
TALL = {"width": 1440, "height": 3000}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[object, str]]:
    with hostile(tmp_path_factory.mktemp("world")) as what:
        assert what.reversing.reverse(60) is not None
        kept = (what.dump, what.runs, what.renderer, what.guard, what.indices, what.cache)
        with served(app_of(Viewed(*kept, Encoder()))) as address, chromium() as browser:
            yield browser, address


@pytest.fixture
def tab(place: tuple, request: pytest.FixtureRequest) -> Iterator[Tab]:
    with Tab(*place, **getattr(request, "param", TALL)) as watched:
        yield watched


@pytest.mark.parametrize("path", ["feature/0", "image/0", "image/4", "feature/0/exchanges"])
def test_hostile_texts_and_torn_images_do_nothing(tab: Tab, path: str):
    page = tab.open(path)

    assert page.evaluate("[window.owned, document.getElementById('forged')]") == [None, None]
    assert tab.complaints == []
    assert tab.beyond == []
    if path == "feature/0":
        assert HOSTILE in page.inner_text(".explanation")


def test_pictures_and_related_features_are_there(tab: Tab):
    page = tab.open("feature/0")
    page.wait_for_selector("#related .related li")

    broken = "[...document.images].filter(i => i.complete && !i.naturalWidth && !i.hidden && i.src).length"
    assert page.evaluate(broken) == 0
    assert "cosine 0.56, at least 0.22" in page.inner_text("#related")


def test_questions_and_replies_load_on_a_click(tab: Tab):
    page = tab.open("feature/0")
    page.click("#exchanges .load")
    page.wait_for_selector("#exchanges details[open]")

    page.click("#exchanges details details summary")
    assert page.inner_text("#exchanges pre.reply") == HOSTILE
    assert page.evaluate("window.owned") is None


def test_the_heat_map_is_switched_and_faded_and_that_is_remembered(tab: Tab):
    page = tab.open("feature/0")
    opacity = "getComputedStyle(document.querySelector('.shot .heat')).opacity"
    display = "getComputedStyle(document.querySelector('.shot .heat')).display"
    page.evaluate(
        "() => { const r = document.querySelector('[name=strength]'); r.value = 30; "
        "r.dispatchEvent(new Event('input', { bubbles: true })); }"
    )
    assert page.evaluate(opacity) == "0.3"

    page.keyboard.press("h")
    assert page.evaluate(display) == "none"
    page = tab.open("feature/1")

    assert (page.evaluate(display), page.evaluate(opacity)) == ("none", "0.3")
    assert not page.is_checked("[name=heat]")


def test_whole_images_take_the_place_of_crops(tab: Tab):
    page = tab.open("feature/0")
    source = "new URL(document.querySelector('.shot .pixels').src).pathname"
    assert page.evaluate(source) == "/picture/crop/0/0.jpg"

    page.check("[name=part][value=whole]")
    assert page.evaluate(source) == "/picture/whole/0.jpg"
    page.keyboard.press("Escape")
    page.locator("h1").click()
    page.keyboard.press("w")

    assert page.evaluate(source) == "/picture/crop/0/0.jpg"


def test_a_click_shows_the_whole_image_and_escape_gives_the_focus_back(tab: Tab):
    page = tab.open("feature/0")
    page.click(".shot .frame >> nth=0")
    assert page.evaluate("document.getElementById('whole').open")
    caption = page.inner_text("#whole .caption")

    page.keyboard.press("ArrowRight")
    assert page.inner_text("#whole .caption") != caption
    page.keyboard.press("Escape")

    assert not page.evaluate("document.getElementById('whole').open")
    assert page.evaluate("document.activeElement.dataset.image") == "0"
    assert page.url.endswith("/feature/0")


def test_the_keyboard_goes_to_the_features_beside_in_the_lists_order(tab: Tab):
    page = tab.open("feature/1?sort=feature&down=1")
    with page.expect_navigation():
        page.keyboard.press("n")
    assert page.url.endswith("/feature/0?sort=feature&down=1")

    with page.expect_navigation():
        page.keyboard.press("ArrowLeft")
    assert page.url.endswith("/feature/1?sort=feature&down=1")


def test_the_keyboard_goes_to_the_images_beside(tab: Tab):
    page = tab.open("image/1")
    with page.expect_navigation():
        page.keyboard.press("p")

    assert page.url.endswith("/image/0")


def test_keys_in_a_field_are_text(tab: Tab):
    page = tab.open("feature/0")
    page.focus("[name=strength]")
    page.keyboard.press("ArrowRight")

    assert page.url.endswith("/feature/0")
    assert page.input_value("[name=strength]") == "75"


def test_pointing_at_a_feature_shows_where_it_fires(tab: Tab):
    page = tab.open("image/0")
    page.focus(".fired li:nth-child(2) a")

    assert page.evaluate("[...document.querySelectorAll('.boxes .on')].map(r => r.dataset.feature)") == ["0"]
    assert page.evaluate("new URL(document.querySelector('.canvas .heat').src).pathname") == "/picture/heat/0/0.png"
    assert page.inner_text("#told").startswith("0 ")


def test_an_image_of_ones_own_is_encoded_and_its_features_lead_on(tab: Tab):
    page = tab.open("image")
    own = {"name": HOSTILE.replace("/", "") + ".png", "mimeType": "image/png", "buffer": picture("red")}
    page.set_input_files("#file", own)
    page.wait_for_selector("#dropped .fired li")

    assert page.inner_text("#fired-title") == "3 features fire on this image"
    assert page.evaluate("document.activeElement.id") == "fired-title"
    assert page.get_attribute("#dropped .fired a >> nth=0", "href") == "/feature/3"
    assert (page.evaluate("window.owned"), tab.complaints) == (None, [])

    page.set_input_files("#file", own | {"buffer": b"nonsense"})
    page.wait_for_selector("#drop-status.wrong")
    assert "no image that can be read" in page.inner_text("#drop-status")


@pytest.mark.parametrize("tab", [PHONE, TALL], indirect=True)
@pytest.mark.parametrize("path", ["feature/0", "image/0", "image", "feature/0/related"])
def test_nothing_is_wider_than_the_screen_or_jumps_while_pictures_load(tab: Tab, path: str):
    moved = """new Promise(done => {
        const found = [];
        new PerformanceObserver(list => found.push(...list.getEntries().flatMap(e =>
            e.sources.map(s => `${e.value.toFixed(4)} ${s.node && (s.node.outerHTML || s.node.data).slice(0, 80)}`)
        ))).observe({ type: 'layout-shift', buffered: true });
        setTimeout(() => done(found), 300);
    })"""
    page = tab.open(path)
    for place in range(0, 4000, 600):
        page.evaluate(f"scrollTo(0, {place})")
        page.wait_for_load_state("networkidle")

    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(moved) == []


@pytest.mark.parametrize("path", ["feature/0", "image/0", "image"])
def test_every_picture_link_and_field_has_a_name(tab: Tab, path: str):
    page = tab.open(path)
    unnamed = """[...document.querySelectorAll('a, button, input:not([hidden]), img:not([alt])')].filter(e =>
        !(e.innerText || '').trim() && !e.getAttribute('aria-label') && !(e.labels && e.labels.length)
        && ![...e.querySelectorAll('img')].some(i => i.alt)).map(e => e.outerHTML)"""

    assert page.evaluate(unnamed) == []
