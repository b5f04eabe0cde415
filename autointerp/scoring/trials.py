"""What the scorers that ask questions of their own share: dealing crops, showing them, and means with intervals."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from random import Random

import numpy as np

from autointerp.evidence import Images, kin_of
from autointerp.images.picture import Picture, Tile
from autointerp.images.render import snug_side
from autointerp.lmm.request import ImagePart, Role
from autointerp.prompts import ShownImage, Slot, Value
from autointerp.schema import Exemplar
from autointerp.scoring.judge import Look
from autointerp.scoring.protocol import Case
from autointerp.scoring.resampling import interval_of, one_look, resample
from autointerp.scoring.statistics import Floats, Interval, recall_samples

Details = dict[str, float | int | str | bool | None]


MORE_ACTIVE = "show fewer (explain --top, --bands) or harvest more (harvest --top, --per-band)"
MORE_SILENT = "harvest some (harvest --silent) or draw some (import folder --silent-from-others)"


def lacking(case: Case, *, silent: bool) -> str | None:
    """Why a feature has too few held-out images to be asked about; None where it has enough.

    Args:
        case: the feature's trial.
        silent: whether silent images are needed as well.
    """
    settings, pool = case.settings, case.pool
    if (n := len(pool.active)) < settings.min_active:
        return f"{n} held-out active images, {settings.min_active} are needed; {MORE_ACTIVE}"
    if silent and (n := len(pool.silent)) < settings.min_silent:
        return f"{n} held-out silent images, {settings.min_silent} are needed; {MORE_SILENT}"
    return None


def apart(exemplars: Iterable[Exemplar], images: Images) -> list[Exemplar]:
    """Those that are no near-duplicates of an earlier one."""
    taken: set[str] = set()
    out: list[Exemplar] = []
    for exemplar in exemplars:
        kin = kin_of(images[exemplar.image])
        if not kin & taken:
            taken |= kin
            out.append(exemplar)
    return out


class Deck:
    """Deals exemplars; those dealt least come first, ties at random."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._dealt: Counter[int] = Counter()

    def deal(self, exemplars: Sequence[Exemplar], n: int) -> list[Exemplar]:
        """`n` of the exemplars in random order, all of them where there are fewer."""
        order = sorted(exemplars, key=lambda e: (self._dealt[e.image], self._chance.random()))[:n]
        self._dealt.update(e.image for e in order)
        self._chance.shuffle(order)
        return order


def places(n: int, of: int, chance: Random) -> list[int]:
    """A place in range(of) for each of `n` questions: every place as often as any other, to within one; shuffled."""
    start = chance.randrange(of)
    out = [(start + i) % of for i in range(n)]
    chance.shuffle(out)
    return out


@dataclass(frozen=True, slots=True)
class Board:
    """Several images as a question shows them."""

    pictures: tuple[ImagePart, ...]
    variables: dict[str, Value]
    """For the template: n, layout, rows, columns, images."""


def board(tiles: Sequence[Tile], look: Look, quality: int, role: Role) -> Board:
    """Puts tiles numbered from 1 on one sheet, of rows as even as can be, or each in a picture of its own.

    Args:
        tiles: what is shown, in order.
        look: layout, most columns, and the side of a tile.
        quality: of the JPEG, 1–95.
        role: what the prompt says of the images.
    """
    n = len(tiles)
    rows = -(-n // look.columns)
    columns = -(-n // rows)
    if look.layout == "sheet" and n > 1:
        sheet = Picture(tuple(tiles), snug_side(tiles, look.side), quality, columns)
        pictures = (ImagePart(sheet, role, tuple(range(1, n + 1))),)
        layout, images = "sheet", [ShownImage(0, "", (Slot(0, "sheet"),))]
    else:
        singles = [Picture((tile,), look.side, quality) for tile in tiles]
        pictures = tuple(ImagePart(single, role, (i,)) for i, single in enumerate(singles, 1))
        layout = "separate"
        images = [ShownImage(i + 1, "", (Slot(i, tile.rendering),)) for i, tile in enumerate(tiles)]
    return Board(pictures, {"n": n, "layout": layout, "rows": rows, "columns": columns, "images": images})


def together(names: Sequence[Sequence[str]]) -> list[str]:
    """A label for each row of names, the same for rows that a chain of shared names joins."""
    joined: dict[str, str] = {name: name for row in names for name in row}

    def root(name: str) -> str:
        while joined[name] != name:
            name = joined[name]
        return name

    for row in names:
        for name in row[1:]:
            joined[root(name)] = root(row[0])
    return [root(row[0]) for row in names]


def weighted_mean(
    credit: Floats,
    weight: Floats,
    group: Sequence[str],
    answered: Sequence[bool],
    *,
    replicates: int,
    seed: int,
) -> Interval:
    """A mean of credits with its bootstrap interval over groups, widened to what the unanswered could make of it.

    Args:
        credit: in [0, 1]; of an unanswered one what guessing earns. Shape [n].
        weight: w > 0. Shape [n].
        group: equal for credits that are drawn together.
        answered: whether a usable answer came; else the bounds take the credit for 0 and for 1.
        replicates: bootstrap samples.
        seed: of the resampling.
    """
    n = len(credit)
    _, label = np.unique(list(group), return_inverse=True)
    judged = replace(
        one_look(np.ones(n), credit, weight, np.zeros(n, np.int64)),
        group=label.astype(np.int64),
        looked=np.full(n, n, np.int64),
        answered=np.array(answered, bool),
    )
    return interval_of(recall_samples, judged, resample(judged, replicates=replicates, seed=seed))
