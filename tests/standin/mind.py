"""Answers every prompt about planted pictures, as a large multimodal model would."""

import base64
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

from standin.eyes import Seen, cells, look, pixels
from standin.planted import COLOURS, PAIRS, SHAPES, Pair, kinds

ENOUGH = 0.9
"""Share of the active images for which a property must hold."""
TASKS = {
    '"image_1"': "judge",
    '"observations"': "domain",
    '"odd"': "intruder",
    '"better"': "choice",
    '"description"': "naming",
    '"x0"': "localisation",
    '"same"': "same",
}
"""What is asked, by a key of the reply that the prompt spells out; `explain` where there is none of them."""


@dataclass(frozen=True)
class Question:
    """A request's content, in order."""

    task: str
    """`explain`, or one of TASKS."""
    text: str
    active: tuple[Seen, ...]
    """Of each numbered image the last picture, which is its crop where it has several."""
    silent: tuple[Seen, ...]
    judged: tuple[Seen, ...]
    """Those without a role in the prompt."""
    seed: int = 0
    """Of the request."""


def parts_with_uuid(payload: Mapping[str, object]) -> list[dict[str, dict[str, str] | str | None]]:
    """The pictures of a request that carry a uuid."""
    messages = payload["messages"]
    assert isinstance(messages, list)
    contents = [m["content"] for m in messages if isinstance(m["content"], list)]
    return [part for content in contents for part in content if "uuid" in part]


def read(payload: Mapping[str, object]) -> Question:
    """Takes the first user message apart; what follows it (a question asked again) changes nothing."""
    messages = payload["messages"]
    assert isinstance(messages, list)
    content: object = next(m["content"] for m in messages if m["role"] == "user")
    parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
    text = "\n".join(p["text"] for p in parts if p["type"] == "text")
    task = next((name for key, name in TASKS.items() if key in text), "explain")
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
            sheet += _look_at_sheet(jpeg, _on_sheet(text), int(shape[1]), int(shape[2]))
        else:
            blocks[at] = _look_at(jpeg)
    by_role = {role: _in_order(blocks, role) for role in ("Active", "Silent", "")}
    if task == "domain":
        return Question(task, text, by_role[""], (), ())
    seed = payload.get("seed", 0)
    assert isinstance(seed, int)
    return Question(task, text, by_role["Active"], by_role["Silent"], tuple(sheet) or by_role[""], seed)


@lru_cache(maxsize=10_000)
def _look_at(jpeg: bytes) -> Seen:
    return look(pixels(jpeg))


@lru_cache(maxsize=2000)
def _look_at_sheet(jpeg: bytes, n: int, rows: int, columns: int) -> tuple[Seen, ...]:
    return tuple(look(cell) for cell in cells(pixels(jpeg), n, rows, columns))


def _on_sheet(text: str) -> int:
    found = re.search(r"contact sheet of (\d+) images", text)
    assert found is not None
    return int(found[1])


def _asked(text: str) -> int:
    return max(int(n) for n in re.findall(r'"image_(\d+)"', text))


def _in_order(blocks: Mapping[tuple[str, int], Seen], role: str) -> tuple[Seen, ...]:
    own = {number: seen for (r, number), seen in blocks.items() if r == role}
    assert sorted(own) == list(range(1, len(own) + 1)), f"{role} images are numbered {sorted(own)}"
    return tuple(own[n] for n in sorted(own))


def answer(question: Question) -> dict[str, object]:
    """The JSON object that the prompt asks for."""
    if question.task == "explain":
        return _explain(question.active, question.silent)
    if question.task == "domain":
        return _domain(question.active)
    return _ANSWERS[question.task](question)


def _meant(question: Question) -> frozenset[Pair]:
    found = re.search(r"^Description: (.*)", question.text, re.MULTILINE)
    assert found is not None
    return kinds(found[1].lower())


def _judge(question: Question) -> dict[str, object]:
    meant = _meant(question)
    assert len(question.judged) == _asked(question.text)
    return {f"image_{i}": "yes" if s.fits(meant) else "no" for i, s in enumerate(question.judged, 1)}


def _odd(question: Question) -> dict[str, object]:
    """The one that lacks the narrowest property that all others have; the last one where there is none such."""
    shown = question.judged
    assert len(shown) > 2
    lacking = [(len(pairs), [not s.fits(pairs) for s in shown]) for _, pairs in _properties()]
    narrowest = min((m for m in lacking if sum(m[1]) == 1), default=(0, [True]), key=lambda m: m[0])
    return {"odd": narrowest[1].index(True) + 1 if narrowest[0] else len(shown)}


def _better(question: Question) -> dict[str, object]:
    first, second = (s.fits(_meant(question)) for s in question.judged)
    return {"better": 2 if second and not first else 1}


def _description(question: Question) -> dict[str, object]:
    """The one that fits most of the images; of those, the narrowest that says anything."""
    texts = re.findall(r"^Description \d+: (.*)", question.text, re.MULTILINE)
    assert question.judged
    assert len(texts) > 1
    meant = [kinds(text.lower()) for text in texts]
    worth = [(sum(s.fits(pairs) for s in question.judged), -len(pairs) or -len(PAIRS)) for pairs in meant]
    return {"description": worth.index(max(worth)) + 1}


def _place(question: Question) -> dict[str, object]:
    """The largest whole object of the kinds meant, in thousandths."""
    (seen,) = question.judged
    meant = _meant(question)
    boxes = [box for pair, box in seen.places if pair in meant]
    if not boxes:
        return {"found": False, "x0": 0, "y0": 0, "x1": 0, "y1": 0}
    box, (width, height) = max(boxes, key=lambda b: b.width * b.height), seen.size
    across, down = 1000 / width, 1000 / height
    place: dict[str, object] = {"x0": round(box.x0 * across), "y0": round(box.y0 * down)}
    return place | {"found": True, "x1": round(box.x1 * across), "y1": round(box.y1 * down)}


def _same(question: Question) -> dict[str, object]:
    """Whether two descriptions mean the same kinds of object."""
    first, second = re.findall(r"^Description [AB]: (.*)", question.text, re.MULTILINE)
    return {"same": "yes" if kinds(first.lower()) == kinds(second.lower()) else "no"}


_ANSWERS: Mapping[str, Callable[[Question], dict[str, object]]] = {
    "judge": _judge,
    "intruder": _odd,
    "choice": _better,
    "naming": _description,
    "localisation": _place,
    "same": _same,
}


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
