"""Which texts mean the same."""

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

import numpy as np
import numpy.typing as npt
import pytest
from trial import ByImage, open_trial_door

from autointerp.explanation.meanings import Meanings, Told, linked
from autointerp.lmm.cache import Cache
from autointerp.lmm.outcomes import CallError, Failure
from autointerp.lmm.request import Completion, Images, Request
from autointerp.prompts import load_prompt
from autointerp.settings import CandidateSettings, ModelSettings

Vectors = npt.NDArray[np.float32]


class Comparer(ByImage):
    """Says whether two texts mean the same as the test says."""

    def __init__(self, rule: Callable[[str, str], bool | CallError]) -> None:
        super().__init__(lambda image: "no")
        self.rule = rule
        self.pairs: list[tuple[str, str]] = []

    async def complete(self, request: Request, images: Images, slot: AbstractAsyncContextManager[object]) -> Completion:
        text = "\n".join(part.text for m in request.messages for part in m.parts if hasattr(part, "text"))  # pyright: ignore
        first, second = re.findall(r"^Description [AB]: (.*)", text, re.MULTILINE)
        self.pairs.append((first, second))
        async with slot:
            said = self.rule(first, second)
            if isinstance(said, CallError):
                raise said
            return Completion(json.dumps({"same": "yes" if said else "no"}), 100, 10, 0, "stop", None, "judge-2026")


class Angles:
    """Embeds each text at an angle of a plane, in degrees."""

    name = "angles"

    def __init__(self, **angles: float) -> None:
        self.angles = angles

    async def texts(self, texts: Sequence[str]) -> Vectors | Failure:
        turned = np.deg2rad([self.angles[t] for t in texts])
        return np.stack([np.cos(turned), np.sin(turned)], axis=1).astype(np.float32)

    async def pictures(self, pictures: Sequence[object]) -> Vectors | Failure:
        raise NotImplementedError


class Failing(Angles):
    async def texts(self, texts: Sequence[str]) -> Vectors | Failure:
        return Failure("http_500", "later", 3)


def told(cache: Cache, client: Comparer, texts: Sequence[str], embedder: Angles | None = None) -> Told | Failure:
    meanings = Meanings(
        ModelSettings(model="judge"), load_prompt("same", None), CandidateSettings(diverse=True), embedder
    )
    return asyncio.run(meanings.clusters(texts, open_trial_door(cache, client)))


def labels(told: Told | Failure) -> tuple[int, ...]:
    assert isinstance(told, Told), told
    return told.labels


def by_first_letter(first: str, second: str) -> bool:
    return first[0] == second[0]


def matrix(*rows: str) -> npt.NDArray[np.float64]:
    return np.array([[float(c) for c in row] for row in rows])


def test_average_linkage_by_hand():
    """0, 1 and 2 are joined though 0 and 2 are told apart: two of three decisions; 3 likes only one of the three."""
    assert linked(matrix("1100", "1110", "0111", "0011")) == [0, 0, 1, 1]
    assert linked(matrix("1110", "1110", "1111", "0011")) == [0, 0, 0, 1]
    assert linked(matrix("10", "01")) == [0, 1]
    assert linked(matrix("1")) == [0]


def test_half_of_the_decisions_are_not_enough():
    """{0, 1} and 2: one of two."""
    assert linked(matrix("111", "110", "101")) == [0, 0, 1]


def test_paraphrases_are_one_meaning_where_letters_tell_them_apart(cache: Cache):
    texts = ["a star", "astral shape", "blue square", "any star", "box of blue"]

    said = told(cache, Comparer(by_first_letter), texts)

    assert labels(said) == (0, 0, 1, 0, 1)
    assert len(set(texts)) == 5


def test_the_same_wording_in_other_letters_and_stops_is_asked_about_once(cache: Cache):
    client = Comparer(by_first_letter)

    said = told(cache, client, ["A star.", "blue square", "a star", "blue square"])

    assert labels(said) == (0, 1, 0, 1)
    assert len(client.pairs) == 1


def test_a_pair_is_asked_about_once_whichever_comes_first(cache: Cache):
    client = Comparer(by_first_letter)

    told(cache, client, ["b", "a"])
    told(cache, client, ["a", "b"])

    assert client.pairs == [("a", "b")]


def test_only_pairs_between_the_thresholds_are_asked_about(cache: Cache):
    """Cosines: of 0° and 20° 0.94, the same; of 0° and 80° 0.17, different; of 20° and 80° 0.5: the judge's."""
    client = Comparer(lambda first, second: False)

    said = told(cache, client, ["a", "b", "c"], Angles(a=0, b=20, c=80))

    assert labels(said) == (0, 0, 1)
    assert client.pairs == [("b", "c")]
    assert isinstance(said, Told)
    assert (said.judged, said.usage.calls) == (1, 1)


def test_the_judge_decides_what_the_embedder_leaves_open(cache: Cache):
    assert labels(told(cache, Comparer(lambda a, b: True), ["a", "b"], Angles(a=0, b=60))) == (0, 0)


def test_a_refused_pair_is_a_gap_and_counts_as_different(cache: Cache):
    said = told(cache, Comparer(lambda a, b: CallError("refused", "no", again=False)), ["a", "b"])

    assert labels(said) == (0, 1)
    assert isinstance(said, Told)
    assert [g.kind for g in said.gaps] == ["refused"]


def test_a_failure_that_may_pass_leaves_the_texts_untold(cache: Cache):
    later = CallError("http_500", "later", again=True)

    by_judge = told(cache, Comparer(lambda a, b: later), ["a", "b"])
    by_embedder = told(cache, Comparer(by_first_letter), ["a", "b"], Failing())

    assert isinstance(by_judge, Failure)
    assert isinstance(by_embedder, Failure)


@pytest.mark.parametrize("embedder", [None, Angles(a=0)])
def test_one_text_is_asked_of_nobody(cache: Cache, embedder: Angles | None):
    client = Comparer(by_first_letter)

    assert labels(told(cache, client, ["a", "a", "a"], embedder)) == (0, 0, 0)
    assert client.pairs == []


class Refusing(Angles):
    async def texts(self, texts: Sequence[str]) -> Vectors | Failure:
        return Failure("http_400", "never", 1)


def test_an_embedder_that_refuses_for_good_leaves_all_pairs_to_the_judge(cache: Cache):
    said = told(cache, Comparer(by_first_letter), ["ax", "ay", "b"], Refusing())

    assert labels(said) == (0, 0, 1)
    assert isinstance(said, Told)
    assert [g.kind for g in said.gaps] == ["http_400"]


def test_in_training_a_refused_pair_counts_as_the_same(cache: Cache):
    """Else a judge that refuses would pay for paraphrase."""
    refusing = Comparer(lambda a, b: CallError("refused", "no", again=False))
    plan, model = CandidateSettings(diverse=True), ModelSettings(model="judge")
    meanings = Meanings(model, load_prompt("same", None), plan, None, unanswered=1.0)

    said = asyncio.run(meanings.clusters(["a", "b"], open_trial_door(cache, refusing)))

    assert labels(said) == (0, 0)
