"""Votes on explanations: what a feature's page asks of people, and what they have said."""

from threading import Lock
from typing import cast as taken_for
from typing import get_args

from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from autointerp.errors import RunError
from autointerp.explorer.asked import number_in
from autointerp.explorer.html import page
from autointerp.explorer.viewed import Viewed
from autointerp.explorer.voters import Pair, Voter, pairs, voters
from autointerp.reading import first_fault
from autointerp.runs.folder import Run
from autointerp.runs.votes import FILE, Verdict, Vote, cast, digest_of, read_votes, valid_votes, vote
from autointerp.web.bodies import Json, said_in

MOST_SAID = 1 << 14
"""Bytes of a vote as a page sends it."""


def routes(viewed: Viewed) -> list[Route]:
    """All votes (`/votes`), those on a feature (`/votes/N`), and where one is cast (`/vote/N`); of the first run."""
    texts = _Texts(viewed)

    def votes(request: Request) -> Response:
        if not texts.has(feature := number_in(request, "feature")):
            return Response(status_code=404)
        return texts.told(feature)

    async def cast_one(request: Request) -> Response:
        if not texts.has(feature := number_in(request, "feature")):
            return Response(status_code=404)
        try:
            said = await said_in(request, MOST_SAID)
            return await run_in_threadpool(texts.cast, feature, said)
        except ValueError as error:
            return texts.told(feature, str(error), 422)
        except RunError as error:
            return texts.told(feature, str(error), 507)

    people = _People(viewed)

    def listed(request: Request) -> Response:
        who, two = people.now()
        return page(viewed, "voters.html.j2", "Votes", here="/votes", people=who, pairs=two)

    return [
        Route("/votes", listed),
        Route("/votes/{feature}", votes),
        Route("/vote/{feature}", cast_one, methods=["POST"]),
    ]


class _People:
    """Who voted, and how far they agree: worked out again when there are further votes, since it takes a while."""

    def __init__(self, viewed: Viewed) -> None:
        self._viewed, self._lock = viewed, Lock()
        self._known: tuple[tuple[int, int], tuple[list[Voter], list[Pair]]] | None = None

    def now(self) -> tuple[list[Voter], list[Pair]]:
        """The people, and every two of them who voted on the same explanations."""
        if not self._viewed.runs:
            return [], []
        run = self._viewed.runs[0].path
        with self._lock:
            stat = (run / FILE).stat() if (run / FILE).exists() else None
            state = (stat.st_size, stat.st_mtime_ns) if stat is not None else (0, 0)
            if self._known is None or self._known[0] != state:
                said = valid_votes(read_votes(run))
                self._known = state, (voters(said), pairs(said))
            return self._known[1]


class _Texts:
    """The explanations of the run that is voted on."""

    def __init__(self, viewed: Viewed) -> None:
        self._viewed = viewed

    @property
    def _run(self) -> Run:
        return self._viewed.runs[0]

    def has(self, feature: int) -> bool:
        """Whether there is something to vote on."""
        return bool(self._viewed.runs) and feature < self._viewed.dump.info.n_latents

    def text(self, feature: int) -> str | None:
        """The text of a feature's explanation; None where there is none."""
        index = self._viewed.index
        index.refresh()
        found = index.explanation(feature)
        return None if found is None else found.text or None

    def cast(self, feature: int, said: Json) -> Response:
        """Keeps a vote, and tells all."""
        if self._viewed.sessions is None:
            return self.told(
                feature, "This run lies at a URL, where no vote can be kept. Copy it to this machine.", 409
            )
        text = self.text(feature)
        if text is None or said.get("explanation") != digest_of(text):
            return self.told(feature, "The explanation has changed meanwhile. Look at it again.", 409)
        cast(self._run.path, _vote(feature, text, said))
        return self.told(feature)

    def told(self, feature: int, problem: str = "", status: int = 200) -> Response:
        """Says what people think of a feature's explanation, and of those that it had before."""
        text = self.text(feature)
        now = digest_of(text) if text is not None else None
        told: Json = {"explanation": now, "votes": votes_on(self._run, feature, now)}
        told |= {"problem": problem} if problem else {}
        return JSONResponse(told, status, headers={"cache-control": "no-store"})


def votes_on(run: Run, feature: int, now: str | None) -> list[Json]:
    """The votes that hold on a feature's explanations, as pages show them.

    Args:
        run: whose explanations they are.
        feature: its number.
        now: digest of the explanation that it has; None where it has none.

    Raises:
        RunError: the file of votes cannot be read.
    """
    return [_line(said, now) for said in valid_votes(read_votes(run.path)) if said.feature == feature]


def _line(said: Vote, now: str | None) -> Json:
    of = None if said.explanation == now else said.text
    return {"name": said.name, "verdict": said.verdict, "wording": said.wording, "created": said.created, "of": of}


def _vote(feature: int, text: str, said: Json) -> Vote:
    name, verdict, wording = (said.get(key) for key in ("name", "verdict", "wording"))
    if verdict not in get_args(Verdict):
        raise ValueError(f"verdict: choose one of {', '.join(get_args(Verdict))}")
    if not isinstance(name, str) or not (wording is None or isinstance(wording, str)):
        raise ValueError("name and wording: expected texts")
    try:
        return vote(feature, text, taken_for(Verdict, verdict), name.strip(), wording)
    except ValidationError as error:
        raise ValueError(first_fault(error)) from error
