"""An image goes out with a hole in its mask where the region is, and what comes back is kept as any picture is."""

import asyncio
import io
import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from standin.painting import Fault, Painting, Payload, error

from autointerp.errors import EndpointError
from autointerp.images.picture import Tile
from autointerp.lmm.budget import Ledger
from autointerp.lmm.cache import Cache
from autointerp.lmm.gateway import Gateway
from autointerp.lmm.images.client import ImagesClient
from autointerp.lmm.images.edits import Canvas, edit_request
from autointerp.lmm.images.painter import Painted, Painter
from autointerp.lmm.images.prices import price_a_picture
from autointerp.lmm.images.request import one_picture
from autointerp.lmm.images.store import FOLDER, PictureStore
from autointerp.lmm.limits import Limiter
from autointerp.lmm.outcomes import Failure
from autointerp.schema import Box

FIELDS = {"size": "80x40"}
TILE = Tile(7, "7" * 64, (40, 30), "full", None)
BOX, CORNER = Box(10, 15, 20, 30), Box(0, 0, 9, 9)


class OneImage:
    """Of 40 x 30 pixels, red."""

    async def jpegs(self, pictures: object) -> list[bytes]:
        raise NotImplementedError

    async def tile(self, tile: Tile, side: int) -> Image.Image:
        assert (tile, side) == (TILE, 53)
        return Image.new("RGB", (40, 30), (200, 0, 0))


def filled(payload: Payload) -> Image.Image:
    """Paints what the mask leaves open blue, as a server does."""
    image, mask = payload["image"], payload["mask"]
    assert isinstance(image, Image.Image)
    assert isinstance(mask, Image.Image)
    out = Image.new("RGB", image.size, (0, 0, 200))
    out.paste(image, (0, 0), mask.getchannel("A"))
    return out


def edit(folder: Path, server: Painting, seed: int = 3, box: Box = BOX) -> Painted | Failure:
    async def main(cache: Cache) -> Painted | Failure:
        store = PictureStore(folder / FOLDER)
        client = ImagesClient(server.url, store, timeout=120, connections=4, cache=cache)
        free = price_a_picture("painter", size=None, quality=None, on=date(2026, 11, 29), overrides=None)
        ledger = Ledger(None, {"painter": free})
        gateway = Gateway(client, cache, Limiter(4), ledger, OneImage(), attempts=2, estimate=one_picture)
        try:
            return await Painter(gateway, store, "painter", FIELDS).made(
                edit_request("painter", "Fill it.", seed, FIELDS, TILE, box)
            )
        finally:
            await client.aclose()

    with Cache(folder / "answers") as cache:
        return asyncio.run(main(cache))


def test_the_image_lies_in_the_middle_as_large_as_it_fits_and_the_mask_is_open_at_the_region(tmp_path: Path):
    with Painting(filled) as server:
        found = edit(tmp_path, server)

    (asked,) = server.asked
    words = {name: value for name, value in asked.items() if isinstance(value, str)}
    fields = {"model": "painter", "prompt": "Fill it.", "n": "1", "size": "80x40", "seed": "3"}
    assert words == fields | {"response_format": "b64_json"}
    image, mask = asked["image"], asked["mask"]
    assert isinstance(image, Image.Image)
    assert isinstance(mask, Image.Image)
    # 40 x 30 on 80 x 40 is 53 x 40, 13 pixels from the left.
    red = np.asarray(image)[:, :, 0] == 200
    assert (image.size, red[:, 13:66].all(), red[:, :13].any(), red[:, 66:].any()) == ((80, 40), True, False, False)
    hole = np.asarray(mask)[:, :, 3] == 0
    rows, columns = np.nonzero(hole)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (20, 39, 26, 39)
    assert hole.sum() == 20 * 14
    assert isinstance(found, Painted)
    data = PictureStore(tmp_path / FOLDER).read(found.sha256)
    assert data is not None
    assert np.asarray(Image.open(io.BytesIO(data)))[30, 30].tolist() == [0, 0, 200]


def test_the_same_region_is_paid_once_and_another_one_is_another_question(tmp_path: Path):
    with Painting(filled) as server:
        first, again, other = (
            edit(tmp_path, server),
            edit(tmp_path, server),
            edit(tmp_path, server, box=Box(0, 0, 9, 9)),
        )

    assert isinstance(first, Painted)
    assert isinstance(again, Painted)
    assert isinstance(other, Painted)
    assert (first.sha256 == again.sha256, first.sha256 == other.sha256, len(server.asked)) == (True, False, 2)


def without_seed(payload: Payload, number: int):
    return error(400, "Unknown parameter: 'seed'.", param="seed") if "seed" in payload else None


def test_a_field_that_the_endpoint_refuses_of_edits_is_left_out_of_these_alone(tmp_path: Path):
    with Painting(filled, without_seed) as server:
        edit(tmp_path, server)
        edit(tmp_path, server, seed=4)

    assert ["seed" in payload for payload in server.asked] == [True, False, False]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (
            lambda p, n: error(400, "Your request was rejected by the safety system.", code="moderation_blocked"),
            "refused",
        ),
        (lambda p, n: (200, {"data": [{"b64_json": "bm8gcGljdHVyZQ=="}]}, {}), "malformed"),
    ],
)
def test_a_block_and_a_corrupt_picture_are_failures_of_their_kind(tmp_path: Path, fault: Fault, kind: str):
    with Painting(filled, fault) as server:
        found = edit(tmp_path, server)

    assert isinstance(found, Failure)
    assert found.kind == kind


def test_a_server_without_edits_is_told_of_with_the_options_to_check(tmp_path: Path):
    with (
        Painting(filled, lambda p, n: error(404, "Not Found")) as server,
        pytest.raises(
            EndpointError, match=r"no Images API \(/images/edits\).*check --image-base-url and --image-model"
        ),
    ):
        edit(tmp_path, server)


def test_a_region_is_found_again_in_a_picture_of_another_size():
    canvas = Canvas((80, 40), (40, 30))

    assert canvas.of(BOX) == Box(26, 20, 40, 40)
    assert canvas.of(BOX, (160, 80)) == Box(52, 40, 79, 80)
    assert canvas.of(Box(0, 0, 1, 1), (8, 4)) == Box(1, 0, 2, 1)


def test_the_fields_of_the_form_are_no_part_of_the_mask():
    request = edit_request("painter", "Fill it.", 3, FIELDS, TILE, BOX)

    assert json.loads(request.subject) == {"size": "80x40", "hole": "26,20,40,40"}
    assert (
        len(
            {
                edit_request("painter", "Fill it.", s, FIELDS, TILE, b).key
                for s in (3, 4)
                for b in (BOX, Box(0, 0, 9, 9))
            }
        )
        == 4
    )
