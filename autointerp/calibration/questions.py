"""What a calibration asks: boards of planted images about one concept each, in several formats."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random

from autointerp.commands.calibrate import SIDES
from autointerp.dump.reader import Dump
from autointerp.errors import SettingsError
from autointerp.images.picture import JudgeRendering
from autointerp.schema import BAND_STRATA, Exemplar, Feature, ImageRow
from autointerp.scoring.error_rates import CheckedAnswer, Form, Origin
from autointerp.scoring.sampling import Item, Pool, make_pool
from autointerp.settings import ScoreSettings
from autointerp.synthetic.concepts import CONCEPTS, Concept, in_covering_order
from autointerp.synthetic.evidence import Wanted, plant, shown_images
from autointerp.synthetic.scenes import Scenes, draw_scenes

N_SCENES = 100_000
"""The population: a concept that fires on 0.1 % of it still has a hundred images."""
LEAST_CALLS = 12
BOARD = 12
"""Images of a board where a run judges single images."""
FEWEST, MOST = 0.1, 0.8
"""Bounds of the share of a board where the thing is there; drawn anew for each, so that no judge can guess it."""

Placed = tuple[Exemplar, Origin]


@dataclass(frozen=True)
class Call:
    """One call: images of one concept in one format."""

    number: int
    """Of the concept, in `Plan.concepts`."""
    form: Form
    placed: tuple[Placed, ...]


@dataclass(frozen=True)
class Asked:
    """One call with what the judge is shown."""

    number: int
    concept: Concept
    form: Form
    items: tuple[Item, ...]
    origins: tuple[Origin, ...]

    def judgements(self, beliefs: Sequence[float | None]) -> list[CheckedAnswer]:
        """Returns the answers, beside the truth."""
        rows = zip(self.items, self.origins, beliefs, strict=True)
        return [
            CheckedAnswer(self.number, self.concept.kinds, item.exemplar.image, origin, self.form, place, belief)
            for place, (item, origin, belief) in enumerate(rows)
        ]


@dataclass(frozen=True)
class Plan:
    """All calls, and the population that they are about."""

    seed: int
    name: str
    """Of its dump; says all that decides the images, besides the program's version."""
    concepts: tuple[Concept, ...]
    scenes: Scenes
    features: tuple[Feature, ...]
    """One a concept."""
    forms: tuple[Form, ...]
    """The run's own first."""
    asked: tuple[Call, ...]
    settings: ScoreSettings
    """How the run shows images."""

    @cached_property
    def images(self) -> list[int]:
        """Ids of the images to draw, ascending."""
        return shown_images(self.features)

    def questions(self, dump: Dump) -> list[Asked]:
        """Returns the calls with their pictures."""
        rows = dict(zip(self.images, dump.images(self.images), strict=True))
        pools: dict[tuple[int, JudgeRendering], Pool] = {}
        for call in self.asked:
            key = call.number, call.form.rendering
            pools.setdefault(key, self._pool(*key, rows, dump.info.patch_grid))
        return [
            Asked(
                call.number,
                self.concepts[call.number],
                call.form,
                tuple(_item(exemplar, pools[call.number, call.form.rendering]) for exemplar, _ in call.placed),
                tuple(origin for _, origin in call.placed),
            )
            for call in self.asked
        ]

    def _pool(
        self, number: int, rendering: JudgeRendering, rows: Mapping[int, ImageRow], grid: tuple[int, int] | None
    ) -> Pool:
        """What scoring makes its pictures from: regions of active images, and places that silent ones borrow."""
        settings = self.settings.model_copy(update={"rendering": rendering})
        return make_pool(self.features[number], (), rows, settings, grid=grid, n_images=len(self.scenes))


def _item(exemplar: Exemplar, pool: Pool) -> Item:
    """An image as scoring would show it."""
    enlarged = pool.tile(exemplar, "crop") if pool.settings.rendering == "zoom" else None
    return Item(exemplar, pool.tile(exemplar), 1.0, enlarged=enlarged)


def make_plan(settings: ScoreSettings, calls: int, seed: int, sides: Sequence[int] = SIDES) -> Plan:
    """Draws scenes, features and boards.

    A board is asked as a whole in the run's own format (or as a sheet of 12, where a run judges single images); some
    boards also in the reversed order, in the other format of many images, and as fragments where the run shows whole
    images or the other way round, and some of their images alone.

    Args:
        settings: how the run shows images.
        calls: how many are made.
        seed: of every random choice.
        sides: of the images, in pixels; with none everything is as an earlier version planned it, without fragments.

    Raises:
        SettingsError: too few calls to tell anything.
    """
    if calls < LEAST_CALLS:
        raise SettingsError(f"--calls {calls}: too few to tell anything; give at least {LEAST_CALLS}")
    n_boards, n_more = calls // 3, calls // 6
    size = settings.per_call if settings.per_call > 1 else BOARD
    concepts = in_covering_order(CONCEPTS, seed)[:n_boards]
    wanted = _wanted(size, -(-n_boards // len(concepts)))
    scenes = draw_scenes(N_SCENES, seed)
    features = tuple(
        plant(c, scenes, number=i, width=len(concepts), seed=seed, wanted=wanted) for i, c in enumerate(concepts)
    )
    own = settings.rendering
    main = Form(settings.layout if settings.per_call > 1 else "sheet", size, rendering=own)
    boards = _boards(features, main, n_boards, Random(f"boards:{seed}"))
    other = Form("separate" if main.layout == "sheet" else "sheet", size, rendering=own)
    turned = Form(main.layout, size, backwards=True, rendering=own)
    alone = Form("separate", 1, rendering=own)
    parts = Form(main.layout, size, rendering="crop" if own in ("full", "zoom") else "full")
    asked = (
        *boards,
        *(Call(b.number, turned, b.placed[::-1]) for b in boards[:n_more]),
        *(Call(b.number, other, b.placed) for b in boards[:n_more]),
        *(Call(b.number, parts, b.placed) for b in boards[: n_more if sides else 0]),
        *_singles(boards, alone, calls - n_boards - (3 if sides else 2) * n_more, Random(f"singles:{seed}")),
    )
    others = (other, parts, turned) if sides else (other, turned)
    forms = (main, alone, *others) if settings.per_call > 1 else (alone, main, *others)
    of_sides = f", {' and '.join(map(str, sides))} pixels" if sides else ""
    name = f"planted scenes, seed {seed}, {n_boards} boards of {size}{of_sides}"
    return Plan(seed, name, concepts, scenes, features, forms, asked, settings)


def _wanted(size: int, boards: int) -> Wanted:
    """Returns how many exemplars are enough for that many boards of a concept, whatever their shares."""
    n_true, n_absent = boards * round(MOST * size), boards * (size - round(FEWEST * size))
    half = -(-n_absent // 2) + boards
    # What both draws took stands among the guided ones alone.
    return Wanted(top=size, band=-(-n_true // len(BAND_STRATA)), silent=half + 2, guided=half)


def _boards(features: Sequence[Feature], form: Form, n: int, chance: Random) -> list[Call]:
    """Draws boards for which concepts take turns; no image stands on two boards of one concept."""
    left = [_pools(feature, chance) for feature in features]
    out: list[Call] = []
    for i in range(n):
        pools, size = left[i % len(features)], form.per_call
        n_true = chance.randint(round(FEWEST * size), round(MOST * size))
        n_near = (size - n_true) // 2
        placed: list[Placed] = []
        counts: dict[Origin, int] = {"true": n_true, "near": n_near, "random": size - n_true - n_near}
        for origin, count in counts.items():
            drawn, pools[origin] = pools[origin][:count], pools[origin][count:]
            placed.extend((exemplar, origin) for exemplar in drawn)
        chance.shuffle(placed)
        out.append(Call(i % len(features), form, tuple(placed)))
    return out


def _pools(feature: Feature, chance: Random) -> dict[Origin, list[Exemplar]]:
    """Returns a feature's exemplars by origin, each in an order drawn by chance."""
    guided = [e for e in feature.negatives if e.stratum == "guided"]
    uniform = [e for e in feature.negatives if e.stratum == "silent"]
    pools: dict[Origin, list[Exemplar]] = {"true": list(feature.active), "near": guided, "random": uniform}
    for pool in pools.values():
        chance.shuffle(pool)
    return pools


def _singles(boards: Sequence[Call], form: Form, n: int, chance: Random) -> list[Call]:
    """Returns `n` images of the boards, each alone: about half true, a quarter near and a quarter random."""
    turns: tuple[Origin, ...] = ("true", "near", "true", "random")
    left = [list(board.placed) for board in boards]
    out: list[Call] = []
    for k in range(n):
        own = left[k % len(boards)]
        if not own:
            continue
        # Boards are gone round in step with the turns; a second round must not give each the same origin again.
        wanted = turns[(k + k // len(boards)) % len(turns)]
        pick = next((p for p in own if p[1] == wanted), None) or chance.choice(own)
        own.remove(pick)
        out.append(Call(boards[k % len(boards)].number, form, (pick,)))
    return out
