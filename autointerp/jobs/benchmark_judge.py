"""A model as the judge of a benchmark: it is asked of some images whether they show a failure mode."""

from collections.abc import Mapping, Sequence
from functools import partial

from autointerp.commands.benchmark_run import BenchmarkRun
from autointerp.counting import Counting
from autointerp.errors import SettingsError
from autointerp.generators.verdicts import Asked, Key
from autointerp.images.content import source_of
from autointerp.images.picture import Tile
from autointerp.jobs.endpoints import judge_at
from autointerp.lmm.gateway import Gateway
from autointerp.lmm.outcomes import Failure
from autointerp.pipeline import Background
from autointerp.populations.images import PopulationImage
from autointerp.schema import Exemplar
from autointerp.scoring.cases import make_judge
from autointerp.scoring.judge import Judge
from autointerp.scoring.sampling import Item
from autointerp.session.gateway import Loose, open_gateway, resolve_model
from autointerp.settings import EngineSettings, RegionSettings, ScoreSettings


def judged_by_model(
    settings: BenchmarkRun,
    digest: str,
    asked: Sequence[Asked],
    images: Mapping[str, PopulationImage],
    progress: Counting,
) -> dict[Key, float]:
    """Asks the judge about a sample; answers are kept in the cache, so that nothing is asked twice.

    Whether the mode is on is not told, and images of all generators, fired and silent, come mixed.

    Args:
        settings: of the command.
        digest: of the pack.
        asked: the sample.
        images: by the SHA-256 of their files.
        progress: is told images judged.

    Raises:
        SettingsError: some questions were not answered, which asking again may mend.
        EndpointError: no question can be answered.
    """
    judge, engine = _judge(settings)
    order = sorted({one.sha256 for one in asked})
    pictures = Loose(digest, lambda number: source_of(images[order[number]].content))
    items = {sha: _item(i, images[sha]) for i, sha in enumerate(order)}
    said, n_keys = dict[Key, float](), len({one.key for one in asked})
    opening = partial(open_gateway, judge.model, engine, pictures, cache=settings.cache, prices=settings.prices)
    with Background(opening) as background:
        for mode, own in _by_mode(asked).items():
            found = background.run(partial(_answers, judge, own, items))
            if isinstance(found, Failure):
                raise SettingsError(
                    f"--judge-model {settings.judge.model}: {found.kind}: {found.message}; what was answered is kept, "
                    "so run the command again"
                )
            said |= {(sha, mode): belief for sha, belief in found.items()}
            progress.count("answers of the judge", len(said), n_keys)
    return said


def _judge(settings: BenchmarkRun) -> tuple[Judge, EngineSettings]:
    """Who is asked, and how its endpoint is used."""
    assert settings.judge.model is not None
    model, engine = judge_at(resolve_model(settings.judge.of(settings.judge.model)), settings.engine)
    region = RegionSettings(side=settings.judged.side)
    how = ScoreSettings(per_call=settings.judged.per_call, region=region, seed=settings.comparing.seed)
    return make_judge(model, how, (), settings.prompts), engine


def _item(number: int, image: PopulationImage) -> Item:
    tile = Tile(number, image.sha256, (image.width, image.height), "full", None)
    return Item(Exemplar(number, 0.0, "silent", 1.0, None, None), tile, 1.0)


def _by_mode(asked: Sequence[Asked]) -> dict[str, list[Asked]]:
    out: dict[str, list[Asked]] = {}
    for one in asked:
        out.setdefault(one.mode, []).append(one)
    return out


async def _answers(
    judge: Judge, asked: Sequence[Asked], items: Mapping[str, Item], gateway: Gateway
) -> dict[str, float] | Failure:
    """What is said of the images of one mode; those that stay without an answer are left out."""
    # In the order of their digests, which has nothing to do with generators or with what fires.
    order = sorted({one.sha256 for one in asked})
    said = await judge.judgements(asked[0].says, [items[sha] for sha in order], gateway)
    if isinstance(said, Failure):
        return said
    return {sha: belief for sha, belief in zip(order, said.beliefs, strict=True) if belief is not None}
