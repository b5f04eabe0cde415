"""The endpoints of an API that a batch job may be for: what a question's body is there, and what its fields are called.

A file of a batch job is for one of them. Pictures are asked for at two: of words alone, and of an image and words.
"""

import json
from typing import Literal

from autointerp.lmm.address import OPENAI
from autointerp.lmm.body import Dialect, build_body, first_dialect, known_dialect
from autointerp.lmm.cache import Cache
from autointerp.lmm.images.dialect import GENERATIONS, PictureDialect, first_picture_dialect, known_picture_dialect
from autointerp.lmm.images.edits import EDIT, EDITS, edit_json
from autointerp.lmm.images.request import PICTURE
from autointerp.lmm.request import Images, Request

Endpoint = Literal["/v1/chat/completions", "/v1/images/generations", "/v1/images/edits"]
"""Source: `BatchCreateParams` of the openai package 3.54, which names five more."""
CHAT: Endpoint = "/v1/chat/completions"
AnyDialect = Dialect | PictureDialect
_OF_TASK: dict[str, Endpoint] = {PICTURE: "/v1/images/generations", EDIT: "/v1/images/edits"}
_PATHS: dict[Endpoint, str] = {"/v1/images/generations": GENERATIONS, "/v1/images/edits": EDITS}


def endpoint_of(request: Request) -> Endpoint:
    """Where a question is asked."""
    return _OF_TASK.get(request.task, CHAT)


def dialect_at(endpoint: Endpoint, base_url: str | None, model: str, cache: Cache) -> AnyDialect:
    """What is known of the fields that a server takes for a model: remembered in the cache, else a guess."""
    if endpoint == CHAT:
        return known_dialect(cache, base_url, model) or first_dialect(base_url)
    where = base_url or OPENAI
    known = known_picture_dialect(cache, where, _PATHS[endpoint], model)
    return known or first_picture_dialect(where, model)


async def body_of(request: Request, images: Images, dialect: AnyDialect) -> bytes:
    """The body of a question, JSON without a line break.

    Raises:
        ImageError: a picture of it cannot be made.
    """
    if isinstance(dialect, Dialect):
        return build_body(request, await images.jpegs(request.pictures), dialect, batch=True)
    fields = dialect.fields(request)
    if request.task == EDIT:
        return await edit_json(request, fields, images)
    return json.dumps(fields, ensure_ascii=False).encode()
