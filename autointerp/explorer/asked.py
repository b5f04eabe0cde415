"""What an address asks for: numbers of features and images, and the answer where there is no such thing."""

from starlette.exceptions import HTTPException
from starlette.requests import Request

from autointerp.explorer.viewed import Viewed
from autointerp.schema import Feature, ImageRow

LONGEST = 18
"""Digits of a number: every 64-bit number of so many digits can be asked for."""


def is_number(text: str) -> bool:
    """Whether a text is a whole number, 0 or more."""
    return text.isascii() and text.isdecimal() and len(text) <= LONGEST


def number_in(request: Request, name: str) -> int:
    """A whole number, 0 or more, in the path of a request.

    Raises:
        HTTPException: 404, it is none.
    """
    text = request.path_params[name]
    if not is_number(text):
        raise HTTPException(404, f"{name.capitalize()} numbers are whole numbers from 0 on.")
    return int(text)


def feature_in(request: Request, viewed: Viewed) -> Feature:
    """The feature that a path names.

    Raises:
        HTTPException: 404, the dump has none of that number.
    """
    number = number_in(request, "feature")
    feature = viewed.evidence.feature(number)
    if feature is None:
        raise HTTPException(404, f"The dump has no feature {number}.")
    return feature


def image_in(request: Request, viewed: Viewed) -> ImageRow:
    """The image that a path names.

    Raises:
        HTTPException: 404, the dump has none of that number.
    """
    return image_of(str(number_in(request, "image")), viewed)


def image_of(text: str, viewed: Viewed) -> ImageRow:
    """The image of a number.

    Raises:
        HTTPException: 404, the dump has none of that number.
    """
    image = viewed.evidence.image(int(text)) if is_number(text) else None
    if image is None:
        raise HTTPException(404, f"The dump holds no image {text}. It holds the images that some feature's rows use.")
    return image
