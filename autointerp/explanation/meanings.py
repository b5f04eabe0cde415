"""Which texts mean the same: by their embeddings where these are clear, by a judge's word where they are not.

Never by their letters: a sampler that is paid for rare wordings learns to paraphrase.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt

from autointerp.lmm.gateway import Gateway
from autointerp.lmm.local.model import LocalAnswerer, LocalModel
from autointerp.lmm.outcomes import Answer, Failure
from autointerp.lmm.request import Request
from autointerp.lmm.task import Task
from autointerp.prompts import Prompt, plain
from autointerp.replies import AnyCase, Reply, reply_schema
from autointerp.schema import Usage
from autointerp.scoring.distractors import normal
from autointerp.scoring.embedder import Embedder
from autointerp.scoring.judge import SETTLED
from autointerp.settings import CandidateSettings, ModelSettings

Floats = npt.NDArray[np.float64]
Pair = tuple[int, int]


class SameReply(Reply):
    """The answer to the question whether two descriptions mean the same."""

    same: Annotated[Literal["yes", "no"], AnyCase]


def _locally(request: Request, model: LocalModel) -> Mapping[str, object]:
    """The embedded model goes by the cosine of the two texts: none that are unrelated come near .55."""
    first, second = request.subject.split("\n")
    return {"same": "yes" if model.likeness(first, second) >= 0.55 else "no"}


SAME = Task("same", SameReply, tokens=8, local=LocalAnswerer(_locally))


@dataclass(frozen=True)
class Told:
    """Holds texts that were told apart by their meaning."""

    labels: tuple[int, ...]
    """The cluster of each text, numbered from 0 by first appearance."""
    judged: int = 0
    """Pairs that the judge decided."""
    usage: Usage = field(default_factory=Usage)
    gaps: tuple[Failure, ...] = ()
    """Why the judge's word on a pair, or the embeddings, are missing."""


@dataclass(frozen=True)
class Meanings:
    """All that telling meanings apart needs besides the texts."""

    model: ModelSettings
    """The judge of borderline pairs."""
    prompt: Prompt
    settings: CandidateSettings
    embedder: Embedder | None
    """None leaves every pair of different wordings to the judge."""
    unanswered: float = 0.0
    """What a pair counts as that the judge refuses: 0 different, 1 the same."""

    async def clusters(self, texts: Sequence[str], gateway: Gateway) -> Told | Failure:
        """Puts texts of the same meaning together, or returns a failure that may pass.

        Args:
            texts: [n], at least one.
            gateway: to the judge.

        Raises:
            EndpointError: no request of this run can succeed.
        """
        wordings = [normal(t) for t in texts]
        # Of each wording the first spelling.
        distinct = list(dict(reversed(list(zip(wordings, texts, strict=True)))).values())[::-1]
        same = await self._likeness(distinct)
        gaps: list[Failure] = []
        if isinstance(same, Failure):
            if same.kind not in SETTLED:
                return same
            gaps.append(same)
            same = _unknown(len(distinct))
        unclear = [(i, j) for i, j in combinations(range(len(distinct)), 2) if np.isnan(same[i, j])]
        usage = Usage()
        for (i, j), answer in zip(unclear, await self._ask(distinct, unclear, gateway), strict=True):
            if isinstance(answer, Answer):
                usage += answer.usage
                same[i, j] = same[j, i] = answer.value.same == "yes"
            elif answer.kind in SETTLED:
                gaps.append(answer)
                same[i, j] = same[j, i] = self.unanswered
            else:
                return answer
        together = dict(zip((normal(t) for t in distinct), linked(same), strict=True))
        return Told(_numbered([together[w] for w in wordings]), len(unclear), usage, tuple(gaps))

    def request(self, first: str, second: str) -> Request:
        """The question whether two texts mean the same; the order in which they are given does not matter."""
        first, second = sorted((plain(first), plain(second)))
        return Request(
            model=self.model.model,
            task=SAME.name,
            subject=f"{first}\n{second}",
            messages=self.prompt.fill({"first": first, "second": second}, ()),
            reply_schema=reply_schema(SameReply),
            temperature=self.model.temperature,
            max_tokens=self.model.max_tokens,
            seed=self.model.seed,
        )

    async def _likeness(self, texts: Sequence[str]) -> Floats | Failure:
        """1 for the same, 0 for different, NaN for what the judge has to say, [n, n]."""
        n = len(texts)
        if self.embedder is None or n < 2:
            return _unknown(n)
        vectors = await self.embedder.texts(texts)
        if isinstance(vectors, Failure):
            return vectors
        cosine = vectors.astype(np.float64) @ vectors.astype(np.float64).T
        out = np.full((n, n), np.nan)
        out[cosine >= self.settings.same] = 1.0
        out[cosine < self.settings.different] = 0.0
        np.fill_diagonal(out, 1.0)
        return out

    async def _ask(
        self, texts: Sequence[str], pairs: Sequence[Pair], gateway: Gateway
    ) -> list[Answer[SameReply] | Failure]:
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(gateway.ask(self.request(texts[i], texts[j]), SameReply)) for i, j in pairs]
        return [task.result() for task in asked]


def _unknown(n: int) -> Floats:
    """Nothing is known but that each text means what it means itself, [n, n]."""
    return np.where(np.eye(n, dtype=bool), 1.0, np.nan)


def linked(same: Floats) -> list[int]:
    """A cluster for each row: the two most alike are joined as long as most of their pairs mean the same.

    Average linkage (Sokal & Michener 1958) on decisions, so that one odd decision neither chains two groups nor tears
    one apart; of equally alike clusters the first are joined.

    Args:
        same: [n, n], symmetric, 1 where two texts mean the same, 0 where not.
    """
    groups = [[i] for i in range(len(same))]
    while len(groups) > 1:
        alike = {
            (a, b): float(same[np.ix_(groups[a], groups[b])].mean()) for a, b in combinations(range(len(groups)), 2)
        }
        (a, b), most = max(alike.items(), key=lambda item: (item[1], (-item[0][0], -item[0][1])))
        if most <= 0.5:
            break
        groups[a] += groups.pop(b)
    labels = {i: label for label, group in enumerate(groups) for i in group}
    return [labels[i] for i in range(len(same))]


def _numbered(labels: Sequence[int]) -> tuple[int, ...]:
    order = {label: i for i, label in enumerate(dict.fromkeys(labels))}
    return tuple(order[label] for label in labels)
