"""What an endpoint's error means, by the statuses, codes and words of data/endpoint_errors.toml."""

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib.resources import files

_WORDY = ("message", "msg", "detail", "details", "error", "errors", "error_msg", "error_message", "status_msg", "raw")
_WORDY += ("reason", "reasons", "title", "description", "innererror", "inner_error", "metadata", "base_resp", "cause")
"""Keys under which errors have words; others repeat what was asked, or what the model said."""
_CODED = ("code", "type", "status", "error_code", "status_code", "reason", "object")
_DEPTH = 6
_MOST_WORDS = 4000
_NEVER = "$."
"""A pattern that nothing fits."""


class Meaning(Enum):
    """What becomes of a call that an endpoint answered with an error."""

    PASSING = "the same call may succeed later"
    REFUSED = "a content filter refused the question or the answer"
    NO_JSON = "the endpoint could not make the model keep to JSON this time"
    HOPELESS = "no request of this run can succeed until a setting is changed"
    UNUSABLE = "this request cannot succeed"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Says what an error of an endpoint means."""

    meaning: Meaning
    slow_down: bool = False
    """Whether the endpoint asks for less."""
    remedy: str | None = None
    """Of a hopeless one: what the user should do, with places for {where} and {said}."""


@dataclass(frozen=True, slots=True)
class _Rule:
    """A row of data/endpoint_errors.toml, which explains the columns."""

    meaning: Meaning
    remedy: str | None
    always: frozenset[int]
    codes: str
    words: str
    busy: str
    statuses: frozenset[int]

    def fits(self, status: int | None, codes: list[str], words: str) -> bool:
        if status in self.always or any(re.fullmatch(self.codes, code) for code in codes):
            return True
        return (status is None or status in self.statuses) and re.search(self.words, words, re.IGNORECASE) is not None


@cache
def rules() -> tuple[_Rule, ...]:
    """Returns the rows of the data table, in the order in which they are tried."""
    table = tomllib.loads(files("autointerp.lmm").joinpath("data/endpoint_errors.toml").read_text("utf-8"))
    out: list[_Rule] = []
    for row in table["rule"]:
        always = [said if isinstance(said, list) else [said, said] for said in row.get("always", ())]
        busy, remedy = row.get("busy", []), row.get("remedy")
        rule = _Rule(
            meaning=Meaning[row["meaning"]],
            remedy=remedy and remedy.replace("{fewer}", table["fewer"]),
            always=frozenset(status for first, last in always for status in range(first, last + 1)),
            codes="|".join(row.get("codes", ())) or _NEVER,
            words="|".join([*busy, *row.get("words", ())]) or _NEVER,
            busy="|".join(busy) or _NEVER,
            statuses=frozenset(row.get("statuses", table["usual"])),
        )
        out.append(rule)
    return tuple(out)


def verdict(status: int | None, error: object) -> Verdict:
    """Decides what an error of an endpoint means.

    Args:
        status: of the answer; None where the error came within a 200 and states none.
        error: as `error_of` gives it.
    """
    codes, words = [re.sub(r"[\W_]+", "", code).lower() for code in _codes(error)], words_of(error)
    rule = next((rule for rule in rules() if rule.fits(status, codes, words)), None)
    if rule is None:
        return Verdict(Meaning.PASSING if status is None else Meaning.UNUSABLE)
    busy = rule.meaning is Meaning.PASSING and (
        status in (429, 498, 503, 529) or re.search(rule.busy, f"{words} {' '.join(codes)}", re.IGNORECASE) is not None
    )
    return Verdict(rule.meaning, busy, rule.remedy)


def kind_of(status: int | None, means: Verdict) -> str:
    """The kind of the failure, as in failures.jsonl."""
    if means.meaning in (Meaning.REFUSED, Meaning.NO_JSON):
        return "refused" if means.meaning is Meaning.REFUSED else "malformed"
    return "rate_limited" if status == 429 else f"http_{status or 502}"


def error_of(text: str) -> object:
    """What the body of an error says: its `error` where it has one; words where it is not JSON."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return text.strip()
    if isinstance(body, list) and body:  # as Gemini answers
        body = body[0]
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, dict) and error else body


def status_of(error: object) -> int | None:
    """The HTTP status that an error within a 200 states, if it states one."""
    if not isinstance(error, dict):
        return None
    for name in ("code", "status", "status_code"):
        stated = error.get(name)
        if (
            isinstance(stated, str | int)
            and not isinstance(stated, bool)
            and re.fullmatch("[3-5][0-9]{2}", str(stated))
        ):
            return int(stated)
    return None


def words_of(error: object) -> str:
    """The words of an error, each once: its message, and what a provider behind a router said."""
    return "; ".join(dict.fromkeys(_words(error, _DEPTH)))[:_MOST_WORDS]


def _words(said: object, depth: int) -> Iterator[str]:
    if isinstance(said, str):
        inner = error_of(said) if said.lstrip().startswith("{") else None
        if isinstance(inner, dict) and depth:
            yield from _words(inner, depth - 1)
        elif (
            plain := re.sub(r"<(?:style|script).*?</|<[^>]*>", " ", said, flags=re.DOTALL) if said[:1] == "<" else said
        ).strip():
            yield plain.strip()
    elif isinstance(said, list) and depth:
        for item in said[:_DEPTH]:
            yield from _words(item, depth - 1)
    elif isinstance(said, dict) and depth:
        for name in _WORDY:
            yield from _words(said.get(name), depth - 1)


def _codes(said: object, depth: int = _DEPTH) -> Iterator[str]:
    if isinstance(said, dict) and depth:
        for name in _CODED:
            if isinstance(said.get(name), str | int):
                yield str(said[name])
        for name in _WORDY:
            yield from _codes(said.get(name), depth - 1)
    elif isinstance(said, list) and depth:
        for item in said[:_DEPTH]:
            yield from _codes(item, depth - 1)
    elif isinstance(said, str) and depth and said.lstrip().startswith("{"):
        yield from _codes(error_of(said), depth - 1)
