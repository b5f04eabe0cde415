"""Pictures are found by numbers alone, show what they should, and never break a page."""

from collections.abc import Iterator
from io import BytesIO

import pytest
from explorer.explorer_world import BROKEN, SIZE, asking, hostile
from PIL import Image
from starlette.testclient import TestClient

from autointerp.explorer.heat import heat_png
from autointerp.explorer.viewed import Viewed
from autointerp.schema import Box

Colour = tuple[int, ...]


@pytest.fixture(scope="module")
def explorer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Viewed]:
    with hostile(tmp_path_factory.mktemp("world")) as what:
        yield what


@pytest.fixture
def ask(explorer: Viewed) -> TestClient:
    return asking(explorer)


def shown(ask: TestClient, address: str) -> Image.Image:
    answer = ask.get(address)
    assert answer.status_code == 200, answer.text
    return Image.open(BytesIO(answer.content))


def middle(image: Image.Image) -> Colour:
    found = image.convert("RGB").getpixel((image.width // 2, image.height // 2))
    assert isinstance(found, tuple)
    return found


def is_like(found: Colour, wanted: Colour) -> bool:
    return all(abs(a - b) < 40 for a, b in zip(found, wanted, strict=True))


def test_the_first_face_is_the_crop_of_the_strongest_image(ask: TestClient):
    assert is_like(middle(shown(ask, "/picture/face/0/0.jpg")), (255, 0, 0))
    assert is_like(middle(shown(ask, "/picture/face/0/1.jpg")), (0, 255, 0))
    assert is_like(middle(shown(ask, "/picture/face/0/2.jpg")), (0, 0, 255))


def test_a_whole_image_is_not_enlarged(ask: TestClient):
    whole = shown(ask, "/picture/whole/0.jpg")

    assert whole.size == SIZE
    assert is_like(middle(whole.crop((40, 30, 80, 60))), (0, 0, 0))


@pytest.mark.parametrize(("address", "corner"), [("/picture/heat/0/0.png", 0), ("/picture/heat/0/0.png?of=crop", 100)])
def test_a_heat_map_hides_only_where_the_feature_fires(ask: TestClient, address: str, corner: int):
    heat = shown(ask, address).convert("RGBA").getchannel("A")
    opacity = heat.getpixel((0, 0)), heat.getpixel((heat.width - 1, heat.height - 1))

    # The crop is the left upper half and the context around it, at whose end the map has not faded out yet.
    assert opacity[0] == 230
    assert opacity[1] == 0 if corner == 0 else opacity[1] < 230


def test_a_heat_map_is_cut_as_its_picture_is():
    whole = heat_png(bytes([0, 255]), (1, 2), (100, 50), Box(0, 0, 100, 50), 100)
    right = heat_png(bytes([0, 255]), (1, 2), (100, 50), Box(75, 0, 100, 50), 100)

    levels = [Image.open(BytesIO(png)).convert("RGBA").getchannel("A") for png in (whole, right)]
    assert [level.size for level in levels] == [(100, 50), (50, 100)]
    assert levels[0].getpixel((0, 25)) == 0
    assert levels[1].getextrema() == (230, 230)


def test_a_torn_image_is_a_placeholder_that_no_browser_keeps(ask: TestClient):
    for address in (f"/picture/crop/1/{BROKEN}.jpg", f"/picture/whole/{BROKEN}.jpg", "/picture/face/1/1.jpg"):
        answer = ask.get(address)

        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")
        assert (answer.headers["cache-control"], b"unreadable" in answer.content) == ("no-store", True)


@pytest.mark.parametrize("address", ["/picture/face/0/3.jpg", "/picture/face/7/0.jpg"])
def test_the_place_of_a_face_that_there_is_not_stays_empty(ask: TestClient, address: str):
    answer = ask.get(address)

    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")
    assert b"<text" not in answer.content


@pytest.mark.parametrize(
    "address",
    [
        "/picture/face/0/16.jpg",
        "/picture/face/7/16.jpg",
        "/picture/face/2/0.jpg",
        "/picture/face/0/-1.jpg",
        "/picture/face/-1/0.jpg",
        f"/picture/face/0/{10**30}.jpg",
        f"/picture/crop/{2**63}/0.jpg",
        "/picture/crop/0/99.jpg",
        "/picture/crop/0/%2e%2e.jpg",
        "/picture/crop/0/..%2f..%2fdump.json.jpg",
        "/picture/whole/0x1.jpg",
        "/picture/whole/٣.jpg",
        "/picture/whole/%00.jpg",
        "/picture/heat/0/3.png",
        "/picture/heat/0/5.png",
        "/picture/whole/dump.json",
    ],
)
def test_what_is_not_there_is_not_found_in_plain_words(ask: TestClient, address: str):
    answer = ask.get(address)

    assert answer.status_code == 404
    assert "Not found" in answer.text
    assert "Traceback" not in answer.text


def test_a_picture_is_kept_for_ever_only_under_the_digest_of_its_dump(ask: TestClient, explorer: Viewed):
    stamp = explorer.dump.digest[:12]
    kinds = {v: ask.get(f"/picture/crop/0/0.jpg?v={v}").headers["cache-control"] for v in (stamp, "another", "")}

    assert kinds == {
        stamp: "private, max-age=31536000, immutable",
        "another": "private, no-cache",
        "": "private, no-cache",
    }


def test_a_browser_that_has_a_picture_is_not_sent_it_again(ask: TestClient):
    first = ask.get("/picture/crop/0/0.jpg")

    again = ask.get("/picture/crop/0/0.jpg", headers={"if-none-match": first.headers["etag"]})
    other = ask.get("/picture/crop/0/1.jpg", headers={"if-none-match": first.headers["etag"]})

    assert (again.status_code, again.content, other.status_code) == (304, b"", 200)


@pytest.mark.parametrize(("side", "longest"), [("56", 56), ("112", 112), ("9999", 224), ("-5", 224), ("x", 224)])
def test_only_few_sizes_can_be_asked_for(explorer: Viewed, side: str, longest: int):
    # A larger image than those of the world would be needed to see it in the pixels, so the recipes are compared.
    ask = asking(explorer)
    usual = ask.get("/picture/crop/0/0.jpg").headers["etag"]

    assert (ask.get(f"/picture/crop/0/0.jpg?side={side}").headers["etag"] == usual) == (longest == 224)


def test_an_altered_picture_shows_the_region_alone_taken_away_or_put_into_another_image(ask: TestClient):
    alone = shown(ask, "/picture/altered/crop/0.jpg?box=0,0,40,30")
    gone = shown(ask, "/picture/altered/mean/0.jpg?box=0,0,40,30")
    put = shown(ask, "/picture/altered/paste/0.jpg?box=0,0,40,30&into=1&at=40,30,80,60")

    assert (alone.size, gone.size, put.size) == ((40, 30), SIZE, SIZE)
    assert is_like(middle(alone), (255, 0, 0))
    assert is_like(middle(gone.crop((0, 0, 40, 30))), (0, 0, 0))
    assert is_like(middle(put.crop((40, 30, 80, 60))), (255, 0, 0))
    assert is_like(middle(put.crop((0, 0, 40, 30))), (0, 255, 0))


@pytest.mark.parametrize(
    "address",
    [
        "whole/0.jpg?box=0,0,40,30",
        "crop/0.jpg",
        "crop/0.jpg?box=0,0,40",
        "crop/0.jpg?box=0,0,81,30",
        "crop/0.jpg?box=40,0,40,30",
        "crop/0.jpg?box=-1,0,40,30",
        "crop/99.jpg?box=0,0,40,30",
        "paste/0.jpg?box=0,0,40,30",
        "paste/0.jpg?box=0,0,40,30&into=99&at=0,0,9,9",
        "paste/0.jpg?box=0,0,40,30&into=1&at=0,0,9,99",
    ],
)
def test_what_is_no_region_of_an_image_is_not_found(ask: TestClient, address: str):
    assert ask.get(f"/picture/altered/{address}").status_code == 404


def test_an_altered_picture_of_a_torn_image_is_a_placeholder(ask: TestClient):
    answer = ask.get(f"/picture/altered/blur/{BROKEN}.jpg?box=0,0,40,30")

    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")
