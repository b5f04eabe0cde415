"""The embedded model picks crops, descriptions and places."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from importlib.util import find_spec

import pytest
from PIL import Image, ImageDraw

from autointerp.images.picture import Picture, Tile
from autointerp.lmm.local import client
from autointerp.lmm.local.windows import windows
from autointerp.lmm.request import ImagePart, Message, Request, Role
from autointerp.schema import Box
from autointerp.scoring.scorers.localisation import PointReply
from autointerp.session.tasks import LOCAL_ANSWERERS

installed = all(find_spec(module) for module in client.NEEDED)
needs_local = pytest.mark.skipif(not installed, reason="the extra `local` is not installed")


class Drawn:
    """Even images are red discs, odd ones blue bars; image 90 has a red disc in its lower right ninth alone."""

    async def jpeg(self, picture: Picture) -> bytes:
        raise NotImplementedError

    async def jpegs(self, pictures: Sequence[Picture]) -> list[bytes]:
        raise NotImplementedError

    async def tile(self, tile: Tile, side: int) -> Image.Image:
        if tile.image == 90:
            scene = Image.new("RGB", tile.size, "white")
            ImageDraw.Draw(scene).ellipse((210, 210, 290, 290), fill="red")
            box = tile.box or Box(0, 0, *tile.size)
            return scene.crop((box.x0, box.y0, box.x1, box.y1))
        picture = Image.new("RGB", (side, side), "white")
        place = (10 + tile.image, 10, side - 10, side - 10 - tile.image)
        if tile.image % 2:
            ImageDraw.Draw(picture).rectangle((place[0], side // 2, place[2], side // 2 + 12), fill="blue")
        else:
            ImageDraw.Draw(picture).ellipse(place, fill="red")
        return picture


def whole(image: int) -> Tile:
    return Tile(image, f"{image:064x}", (300, 300), "full", None)


def answer(task: str, subject: str, images: Sequence[int], role: Role = "judged") -> str:
    sheet = Picture(tuple(whole(i) for i in images), 128, 80, columns=len(images))
    part = ImagePart(sheet, role, tuple(range(1, len(images) + 1)))
    request = Request("local", task, subject, (Message("user", (part,)),), "{}", 0.0, 100, 0)
    return asyncio.run(client.LocalClient(LOCAL_ANSWERERS).complete(request, Drawn(), nullcontext())).text


@needs_local
@pytest.mark.parametrize("odd", [1, 3, 5])
def test_the_bar_among_discs_is_the_odd_one_wherever_it_stands(odd: int):
    images = [0, 2, 4, 6]
    images.insert(odd - 1, 1)

    assert json.loads(answer("intruder", "", images)) == {"odd": odd}


@needs_local
def test_the_crop_that_fits_better_is_chosen_in_either_order():
    assert json.loads(answer("choice", "something red and round", [0, 1])) == {"better": 1}
    assert json.loads(answer("choice", "something red and round", [1, 0])) == {"better": 2}


@needs_local
def test_the_description_of_the_discs_is_named_in_any_order():
    texts = ["something blue and long", "something red and round", "photographs of dogs"]

    found = [json.loads(answer("naming", "\n".join(order), [0, 2], "active")) for order in (texts, texts[::-1])]

    assert found == [{"description": 2}, {"description": 2}]


@needs_local
def test_the_disc_is_found_in_its_ninth_of_the_image():
    reply = PointReply.model_validate_json(answer("localisation", "something red and round", [90]))

    assert (reply.found, reply.x0, reply.y0, reply.x1, reply.y1) == (True, 667, 667, 1000, 1000)


@needs_local
def test_what_is_nowhere_is_not_found():
    reply = PointReply.model_validate_json(answer("localisation", "photographs of dogs", [90]))

    assert not reply.found


class Believing:
    """Stands in for the embedded model: believes the views, which are numbers, as much as they say."""

    def __init__(self, *beliefs: float) -> None:
        self.views = list(beliefs)

    def numbered(self, role: Role) -> dict[int, float]:
        return dict(enumerate(self.views, 1))

    def windows(self) -> list[tuple[Box, float]]:
        return list(zip(windows(), self.views, strict=True))

    def beliefs(self, text: str, views: Sequence[float]) -> list[float]:
        return list(views)


def by(task: str, *beliefs: float) -> Mapping[str, object]:
    """What a model of such beliefs answers."""
    request = Request("local", task, "a text\nanother text", (), "{}", 0.0, 100, 0)
    return LOCAL_ANSWERERS[task].reply(request, Believing(*beliefs))  # pyright: ignore[reportArgumentType]


def test_of_equal_beliefs_the_first_is_taken_and_low_ones_are_no_find():
    middle = {"found": True, "x0": 333, "y0": 333, "x1": 666, "y1": 666}

    assert by("choice", 0.2, 0.7, 0.7) == {"better": 2}
    assert by("naming", 0.2, 0.7) == {"description": 1}
    assert by("localisation", *[0.49] * 9) == {"found": False}
    assert by("localisation", *[0.1] * 4, 0.5, *[0.2] * 4) == middle
