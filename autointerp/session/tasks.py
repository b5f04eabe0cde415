"""Every question that is ever asked of a model, by its name in requests, caches and batch files."""

from collections.abc import Mapping

from autointerp.explanation.explainer import DOMAIN, EXPLAIN
from autointerp.explanation.meanings import SAME
from autointerp.explanation.steering import STEER
from autointerp.lmm.images.edits import EDIT
from autointerp.lmm.images.request import PICTURE, PictureReply
from autointerp.lmm.local.model import LocalAnswerer
from autointerp.lmm.task import Task
from autointerp.replies import Reply
from autointerp.scoring.judge import JUDGE
from autointerp.scoring.scorer_list import SCORERS

TASKS: Mapping[str, Task] = {
    t.name: t for t in (EXPLAIN, DOMAIN, SAME, STEER, JUDGE, *(s.task for s in SCORERS.values() if s.task))
}
REPLIES: Mapping[str, type[Reply]] = {name: task.reply for name, task in TASKS.items()} | dict.fromkeys(
    (PICTURE, EDIT), PictureReply
)
"""The type of reply of each task, those of image models included."""
LOCAL_ANSWERERS: Mapping[str, LocalAnswerer] = {name: task.local for name, task in TASKS.items() if task.local}
"""How the embedded model answers each task that it can answer."""
