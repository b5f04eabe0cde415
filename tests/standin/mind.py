"""Answers explain, domain and judge prompts about planted pictures, as a large multimodal model would."""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

from standin.eyes import Seen, cells, look, pixels
from standin.planted import COLOURS, PAIRS, SHAPES, Pair, kinds

ENOUGH = 0.9
"""Share of the active images for which a property must hold."""


@dataclass(frozen=True)
class Question:
    """A request's content, in order."""

    task: str
    """`explain`, `domain` or `judge`."""
    text: str
    active: tuple[Seen, ...]
    """Of each numbered image the last picture, which is its crop where it has several."""
    silent: tuple[Seen, ...]
    judged: tuple[Seen, ...]


def read(payload: Mapping[str, object]) -> Question:
    """Takes the first user message apart; what follows it (a question asked again) changes nothing."""
    messages = payload["messages"]
    assert isinstance(messages, list)
    parts = next(m["content"] for m in messages if m["role"] == "user")
    text = "\n".join(p["text"] for p in parts if p["type"] == "text")
    task = "judge" if '"image_1"' in text else "domain" if '"observations"' in text else "explain"
    blocks: dict[tuple[str, int], Seen] = {}
    sheet: list[Seen] = []
    at = ("", 0)
    for part in parts:
        if part["type"] == "text":
            found = re.findall(r"^(Active |Silent |)[Ii]mage (\d+)(?: \([^)]*\))?:", part["text"], re.MULTILINE)
            at = (found[-1][0].strip(), int(found[-1][1])) if found else at
            continue
        head, _, data = part["image_url"]["url"].partition(",")
        assert head == "data:image/jpeg;base64", head
        jpeg = base64.b64decode(data, validate=True)
        if shape := re.search(r"(\d+) rows and (\d+) columns", text):
            sheet += _look_at_sheet(jpeg, _asked(text), int(shape[1]), int(shape[2]))
        else:
            blocks[at] = _look_at(jpeg)
    by_role = {role: _in_order(blocks, role) for role in ("Active", "Silent", "")}
    if task == "domain":
        return Question(task, text, by_role[""], (), ())
    return Question(task, text, by_role["Active"], by_role["Silent"], tuple(sheet) or by_role[""])


@lru_cache(maxsize=10_000)
def _look_at(jpeg: bytes) -> Seen:
    return look(pixels(jpeg))


@lru_cache(maxsize=2000)
def _look_at_sheet(jpeg: bytes, n: int, rows: int, columns: int) -> tuple[Seen, ...]:
    return tuple(look(cell) for cell in cells(pixels(jpeg), n, rows, columns))


def _asked(text: str) -> int:
    return max(int(n) for n in re.findall(r'"image_(\d+)"', text))


def _in_order(blocks: Mapping[tuple[str, int], Seen], role: str) -> tuple[Seen, ...]:
    own = {number: seen for (r, number), seen in blocks.items() if r == role}
    assert sorted(own) == list(range(1, len(own) + 1)), f"{role} images are numbered {sorted(own)}"
    return tuple(own[n] for n in sorted(own))


def answer(question: Question) -> dict[str, object]:
    """The JSON object that the prompt asks for."""
    if question.task == "judge":
        found = re.search(r"Description: (.*)", question.text)
        assert found is not None
        meant = kinds(found[1].lower())
        assert len(question.judged) == _asked(question.text)
        return {f"image_{i}": "yes" if s.fits(meant) else "no" for i, s in enumerate(question.judged, 1)}
    if question.task == "domain":
        return _domain(question.active)
    return _explain(question.active, question.silent)


def _domain(active: Sequence[Seen]) -> dict[str, object]:
    assert active
    pointed = [i for i, s in enumerate(active, 1) if any(shape == "triangle" for _, shape in s.whole)]
    found = len(pointed) >= ENOUGH * len(active)
    error = "a triangle, whose corners could not be so sharp" if found else ""
    category = "impossible-configuration" if found else "none"
    return {"observations": "", "found": found, "error": error, "category": category, "images": pointed}


def _explain(active: Sequence[Seen], silent: Sequence[Seen]) -> dict[str, object]:
    assert active
    tried = [(_share(active, pairs), name, pairs) for name, pairs in _properties()]
    fitting = [(_share(silent, pairs), len(pairs), name, pairs) for share, name, pairs in tried if share >= ENOUGH]
    candidates = [name for share, name, _ in sorted(tried, key=lambda t: (-t[0], len(t[2]), t[1]))[:3]]
    empty: dict[str, object] = {"explanation": "", "concepts": [], "lookalikes": "", "misfits": []}
    if not fitting:
        return {"candidates": candidates, "verdict": "none"} | empty
    _, _, name, pairs = min(fitting, key=lambda f: f[:3])
    several = " or " in name
    return {
        "candidates": candidates,
        "verdict": "mixed" if several else "one",
        "explanation": name + " on a plain ground of any tint",
        "concepts": name.split(" or "),
        "lookalikes": "the same in another colour or shape",
        "misfits": [i for i, s in enumerate(active, 1) if not s.whole & pairs],
    }


def _properties() -> list[tuple[str, frozenset[Pair]]]:
    single = [" ".join(pair) for pair in PAIRS]
    names = [*single, *COLOURS, *SHAPES, *(f"{a} or {b}" for a, b in combinations(single, 2))]
    return [(name, kinds(name)) for name in names]


def _share(seen: Sequence[Seen], pairs: frozenset[Pair]) -> float:
    return sum(bool(s.whole & pairs) for s in seen) / len(seen) if seen else 0.0


def as_text(value: Mapping[str, object]) -> str:
    """The reply of a model that obeys."""
    return json.dumps(value)
