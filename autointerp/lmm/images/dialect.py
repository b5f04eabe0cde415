"""Which optional fields of the Images API an endpoint takes: found out by asking, and remembered in the cache."""

import hashlib
import re

from pydantic import ValidationError

from autointerp.lmm.address import identity, is_openai
from autointerp.lmm.cache import Cache
from autointerp.lmm.images.edits import EDIT, EDITS, form_fields
from autointerp.lmm.request import Request
from autointerp.record import Record

GENERATIONS = "images/generations"


def path_of(request: Request) -> str:
    """Where a request for a picture goes, below the address of the server."""
    return EDITS if request.task == EDIT else GENERATIONS


class PictureDialect(Record):
    """The optional fields of the Images API that one endpoint takes for one model."""

    seed: bool = True
    response_format: bool = True

    def without(self, complaint: str) -> "PictureDialect | None":
        """The dialect without the field that the endpoint complains of; None if it complains of something else."""
        for name in ("response_format", "seed"):
            if getattr(self, name) and re.search(rf"\b{name}\b", complaint, re.IGNORECASE):
                return self.model_copy(update={name: False})
        return None

    def fields(self, request: Request) -> dict[str, object]:
        """The fields of a request in this dialect."""
        payload = form_fields(request)
        if self.response_format:
            payload["response_format"] = "b64_json"
        if self.seed:
            payload["seed"] = request.seed
        return payload


def first_picture_dialect(base_url: str, model: str) -> PictureDialect:
    """What to try first: OpenAI takes no seed, and its models since DALL·E 3 answer in base64 unasked."""
    if not is_openai(base_url):
        return PictureDialect()
    return PictureDialect(seed=False, response_format=model.startswith("dall-e"))


def known_picture_dialect(cache: Cache, base_url: str, path: str, model: str) -> PictureDialect | None:
    """What the cache remembers of an endpoint; None where it knows nothing, or what another version wrote."""
    try:
        known = cache.get(picture_dialect_key(base_url, path, model))
        return PictureDialect.model_validate(known) if known else None
    except ValidationError:
        return None


def picture_dialect_key(base_url: str, path: str, model: str) -> str:
    """Under which the cache remembers the dialect."""
    which = "" if path == GENERATIONS else f"\n{path}"
    return "dialect:images:" + hashlib.sha256(f"{identity(base_url)}\n{model}{which}".encode()).hexdigest()
