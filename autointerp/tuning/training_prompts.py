"""Features as an explainer in training meets them: what it is asked, and the images its answer is judged on."""

from collections import OrderedDict
from collections.abc import Sequence
from io import BytesIO
from random import Random
from typing import NamedTuple

import numpy as np
from PIL import Image

from autointerp.dump.near_copies import NearCopies
from autointerp.dump.reader import Dump
from autointerp.errors import ImageError, SettingsError
from autointerp.evidence import Images, draw_shown
from autointerp.explanation.candidate_scores import choosing_sample
from autointerp.explanation.explainer import Explainer
from autointerp.images.renderer import Renderer
from autointerp.ips.rewards import Ask, Part, Turn
from autointerp.job import images_of, only
from autointerp.lmm.outcomes import Failure, failed
from autointerp.lmm.request import ImagePart, Message, Request
from autointerp.prompts import Prompt, plain
from autointerp.schema import FailureRecord, Feature
from autointerp.scoring.sampling import Sample
from autointerp.settings import ExplainSettings, ScoreSettings, TuneSettings
from autointerp.tuning.folder import Features

N_KEPT = 64
"""Features whose prompts and samples are kept."""


class Scene(NamedTuple):
    """Holds what one feature is asked with."""

    request: Request
    """The question that `explain` would ask."""
    images: Images
    sample: Sample
    """Images that the question does not show."""


class Scenes:
    """Holds the scenes of the features.

    Args:
        dump: where the features are.
        explainer: asks.
        settings: of the images that are judged.
        renderer: makes the pictures.
        eyes: whether the policy takes pictures; else each is told by its image's label.
    """

    def __init__(
        self, dump: Dump, explainer: Explainer, settings: ScoreSettings, renderer: Renderer, *, eyes: bool
    ) -> None:
        self._dump, self._explainer = dump, explainer
        self._near_copies = NearCopies(dump, None)
        self.judging = settings
        self._renderer, self._eyes = renderer, eyes
        self._kept: OrderedDict[int, Scene] = OrderedDict()

    @property
    def explaining(self) -> ExplainSettings:
        """What is shown and asked."""
        return self._explainer.settings

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """The templates of the question."""
        return self._explainer.prompts

    def __getitem__(self, feature: int) -> Scene:
        """The scene of a feature that `usable` knows to be one."""
        scene = self._kept.pop(feature, None) or self._made(self._dump.feature(feature))
        assert scene is not None
        self._keep(feature, scene)
        return scene

    def usable(self, feature: Feature) -> bool:
        """Whether there is something to show and something on either side to judge; makes each picture once.

        Raises:
            SettingsError: the policy takes no pictures, and an image has no label.
            ImageError: a picture of the prompt cannot be made.
        """
        scene = self._made(feature)
        if scene is None or not scene.sample.active or not scene.sample.silent:
            return False
        self._keep(feature.id, scene)
        self.ask(feature.id)
        return True

    def ask(self, feature: int) -> Ask:
        """The prompt of a feature.

        Raises:
            SettingsError: as for `usable`.
            ImageError: as for `usable`.
        """
        scene = self[feature]
        turns = [self._turn(message, scene.images) for message in scene.request.messages]
        if not self._eyes:
            return Ask(turns, [])
        return Ask(turns, [Image.open(BytesIO(self._renderer.jpeg_now(p))) for p in scene.request.pictures])

    def _made(self, feature: Feature) -> Scene | None:
        images = images_of(self._dump, feature, near_copies=self._near_copies)
        asked = self._explainer.requests(feature, images)
        if not asked:
            return None
        shown = draw_shown(feature, images, self._explainer.settings)
        ids = [e.image for e in (*shown.active, *shown.contrast)]
        grid, n_images = self._dump.info.patch_grid, self._dump.info.n_images
        sample = choosing_sample(feature, ids, images, self.judging, grid=grid, n_images=n_images)
        return Scene(asked[0], images, sample)

    def _keep(self, feature: int, scene: Scene) -> None:
        self._kept[feature] = scene
        if len(self._kept) > N_KEPT:
            self._kept.popitem(last=False)

    def _turn(self, message: Message, images: Images) -> Turn:
        if self._eyes:
            return Turn(role=message.role, content=[_part(p) for p in message.parts])
        texts = [self._label(p, images) if isinstance(p, ImagePart) else p.text for p in message.parts]
        return Turn(role=message.role, content="\n".join(texts))

    def _label(self, part: ImagePart, images: Images) -> str:
        named: Sequence[str | None] = [images[tile.image].label for tile in part.picture.tiles]
        if not all(named):
            raise SettingsError(
                f"{self._dump.path}: image {part.picture.tiles[0].image} has no label, and the model of --model sees "
                "no pictures; take one that does, or a dump with labels"
            )
        return "; ".join(f"[image of: {plain(name)}]" for name in named if name)


def _part(part: object) -> Part:
    return Part(type="image") if isinstance(part, ImagePart) else Part(type="text", text=str(getattr(part, "text", "")))


def usable_features(dump: Dump, ids: Sequence[int], scenes: Scenes) -> tuple[list[int], list[FailureRecord]]:
    """Features that can be trained on, and failures of those whose pictures cannot be made.

    Raises:
        SettingsError: there are none, or as `Scenes.usable` says.
    """
    found: list[int] = []
    broken: list[FailureRecord] = []
    for feature in dump.features(only(np.array(ids, np.int64))):
        try:
            if scenes.usable(feature):
                found.append(feature.id)
        except ImageError as e:
            broken.append(failed(feature.id, "tune:explain", Failure("image", str(e), 0)))
    if not found:
        raise SettingsError(f"{dump.path}: none of the features has images to show and others to judge by")
    return found, broken


def parted(usable: Sequence[int], settings: TuneSettings) -> Features:
    """Draws the features that are held out, one at least where any are to be."""
    n = min(round(settings.held_out * len(usable)) or int(settings.held_out > 0), len(usable) - 1)
    held_out = sorted(Random(f"tune-split:{settings.seed}").sample(usable, n))
    return Features(train=tuple(f for f in usable if f not in held_out), held_out=tuple(held_out))


def schedule(train: Sequence[int], settings: TuneSettings) -> list[int]:
    """Features of every step: each comes up as often as any other, to within one."""
    chance, out = Random(f"tune-order:{settings.seed}"), list[int]()
    while len(out) < settings.steps * settings.batch:
        out += chance.sample(train, len(train))
    return out[: settings.steps * settings.batch]
