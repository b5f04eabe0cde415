"""The question for an image with a region painted anew, and the form in which the Images API is asked for it."""

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass

import pybase64
from PIL import Image

from autointerp.images.picture import Picture, Tile
from autointerp.lmm.images.request import PictureReply, fields_of, prompt_of
from autointerp.lmm.request import ImagePart, Images, Message, Request, TextPart
from autointerp.replies import reply_schema
from autointerp.schema import Box

EDIT = "edit"
"""The task of a request for an image with a region painted anew."""
EDITS = "images/edits"
_HOLE = "hole"
_GROUND = (128, 128, 128)
"""Beside an image that has not the shape of the canvas."""
_QUALITY = 95


@dataclass(frozen=True, slots=True)
class Canvas:
    """How an image lies on the picture that is sent: as large as it fits, in the middle."""

    size: tuple[int, int]
    """Width and height of what is sent, in pixels."""
    image: tuple[int, int]
    """Width and height of the image, in pixels."""

    @property
    def place(self) -> Box:
        """Where the image lies."""
        scale = min(self.size[0] / self.image[0], self.size[1] / self.image[1])
        width, height = (max(1, round(scale * side)) for side in self.image)
        x, y = (self.size[0] - width) // 2, (self.size[1] - height) // 2
        return Box(x, y, x + width, y + height)

    def of(self, box: Box, size: tuple[int, int] | None = None) -> Box:
        """Where a region of the image lies, one pixel at least.

        Args:
            box: in pixels of the image.
            size: width and height of a picture that came back, where it is another than was sent.
        """
        place, (wide, high) = self.place, size or self.size
        across, down = wide / self.size[0], high / self.size[1]
        x = [across * (place.x0 + x * place.width / self.image[0]) for x in (box.x0, box.x1)]
        y = [down * (place.y0 + y * place.height / self.image[1]) for y in (box.y0, box.y1)]
        x0, y0 = min(round(x[0]), wide - 1), min(round(y[0]), high - 1)
        return Box(x0, y0, max(x0 + 1, round(x[1])), max(y0 + 1, round(y[1])))


def canvas_of(fields: Mapping[str, str], image: tuple[int, int]) -> Canvas:
    """The canvas of the size that is asked for."""
    width, height = fields["size"].split("x")
    return Canvas((int(width), int(height)), image)


def edit_request(model: str, prompt: str, seed: int, fields: Mapping[str, str], tile: Tile, box: Box) -> Request:
    """Builds the question for one image; its key is the digest of all that decides the picture.

    Args:
        model: who paints.
        prompt: what the region shall show.
        seed: as for `picture_request`.
        fields: further fields of the endpoint's request, `size` among them: that of what is sent and what comes.
        tile: the whole image.
        box: the region, in pixels of the image.
    """
    canvas = canvas_of(fields, tile.size)
    hole = ",".join(map(str, canvas.of(box).corners))
    picture = Picture((tile,), max(canvas.place.width, canvas.place.height), _QUALITY)
    return Request(
        model=model,
        task=EDIT,
        subject=json.dumps({**fields, _HOLE: hole}, sort_keys=True),
        messages=(Message("user", (TextPart(prompt), ImagePart(picture, "active", (1,)))),),
        reply_schema=reply_schema(PictureReply),
        temperature=0.0,
        max_tokens=1,
        seed=seed,
    )


async def edit_form(request: Request, fields: Mapping[str, object], images: Images) -> tuple[bytes, str]:
    """The body of a request, a form of the image, the mask and the other fields, and its content type.

    Raises:
        ImageError: the image cannot be decoded.
    """
    from aiohttp import MultipartWriter

    # The boundary follows from the question, so that the same question is the same bytes.
    form = MultipartWriter("form-data", boundary=hashlib.sha256(request.key.encode()).hexdigest())
    for name, value in fields.items():
        form.append(str(value)).set_content_disposition("form-data", name=name)
    for name, png in (await _pictures_of(request, images)).items():
        part = form.append(png, {"Content-Type": "image/png"})
        part.set_content_disposition("form-data", name=name, filename=f"{name}.png")
    return await form.as_bytes(), form.content_type


async def edit_json(request: Request, fields: Mapping[str, object], images: Images) -> bytes:
    """The body of a request as JSON, as a line of a batch file holds it.

    It is `EditImageBodyJsonParam` of OpenAI's API description: the picture stands in `images`, and both as addresses
    that hold their bytes. Models before GPT Image took forms alone.

    Raises:
        ImageError: the image cannot be decoded.
    """
    made = await _pictures_of(request, images)
    where = {
        name: {"image_url": f"data:image/png;base64,{pybase64.b64encode(png).decode()}"} for name, png in made.items()
    }
    return json.dumps({**fields, "images": [where["image"]], "mask": where["mask"]}, ensure_ascii=False).encode()


async def _pictures_of(request: Request, images: Images) -> dict[str, bytes]:
    """The files of the image and of the mask, by their names."""
    (picture,) = request.pictures
    (tile,) = picture.tiles
    canvas = canvas_of(fields_of(request), tile.size)
    shown = await images.tile(tile, picture.side)
    return {"image": _png(_on(canvas, shown)), "mask": _png(_mask(canvas, fields_of(request)[_HOLE]))}


def form_fields(request: Request) -> dict[str, object]:
    """The fields of a request besides the picture."""
    told = {name: value for name, value in fields_of(request).items() if name != _HOLE}
    return {"model": request.model, "prompt": prompt_of(request), "n": 1, **told}


def _on(canvas: Canvas, image: Image.Image) -> Image.Image:
    place = canvas.place
    out = Image.new("RGB", canvas.size, _GROUND)
    out.paste(image.resize((place.width, place.height), Image.Resampling.LANCZOS), (place.x0, place.y0))
    return out


def _mask(canvas: Canvas, hole: str) -> Image.Image:
    """Opaque, but for the region, which is to be painted."""
    mask = Image.new("RGBA", canvas.size, (0, 0, 0, 255))
    x0, y0, x1, y1 = map(int, hole.split(","))
    mask.paste((0, 0, 0, 0), (x0, y0, x1, y1))
    return mask


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
