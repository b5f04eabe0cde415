"""What a run holds, compared with the run that nothing disturbed."""

from collections.abc import Iterable, Set
from dataclasses import dataclass
from pathlib import Path

from autointerp.runs.folder import open_run
from autointerp.schema import Scored

SCORERS = ("detection", "accuracy", "choice", "naming", "localisation", "intruder", "relevance")
"""All that ask a model that chats; `embedding` asks an endpoint of its own kind."""
Key = tuple[int, str]
"""A feature, and `explain` or a scorer."""


@dataclass(frozen=True)
class Held:
    """What a run says."""

    data: dict[Key, object]
    """An explanation's text, or a score's value and number of judgements."""
    verdicts: dict[tuple[int, int], float | None]
    """Of detection: the judge's belief by feature and image; None where no answer came."""
    on_record: frozenset[Key]
    """What has a line in failures.jsonl."""
    repeated: int
    """Lines that say a second time what one has said."""
    gaps: frozenset[Key] = frozenset()
    """Scores that say of themselves that some answers are missing."""


def held(run: Path) -> Held:
    """Reads a run, every line of which must be whole; nothing is held where none was begun."""
    if not (run / "run.json").exists():
        return Held({}, {}, frozenset(), 0)
    opened = open_run(run)
    data: dict[Key, object] = {}
    verdicts: dict[tuple[int, int], float | None] = {}
    gaps: set[Key] = set()
    lines = 0
    for explanation in opened.explanations():
        lines += 1
        second = explanation.domain and (explanation.domain.found, explanation.domain.text)
        data[explanation.feature, "explain"] = (explanation.text, explanation.none, explanation.concepts, second)
    for score in opened.scores():
        lines += 1
        scored = isinstance(score, Scored)
        data[score.feature, score.scorer] = (score.value, score.n) if scored else score.reason
        if not scored:
            continue
        if score.details.get("unanswered") or any(v.belief is None for v in score.verdicts):
            gaps.add((score.feature, score.scorer))
        if score.scorer == "detection":
            verdicts |= {(score.feature, v.image): v.belief for v in score.verdicts}
    record = frozenset((f.feature, stage) for f in opened.failures() for stage in _stages(f.stage))
    return Held(data, verdicts, record, lines - len(data), frozenset(gaps))


def _stages(stage: str) -> Iterable[str]:
    """Whom a failed question concerns: detection and accuracy share their judgements."""
    name = stage.removeprefix("score:").partition(":")[0]
    return SCORERS[:2] if name in SCORERS[:2] else (name,)


def posing(now: Held, clean: Held, *, whole: bool = True) -> int:
    """Records that say something else than the endpoint has answered.

    A judgement counts where its belief is another one; an explanation, and a score that says that all its answers were
    there, where it differs. Where not `whole`, some explanations were missing when the others were scored; `naming`,
    which sets them beside each other, is then left out.
    """
    wrong = sum(b is not None and b != clean.verdicts.get(key, b) for key, b in now.verdicts.items())
    told = {k: v for k, v in now.data.items() if k not in now.gaps and (whole or k[1] != "naming")}
    changed = (k for k, v in told.items() if clean.data.get(k) != v)
    return wrong + sum(1 for _ in changed)


def unaccounted(now: Held, expected: Set[Key]) -> int:
    """What is neither done nor on record as failed; a score waits for its feature's explanation, whose failure is."""
    failed = {feature for feature, stage in now.on_record if stage == "explain"}
    left = expected - now.data.keys() - now.on_record
    return sum(stage == "explain" or feature not in failed for feature, stage in left)


def undone(now: Held, expected: Set[Key]) -> int:
    """What is not done."""
    return len(expected - now.data.keys())
