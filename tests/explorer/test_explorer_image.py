"""The pages of images say what the dump knows to fire on them, and encode those that somebody drops."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from explorer.explorer_world import HEAT, LAST, SIZE, asking, hostile, picture
from starlette.testclient import TestClient

from autointerp.errors import ImageError
from autointerp.explorer import dropped
from autointerp.explorer.dropped import KEPT, Dropped
from autointerp.explorer.reversing import Reversing
from autointerp.explorer.viewed import Viewed
from autointerp.transcoder.fired import FiredLatent, FiredOn
from autointerp.web.guard import CHANGES


class Encoder:
    """Lets features 3 and 0 fire on every image, and 2, which the dump does not have."""

    name = "a planted coder"
    directions = None

    def __init__(self) -> None:
        self.asked = 0

    def encode(self, data: bytes, /, *, above: float, most: int) -> FiredOn:
        self.asked += 1
        if data == b"nonsense":
            raise ImageError("file of 8 bytes: not an image that can be read")
        assert above == 0.5
        latents = (FiredLatent(3, 4.5, HEAT), FiredLatent(2, 3.0, HEAT), FiredLatent(0, 1.0, None))
        return FiredOn(SIZE, (2, 2), latents[:most], 3)


@pytest.fixture(scope="module")
def explorer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Viewed]:
    with hostile(tmp_path_factory.mktemp("world")) as what:
        assert what.reversing.reverse(60) is not None
        yield what


@pytest.fixture
def ask(explorer: Viewed) -> TestClient:
    return asking(explorer)


@pytest.fixture
def encoding(explorer: Viewed) -> Viewed:
    kept = (explorer.dump, explorer.runs, explorer.renderer, explorer.guard, explorer.indices, explorer.cache)
    return Viewed(*kept, Encoder())


def drop(what: Viewed, data: bytes) -> tuple[TestClient, int, str]:
    ask = asking(what)
    answer = ask.post("/encode", content=data, headers={CHANGES: what.guard.changes})
    return ask, answer.status_code, answer.text


def test_the_features_of_an_image_come_strongest_first_with_their_regions(ask: TestClient):
    page = ask.get("/image/0").text

    assert re.findall(r'<li data-feature="(\d)"', page) == ["3", "0", "1"]
    assert re.findall(r"<b>(\d\.\d\d)</b>", page) == ["9.00", "4.00", "2.00"]
    assert page.count('x="0" y="0" width="40" height="30"') == 3
    assert "3 features known to fire here" in page
    assert "a feature that is not listed may fire here as well" in page
    assert "has the attribute" in page


def test_a_feature_that_a_link_names_is_marked(ask: TestClient):
    assert re.findall(r'<li data-feature="(\d)"[^>]* class="chosen"', ask.get("/image/0?feature=1").text) == ["1"]
    for odd in ("x", "9" * 200, "-1"):
        assert ask.get(f"/image/0?feature={odd}").status_code == 200


def test_an_image_on_which_nothing_is_known_to_fire_says_so(ask: TestClient):
    page = ask.get(f"/image/{LAST}").text

    assert "0 features known to fire here" in page
    assert "No feature's stored rows hold this image" in page


def test_while_the_dump_is_being_indexed_the_page_says_so_and_loads_again(
    explorer: Viewed, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Reversing, "reverse", lambda self, wait: None)
    page = asking(explorer).get("/image/0")

    assert (page.status_code, 'http-equiv="refresh"' in page.text) == (200, True)
    assert "being indexed by image, once" in page.text


def test_where_the_cache_cannot_be_written_the_page_says_what_to_do(tmp_path: Path):
    with hostile(tmp_path) as what:
        (tmp_path / "cache" / "reverse").write_text("in the way")
        answer = asking(what).get("/image/0")

    assert answer.status_code == 500
    assert "cannot be written" in answer.text
    assert "--cache" in answer.text


def test_all_images_can_be_leafed_through(ask: TestClient):
    page = ask.get("/image").text

    assert re.findall(r'href="/image/(\d)"', page) == ["0", "1", "2", "3", "4", "5"]
    assert ask.get("/image?page=99").status_code == ask.get("/image?page=x").status_code == 200
    assert ask.get("/image?image=3").headers["location"] == "/image/3"
    assert ask.get("/image?image=//evil.com").headers["location"] == "/image"


def test_without_a_coder_the_page_says_what_to_give(ask: TestClient, explorer: Viewed):
    assert "--coder DIR --backbone NAME" in ask.get("/image").text
    _, status, text = drop(explorer, picture("red"))
    assert (status, "--coder" in text) == (409, True)


def test_a_dropped_image_has_its_features_with_regions_and_heat_maps(encoding: Viewed):
    ask, status, text = drop(encoding, picture("red"))

    assert status == 200
    # The dump does not have feature 2.
    assert re.findall(r'<li data-feature="(\d)"', text) == ["3", "0"]
    assert "3 features fire on this image" in text
    assert "a planted coder" in text
    key = re.findall(r"/dropped/([0-9a-f]{64})/3\.png", text)[0]
    assert ask.get(f"/dropped/{key}.jpg").content == ask.get(f"/dropped/{key}.jpg").content != b""


def test_a_dropped_image_is_found_again_by_its_digest_alone(encoding: Viewed):
    app = asking(encoding)
    sent = app.post("/encode", content=picture("blue"), headers={CHANGES: encoding.guard.changes})
    key = re.findall(r"/dropped/([0-9a-f]{64})\.jpg", sent.text)[0]

    assert app.get(f"/dropped/{key}.jpg").headers["content-type"] == "image/jpeg"
    assert app.get(f"/dropped/{key}/3.png").content[:4] == b"\x89PNG"
    for missing in (f"/dropped/{key}/0.png", f"/dropped/{key}/9.png", f"/dropped/{key}/x.png", "/dropped/abc.jpg"):
        assert app.get(missing).status_code == 404


def test_what_is_no_image_is_told_in_a_line(encoding: Viewed):
    _, status, text = drop(encoding, b"nonsense")

    assert (status, text) == (
        422,
        "This is no image that can be read: file of 8 bytes: not an image that can be read",
    )


def test_a_file_that_is_too_large_is_not_read_to_its_end(encoding: Viewed, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(dropped, "MOST_BYTES", 1000)
    _, status, text = drop(encoding, bytes(1001))

    assert (status, "larger than" in text) == (413, True)
    assert encoding.encoder.asked == 0  # pyright: ignore[reportOptionalMemberAccess, reportAttributeAccessIssue]


def test_only_a_page_of_the_explorer_can_have_an_image_encoded(encoding: Viewed):
    assert asking(encoding).post("/encode", content=picture("red")).status_code == 403


def test_the_same_file_is_encoded_once_and_few_are_kept():
    encoder, kept = Encoder(), Dropped()
    first = kept.take(encoder, picture("red"), above=0.5, most=9)
    again = kept.take(encoder, picture("red"), above=0.5, most=9)
    assert (first, encoder.asked) == (again, 1)

    for i in range(KEPT):
        kept.take(encoder, picture(f"rgb({i}, 0, 0)"), above=0.5, most=9)

    assert kept.get(first[0]) is None
