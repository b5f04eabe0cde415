"""What `score` does besides where pictures are made of explanations: the texts, what they cost, where they are kept."""

from collections.abc import Callable
from pathlib import Path

from autointerp.lmm.images.store import FOLDER
from autointerp.runs.index import ExplanationIndex, Ints
from autointerp.runs.info import ControlTexts
from autointerp.schema import Scored
from autointerp.scoring.case import Outcome
from autointerp.scoring.gallery import GENERIC, Gallery
from autointerp.session.pictures import find_picture_price, said_of_pictures
from autointerp.settings import PictureSettings


def announce_pictures(
    settings: PictureSettings,
    prices: Path | None,
    index: ExplanationIndex,
    left: Ints,
    controls: ControlTexts | None,
    say: Callable[[str], None],
    *,
    batch: bool,
) -> None:
    """Says how many pictures there will be at most, and what they cost, before any is made.

    Args:
        settings: who makes them, and how many of each text.
        prices: the user's price file.
        index: the explanations of the run.
        left: the features that are left to score.
        controls: the texts that serve as controls.
        say: is told.
        batch: whether a batch job is to make them.
    """
    texts = {said.text for feature in left.tolist() if not (said := index[feature]).none}
    if not texts:
        return
    texts.add(GENERIC)
    if controls is not None:
        near = (controls.neighbours.get(feature) for feature in left.tolist())
        texts |= {*controls.texts, *(text for text in near if text is not None)}
    price = find_picture_price(settings, prices, batch=batch)
    say(said_of_pictures(len(texts) * settings.n, settings, price, batch=batch))


def keep_pictures(outcome: Outcome, gallery: Gallery | None, run: Path) -> None:
    """Puts the pictures of a score into the folder of the run, where reports look for them.

    Raises:
        SettingsError: one cannot be written.
    """
    if gallery is not None and isinstance(outcome, Scored):
        for one in outcome.generated:
            gallery.keep(one.picture, run / FOLDER)
