"""The embedded model answers requests from pixels."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import nullcontext

import pytest
from PIL import Image, ImageDraw

from autointerp.errors import AutointerpError
from autointerp.images.picture import Picture, Tile
from autointerp.lmm.local import client
from autointerp.lmm.local.model import LocalAnswerer, LocalModel
from autointerp.lmm.request import ImagePart, Message, Request, Role
from autointerp.replies import DomainReply, ExplainReply, judge_reply
from autointerp.session.tasks import LOCAL_ANSWERERS

for module in client.NEEDED:
    pytest.importorskip(module, reason="the extra `local` is not installed")

N_DISCS = 6


class Drawn:
    """Even images are red discs, odd ones blue bars; counts what it is asked for."""

    def __init__(self) -> None:
        self.asked = 0

    async def jpeg(self, picture: Picture) -> bytes:
        raise NotImplementedError

    async def jpegs(self, pictures: Sequence[Picture]) -> list[bytes]:
        raise NotImplementedError

    async def tile(self, tile: Tile, side: int) -> Image.Image:
        self.asked += 1
        picture = Image.new("RGB", (side, side), "white")
        place = (10 + tile.image, 10, side - 10, side - 10 - tile.image)
        if tile.image % 2:
            ImageDraw.Draw(picture).rectangle((place[0], side // 2, place[2], side // 2 + 12), fill="blue")
        else:
            ImageDraw.Draw(picture).ellipse(place, fill="red")
        return picture


def part(image: int, role: Role, number: int) -> ImagePart:
    tile = Tile(image, f"{image:064x}", (128, 128), "full", None)
    return ImagePart(Picture((tile,), 128, 80), role, (number,))


def ask(task: str, subject: str, parts: list[ImagePart]) -> Request:
    return Request("local", task, subject, (Message("user", tuple(parts)),), "{}", 0.0, 100, 0)


def answer(request: Request, images: Drawn, local: client.LocalClient | None = None) -> str:
    return asyncio.run((local or client.LocalClient(LOCAL_ANSWERERS)).complete(request, images, nullcontext())).text


def test_the_explanation_of_red_discs_speaks_of_their_looks():
    parts = [part(2 * i, "active", i + 1) for i in range(N_DISCS)]
    parts += [part(2 * i + 1, "silent", i + 1) for i in range(N_DISCS)]

    reply = ExplainReply.model_validate_json(answer(ask("explain", "", parts), Drawn()))

    assert reply.verdict == "one"
    assert any(word in reply.explanation for word in ("red", "round", "circle", "ball"))


def test_the_judge_tells_red_discs_from_blue_bars_by_a_text_of_any_writer():
    parts = [part(0, "judged", 1), part(1, "judged", 2)]

    reply = judge_reply(2).model_validate_json(answer(ask("judge", "something red and round", parts), Drawn()))

    assert (reply.image_1, reply.image_2) == ("yes", "no")  # pyright: ignore[reportAttributeAccessIssue]


def test_the_domain_pass_claims_nothing():
    request = ask("domain", "physical-plausibility", [part(0, "active", 1)])

    reply = DomainReply.model_validate_json(answer(request, Drawn()))

    assert not reply.found
    assert reply.images == []


def test_an_image_is_looked_at_once_and_the_answer_stays_the_same():
    images, local = Drawn(), client.LocalClient(LOCAL_ANSWERERS)
    request = ask("judge", "apples", [part(0, "judged", 1)])

    first = answer(request, images, local)
    second = answer(request, images, local)

    assert first == second
    assert set(json.loads(first)) == {"image_1"}
    assert images.asked == 1


def test_the_name_carries_the_weights():
    assert client.local_model_name(LOCAL_ANSWERERS).startswith("local@")


def test_the_name_changes_with_the_code_that_answers():
    def other(request: Request, model: LocalModel) -> dict[str, object]:
        return {"found": True}

    changed = {**LOCAL_ANSWERERS, "domain": LocalAnswerer(other)}
    searching = {**LOCAL_ANSWERERS, "domain": LocalAnswerer(LOCAL_ANSWERERS["domain"].reply, searches=True)}

    names = {client.local_model_name(answerers) for answerers in (LOCAL_ANSWERERS, changed, searching)}

    assert len(names) == 3
    assert client.local_model_name(dict(reversed(LOCAL_ANSWERERS.items()))) in names


def test_a_task_that_it_cannot_answer_is_named():
    with pytest.raises(AutointerpError, match="the embedded model cannot answer questions of divination"):
        answer(ask("divination", "", [part(0, "judged", 1)]), Drawn())


def test_a_missing_extra_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(client, "find_spec", lambda name: None)

    with pytest.raises(AutointerpError, match=r"pip install '\.\[local\]' in your checkout"):
        client.LocalClient({})
