"""What to do next with a batch job."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from autointerp.batch.manifest import BatchFile
from autointerp.errors import typed
from autointerp.jobs.batch.plan import FOLDER, planned
from autointerp.lmm.address import is_openai
from autointerp.remote.path import Location, as_path


def next_step(
    folder: Path,
    run: Location,
    files: Sequence[BatchFile],
    *,
    finished: bool,
    left: Mapping[str, Mapping[str, int]] | None = None,
) -> str:
    """What to do next, in a line.

    Args:
        folder: of the run, or its working copy.
        run: as a user names it.
        files: of the batch job.
        finished: whether every stage is.
        left: what failed of finished stages.
    """
    unsent, taking = [f for f in files if f.unsent], f"autointerp batch collect {typed(run)}"
    if unsent:
        first = as_path(run) / f"{FOLDER}/{unsent[0].name}"
        if is_openai(unsent[0].base_url) or unsent[0].pictures:
            where = "OpenAI" if is_openai(unsent[0].base_url) else unsent[0].base_url
            return (
                f"autointerp batch submit {typed(run)}, which sends it to {where}; if answered elsewhere, {taking} OUT"
            )
        more = f" (and so the other {len(unsent) - 1})" if len(unsent) > 1 else ""
        return (
            f"vllm run-batch -i {typed(first)} -o OUT --model {unsent[0].model}{more}, then "
            f"{taking} OUT; or autointerp batch submit {typed(run)}, which sends what is not sent"
        )
    if any(f.running for f in files):
        return f"{taking} when the batches have ended, or autointerp batch run {typed(run)}, which waits"
    if not finished:
        return f"autointerp batch submit {typed(run)}"
    if left:
        return f"the recorded command {' and '.join(left)} without --batch, which asks again what failed"
    if not (folder / "run.json").exists():
        return "nothing, all is done"
    scored = "score" in planned(folder)
    return (
        f"autointerp report {typed(run)}" if scored else f"autointerp score {typed(run)}, with --batch for a batch job"
    )
