"""Rehearses explaining and scoring: every question that a feature would be asked, with a judge that is played."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Literal, NamedTuple, TypeVar

from autointerp.candidates import Sampled
from autointerp.dump.reader import Dump
from autointerp.estimation.forecast import make_explainer
from autointerp.evidence import draw_shown
from autointerp.explanation.explainer import Explainer
from autointerp.explanation.sampler import Sampler
from autointerp.images.render import picture_size
from autointerp.job import images_of
from autointerp.lmm.gateway import Gateway
from autointerp.lmm.image_tokens import words_of
from autointerp.lmm.outcomes import Answer, Failure
from autointerp.lmm.request import Request
from autointerp.pipeline import run_async
from autointerp.replies import JudgeReply, Reply
from autointerp.schema import Explanation, Feature, Usage
from autointerp.scoring.case import Case, Population
from autointerp.scoring.cases import make_judge
from autointerp.scoring.control_tests import SCORER as CONTROLLED
from autointerp.scoring.controls import n_control_texts
from autointerp.scoring.distractors import N_NEIGHBOURS, Distractors
from autointerp.scoring.judge import JUDGE
from autointerp.scoring.sampling import make_pool
from autointerp.scoring.scorer_list import SCORERS
from autointerp.session.candidate_judges import asker
from autointerp.session.gateway import expected_output
from autointerp.settings import ExplainSettings, ModelName, ModelSettings, ScoreSettings

R = TypeVar("R", bound=Reply)
Part = Literal["explain", "shuffled", "score", "control"]
"""Asked of every feature; of those with a shuffled set; of every explanation; of those that carry the controls."""

STAND_IN = "a stand-in of usual length for an explanation that is not written yet, fifteen words"
DISTRACTORS = Distractors(f"another {STAND_IN}", tuple(f"{STAND_IN}, number {i}" for i in range(N_NEIGHBOURS)))
UNREACHED = 1e-9
"""Width of an interval that no judgements reach."""
ANY = ModelSettings(model=ModelName("any"))
"""What is asked does not depend on who is asked."""


class Question(NamedTuple):
    """One request as far as it costs."""

    part: Part
    words: int
    """Tokens of all that is no picture."""
    pictures: tuple[tuple[int, int], ...]
    """Width and height in pixels of each."""
    output: int
    """Tokens that the reply usually has."""


Questions = Counter[Question]
"""How often each is asked, over the rehearsed features."""


@dataclass
class Rehearsal:
    """Builds the questions about some features under any settings; no pixel is touched and nothing is sent."""

    dump: Dump
    features: Sequence[Feature]
    prompts: Path | None
    """Folder of the user's templates."""
    _explained: dict[ExplainSettings, Questions] = field(default_factory=dict)
    _scored: dict[tuple[ExplainSettings, ScoreSettings, bool], Questions] = field(default_factory=dict)

    def explaining(self, settings: ExplainSettings) -> Questions:
        """Counts the explainer's questions; a second pass counts once more for features that have a shuffled set.

        Of several candidates each counts as judged, as if no two had the same words; where meanings are told apart, as
        if there were four of which two contend. Questions whether two mean the same are left out, since their number
        depends on the words.
        """
        if settings not in self._explained:
            asks = self._asks(settings)
            out: Questions = Counter()
            for feature in self.features:
                requests = asks.requests(feature, images_of(self.dump, feature))
                out.update(_question("explain", r) for r in requests)
                out.update(_question("shuffled", r) for r in requests if r.task == "domain")
            self._explained[settings] = out
        return self._explained[settings]

    def scoring(self, explain: ExplainSettings, settings: ScoreSettings, *, convinced: bool) -> Questions:
        """Counts the judge's questions about one explanation: where several are kept, each is asked about besides.

        Args:
            explain: what the explainer is shown and candidates are chosen by, which is held back from the judge.
            settings: which scorers, and what the judge is shown.
            convinced: whether the judge finds that the explanation fits exactly the images that fire the feature; else
                it tosses a coin and no interval is narrow enough, so that judging on ends with the calls or the images.
        """
        key = explain, settings, convinced
        if key not in self._scored:
            out: Questions = Counter()
            for feature in self.features:
                asked = run_async(partial(self._asked, feature, explain, settings, convinced))
                out.update(_of_judge(asked, settings))
            self._scored[key] = out
        return self._scored[key]

    def _asks(self, settings: ExplainSettings) -> Explainer | Sampler:
        return asker(make_explainer(self.dump, ANY, settings, self.prompts), self.dump, self.prompts)

    async def _asked(
        self, feature: Feature, explain: ExplainSettings, settings: ScoreSettings, convinced: bool
    ) -> list[Request]:
        images, grid = images_of(self.dump, feature), self.dump.info.patch_grid
        shown = draw_shown(feature, images, explain)
        if not shown.active:
            return []  # it will not be explained
        said = _stand_in(feature, (e.image for e in shown.active), (e.image for e in shown.contrast))
        if isinstance(asks := self._asks(explain), Sampler):
            by = tuple(i.exemplar.image for i in asks.choosing(feature, shown, images).items)
            said = said.model_copy(update={"sampled": Sampled(asked=asks.plan.n, judged_on=by)})
        names = tuple(name for name in settings.scorers if SCORERS[name].task is not None)
        # Replicates behind intervals cost time here and no tokens.
        quick = settings.model_copy(update={"bootstrap": 100})
        if not convinced and settings.interval is not None:
            quick = quick.model_copy(update={"interval": UNREACHED})
        gateway = _SimulatedGateway(frozenset(e.image for e in feature.active) if convinced else None)
        case = Case(
            feature=feature,
            explanation=said,
            pool=make_pool(feature, said.seen, images, quick, grid=grid, n_images=self.dump.info.n_images),
            judge=make_judge(ANY, quick, names, self.prompts),
            gateway=gateway,
            population=Population(self.dump.info.n_images),
            scorers=tuple(SCORERS[name] for name in names),
            distractors=DISTRACTORS,
        )
        for name in names:
            await SCORERS[name](case)
        return gateway.asked


class _SimulatedGateway(Gateway):
    """Notes each question. Judging is answered, since what is asked next may depend on it; nothing else is."""

    def __init__(self, fitting: frozenset[int] | None) -> None:
        self.asked: list[Request] = []
        self._fitting = fitting
        """Images that the judge says yes to; None: by the toss of a coin."""

    async def ask(self, request: Request, reply: type[R]) -> Answer[R] | Failure:
        """Notes the question, and answers as the played judge."""
        self.asked.append(request)
        if not issubclass(reply, JudgeReply):
            return Failure("rehearsed", "nothing is sent", 0)
        said = {f"image_{i}": "yes" if self._fits(image) else "no" for i, image in request.images.items()}
        return Answer(reply.model_validate(said), Usage(), request.model, cached=False)

    def _fits(self, image: int) -> bool:
        if self._fitting is None:
            return Random(f"coin:{image}").random() < 0.5
        return image in self._fitting


def _of_judge(asked: Sequence[Request], settings: ScoreSettings) -> Questions:
    """Counts the questions of the scorers, and those that the controls add."""
    out: Questions = Counter(_question("score", r) for r in asked)
    if CONTROLLED in settings.scorers:
        # Controls are asked about the images that were judged, after a screening about those looked at with care.
        judged = [r for r in asked if r.task == JUDGE.name and not (settings.n_screen and len(r.pictures[0].tiles) > 1)]
        for request in judged:
            out[_question("control", request)] += n_control_texts(settings)
    return out


def _question(part: Part, request: Request) -> Question:
    sizes = tuple(picture_size(p) for p in request.pictures)
    return Question(part, words_of(request), sizes, min(expected_output(request), request.max_tokens))


def _stand_in(feature: Feature, shown: Iterable[int], contrast: Iterable[int]) -> Explanation:
    return Explanation(
        feature=feature.id,
        text=STAND_IN,
        concepts=(),
        none=False,
        model=ANY.model,
        prompt="",
        images=tuple(shown),
        contrast=tuple(contrast),
        usage=Usage(),
        created="",
    )
