"""What a page sends with a change: never more than a bound of it is held."""

import json

from starlette.requests import Request

Json = dict[str, object]


async def body_of(request: Request, most: int) -> bytes:
    """Reads the body of a request.

    Args:
        request: whose body it is.
        most: bytes.

    Raises:
        ValueError: it is longer.
    """
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most:
            raise ValueError(f"more than {most:,} bytes")
    return bytes(body)


async def said_in(request: Request, most: int) -> Json:
    """Reads a JSON object; an empty body is one without keys.

    Raises:
        ValueError: it is longer than `most` bytes, or no JSON object.
    """
    body = await body_of(request, most)
    try:
        said = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise ValueError("expected JSON") from error
    if not isinstance(said, dict):
        raise ValueError("expected an object")
    return said
