"""What an endpoint understands of the optional fields: found out by asking, remembered in the cache."""

import hashlib
import re
from typing import Literal

from pydantic import ValidationError

from autointerp.lmm.address import identity, is_openai
from autointerp.lmm.cache import Cache
from autointerp.record import Record


class Dialect(Record):
    """The optional fields of chat completions that one endpoint takes for one model."""

    reply_format: Literal["json_schema", "json_object", "none"] = "json_schema"
    token_field: Literal["max_completion_tokens", "max_tokens"] = "max_tokens"
    temperature: bool = True
    seed: bool = True

    def without(self, complaint: str) -> "Dialect | None":
        """The next simpler dialect after the endpoint's complaint; None if it complains of something else.

        Args:
            complaint: the error's text, with the name of the parameter where the endpoint gives it.
        """
        text = complaint.lower()
        if re.search(r"max_(completion_)?tokens", text) and re.search(
            r"unsupported|unknown|unexpected|unrecogni[sz]ed|not supported|not permitted|extra", text
        ):
            return self._other_token_field()
        if re.search(r"response_format|json.(?:schema|object|validate_failed)|guided|grammar|structured output", text):
            return self.looser_format()
        for name in ("temperature", "seed"):
            if getattr(self, name) and re.search(rf"\b{name}\b", text):
                return self.model_copy(update={name: False})
        return None

    def _other_token_field(self) -> "Dialect":
        other = "max_tokens" if self.token_field == "max_completion_tokens" else "max_completion_tokens"
        return self.model_copy(update={"token_field": other})

    def looser_format(self) -> "Dialect | None":
        """The next that enforces less of the reply; None if this one enforces nothing."""
        looser = {"json_schema": "json_object", "json_object": "none"}.get(self.reply_format)
        return self.model_copy(update={"reply_format": looser}) if looser else None


def first_dialect(base_url: str | None) -> Dialect:
    """What to try first: OpenAI's own reasoning models refuse `max_tokens`, older servers know nothing else."""
    return Dialect(token_field="max_completion_tokens" if is_openai(base_url) else "max_tokens")


def known_dialect(cache: Cache, base_url: str | None, model: str) -> Dialect | None:
    """What the cache remembers of an endpoint; None where it knows nothing, or what another version wrote."""
    try:
        known = cache.get(dialect_key(base_url, model))
        return Dialect.model_validate(known) if known else None
    except ValidationError:
        return None


def dialect_key(base_url: str | None, model: str) -> str:
    """Under which the cache remembers the dialect."""
    return "dialect:" + hashlib.sha256(f"{identity(base_url)}\n{model}".encode()).hexdigest()
