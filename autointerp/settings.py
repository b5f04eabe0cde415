"""The settings that commands are composed of: each option once, with its type, default, bounds and help."""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from autointerp.images.picture import ExplainerRendering, JudgeRendering, OutlineStyle
from autointerp.options import Argument, Command, Commas, Group, Option, Place, Settings

PANELS = (
    "Options",
    "Which features",
    "Model",
    "What the explainer is shown and asked",
    "Several explanations",
    "Steering",
    "What the judge is shown and asked",
    "Screening",
    "Single scorers",
    "Generated pictures",
    "Controls and corrections",
    "Descriptions from elsewhere",
    "Pictures",
    "Held-out images",
    "The coder",
    "Training",
    "Evidence",
    "Endpoint and limits",
    "Files",
    "Many machines",
    "Output",
)
"""The panels of the help, in their order: what is used most stands first."""

Detail = Literal["auto", "low", "high"]
"""The `detail` that is asked for with an image; `auto` asks for none, and endpoints then look at high detail."""

LOCAL = "local"
"""The model name that means the embedded model; it is followed by `@` and a digest once it is resolved."""
HUMAN = "human"
"""The model name that means a person; it is followed by `:` and the person's name once it is resolved."""
TRANSFORMERS = "hf:"
"""Before the name of a model of transformers, which runs in this process; `@` and a digest follow once resolved."""
_PERSON = re.compile(r"[^\W_][\w.-]{0,39}")


def person_name(text: str) -> str:
    """Checks the name of a person.

    Raises:
        ValueError: it has other signs than letters, digits, `-`, `_` and `.`, or more than 40.
    """
    if _PERSON.fullmatch(text) is None:
        raise ValueError("a person's name has 1 to 40 letters, digits, -, _ and . and begins with one of the first two")
    return text


PersonName = Annotated[str, AfterValidator(person_name)]
"""A name that a person may have."""


class ModelName(str):
    """The name of a model: its endpoint's, `local` (embedded), `human:NAME` (a person) or `hf:NAME` (transformers)."""

    __slots__ = ()

    @classmethod
    def of_person(cls, name: str) -> Self:
        """Who a person is as a judge.

        Raises:
            ValueError: it is no name that a person may have.
        """
        return cls(f"{HUMAN}:{person_name(name)}")

    @classmethod
    def checked(cls, text: str) -> Self:
        """The name; raises ValueError where it names a person by a name that nobody may have."""
        kind, colon, name = text.partition(":")
        return cls.of_person(name) if kind == HUMAN and colon else cls(text)

    @property
    def is_local(self) -> bool:
        """Whether the embedded model is meant."""
        return self == LOCAL or self.startswith(f"{LOCAL}@")

    @property
    def is_human(self) -> bool:
        """Whether a person is meant."""
        return self == HUMAN or self.startswith(f"{HUMAN}:")

    @property
    def is_transformers(self) -> bool:
        """Whether a model of transformers is meant, which runs in this process."""
        return self.startswith(TRANSFORMERS)

    @property
    def has_server(self) -> bool:
        """Whether it is asked at an endpoint."""
        return not (self.is_local or self.is_human or self.is_transformers)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """A string of at least one character."""
        return core_schema.no_info_after_validator_function(cls.checked, core_schema.str_schema(min_length=1))


BUDGET = re.compile(
    r"(?P<dollar>\$)?\s*(?P<number>\d+(\.\d+)?|\.\d+)\s*(?P<scale>[kmb])?\s*(?P<unit>usd|tok|tokens?)?", re.I
)
SCALES = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9}


class Budget(str):
    """The most that a run may use, such as `2.50usd`, `$2.50`, `3M tokens` or `3000000tok`.

    The letters k, M and B stand for 10³, 10⁶ and 10⁹.

    Raises:
        ValueError: the text is none of these, or not above zero.
    """

    limit: float
    """Dollars, or tokens in and out together."""
    unit: Literal["usd", "tokens"]

    def __new__(cls, text: str) -> Self:
        """Reads the value from its text."""
        match = BUDGET.fullmatch(text.strip())
        unit: str = (match["unit"] or "").lower() if match else ""
        if match is None or bool(match["dollar"]) == bool(unit):
            raise ValueError("write it as 2.50usd, $2.50, 3M tokens or 3000000tok")
        limit = float(match["number"]) * SCALES[(match["scale"] or "").lower()]
        if limit <= 0:
            raise ValueError("it must be above zero; leave it out for no limit")
        self = super().__new__(cls, text)
        self.limit, self.unit = limit, "tokens" if unit.startswith("tok") else "usd"
        return self

    @classmethod
    def of(cls, limit: float, unit: Literal["usd", "tokens"]) -> Self:
        """The budget of so many dollars or whole tokens."""
        return cls(f"{limit:.12f}usd" if unit == "usd" else f"{int(limit)} tokens")

    def __reduce__(self) -> tuple[type[Self], tuple[str]]:
        """Pickles the text of the value alone."""
        return type(self), (str(self),)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """A string that is a budget."""
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema())


class FeatureSelection(str):
    """A choice of features: `all`, numbers and ranges such as `0-511,600`, or `@FILE` with one on each line.

    The path of a file is made absolute, so that the choice means the same in another folder.
    """

    __slots__ = ()

    def __new__(cls, value: str | Iterable[int]) -> Self:
        """Takes the text, or the ids."""
        text = value.strip() if isinstance(value, str) else ",".join(str(int(f)) for f in value)
        return super().__new__(cls, f"@{Path(text[1:]).absolute()}" if text.startswith("@") else text)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """A string, or a list of ids."""
        kinds = core_schema.union_schema([core_schema.str_schema(), core_schema.list_schema(core_schema.int_schema())])
        return core_schema.no_info_after_validator_function(cls, kinds)


def alone_or_several(value: object) -> object:
    """Takes one text or path alone as the only one of several."""
    return (value,) if isinstance(value, str | Path) else value


def split_at_commas(value: object) -> object:
    """Texts such as `a,b` as one tuple of their parts; anything else as it is."""
    return _split(value, lambda text: [part.strip() for part in text.split(",") if part.strip()])


def all_addresses(value: object) -> object:
    """Each address once, in order; also from texts with commas or spaces, as an environment variable holds them."""
    found = _split(value, lambda text: text.replace(",", " ").split())
    return tuple(dict.fromkeys(found)) if isinstance(found, tuple) else found


def _split(value: object, parts: Callable[[str], list[str]]) -> object:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        return value
    return tuple(part for text in texts for part in parts(text))


def first_address(value: object) -> object:
    """The first of several addresses."""
    several = all_addresses(value)
    return next(iter(several), None) if isinstance(several, tuple) else value


Addresses = Annotated[tuple[str, ...], BeforeValidator(all_addresses)]
"""Several addresses, one by one or in texts with commas or spaces between them."""
Names = Annotated[tuple[str, ...], BeforeValidator(split_at_commas), Commas()]
"""Several names, in one text with commas between them or one by one."""


class ModelChoice(Settings):
    """Which model answers, and how it samples, where the command may choose the model."""

    panel: ClassVar[str] = "Model"

    model: ModelName | None = None
    """The name of the model as your endpoint knows it, e.g. gpt-5-mini, or `local` for the embedded model."""
    base_url: Annotated[str | None, BeforeValidator(first_address), Option(env="AUTOINTERP_BASE_URL", several=True)] = (
        None
    )
    """An OpenAI-compatible server, e.g. http://localhost:8000/v1; without it, that of OPENAI_BASE_URL, else OpenAI."""
    temperature: float = Field(default=0.0, ge=0, le=2)
    """The sampling temperature of the replies; it is left out where the endpoint refuses it."""
    max_tokens: PositiveInt = 2000
    """The most tokens of one reply, thinking included; a reply that is cut is asked for again with more."""
    seed: NonNegativeInt = 0
    """The seed of every random choice; it is also sent to the endpoint."""
    detail: Detail = "auto"
    """How finely the endpoint looks at images: `low` costs less with some families of models."""

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, value: object) -> object:
        """Takes a name alone, and the settings of a model where it is named."""
        if isinstance(value, str):
            return {"model": value}
        return value.model_dump() if isinstance(value, ModelChoice) and not isinstance(value, cls) else value

    def of(self, name: str) -> "ModelSettings":
        """The settings of a model by its name."""
        return ModelSettings.model_validate(self.model_dump() | {"model": name})


class ModelSettings(ModelChoice):
    """Which model answers, and how it samples. Everything here is part of the cache key, except `base_url`."""

    model: Annotated[  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues] - frozen
        ModelName,
        Option(
            env="AUTOINTERP_MODEL",
            missing="name a model with --model: one that your endpoint knows, e.g. gpt-5-mini, "
            "or `local` for the embedded one",
        ),
    ]
    """The name of the model as your endpoint knows it, e.g. gpt-5-mini, or `local` for the embedded model."""


class RegionSettings(Settings):
    """Where a feature fired in an image, and how the region is rendered."""

    panel: ClassVar[str] = "Pictures"

    mass: float = Field(default=0.9, gt=0, le=1)
    """The share of the activation mass around the peak that a crop holds."""
    margin: float = Field(default=0.15, ge=0, le=1)
    """The context around a crop on each side, as a fraction of that side."""
    least: float = Field(default=0.3, ge=0, le=1)
    """The smallest side of a crop, as a fraction of the image's own side."""
    side: int = Field(default=448, ge=16, le=4096)
    """The longest side of a picture, in pixels."""
    enlarge: int = Field(default=224, ge=0, le=4096)
    """Smaller pictures of the explainer are enlarged to this longest side, in pixels, and tiles of contact sheets to
    their cells; with 0 nothing is enlarged."""
    quality: Annotated[int, Option("--jpeg-quality")] = Field(default=85, ge=1, le=95)
    """The JPEG quality of the pictures."""
    outline: OutlineStyle = "contour"
    """How an outline marks a region: a light and a dark line along its contour (`contour`), the dark line alone
    (`line`), or both lines around its box (`box`)."""


EMBEDDER = Group(
    only=("model", "base_url"),
    options={
        "model": Option(
            "--embedder",
            help="The model that tells meanings apart: `local`, a model of an endpoint with embeddings, or `none`, "
            "which leaves every pair to the judge; with --steer equal words alone then mean the same.",
        ),
        "base_url": Option(
            "--embedder-base-url",
            help="The embedder's server; without it, that of the model beside it.",
        ),
    },
    panel="Several explanations",
)
"""How the embedder of explanations stands in a command."""


def _without_embedder(value: object) -> object:
    """A record with an embedder; one of the name `none` is none."""
    if isinstance(value, dict) and isinstance(who := value.get("embedder"), dict) and who.get("model") == "none":
        if who.get("base_url") is not None:
            said = "embedder none with a base_url: leave one of them out"
            options = "--embedder none with --embedder-base-url: leave one of them out"
            raise PydanticCustomError("options", said, {"options": options})
        return value | {"embedder": None}
    return value


class CandidateSettings(Settings):
    """How several explanations of one feature are sampled, told apart and chosen."""

    panel: ClassVar[str] = "Several explanations"

    n: Annotated[int, Option("--candidates", default="1; with --diverse 8")] = Field(default=8, ge=2, le=64)
    """How many explanations of each feature are sampled; the best is kept."""
    diverse: bool = False
    """Keep an explanation of each meaning that images tell apart from the others, and not the best of all alone."""
    subset: PositiveInt = 4
    """How many active images every second candidate is made from."""
    temperature: Annotated[float, Option("--candidate-temperature")] = Field(default=1.0, ge=0, le=2)
    """The temperature at which candidates are sampled; each has a seed of its own."""
    n_active: Annotated[PositiveInt, Option("--choose-active")] = 12
    """How many held-out active images candidates are compared on; nothing is scored on them afterwards."""
    n_silent: Annotated[PositiveInt, Option("--choose-silent")] = 24
    """How many held-out silent images candidates are compared on."""
    judge: Annotated[ModelName | None, Option("--candidate-judge", default="the explainer")] = None
    """The model that judges candidates, at the explainer's own server."""
    embedder: Annotated[ModelSettings | None, EMBEDDER] = ModelSettings(model=ModelName(LOCAL))
    """The model that embeds candidates to tell their meanings apart; None leaves every pair to the judge."""
    same: Annotated[float, Option("--same-meaning")] = Field(default=0.9, ge=-1, le=1)
    """The cosine from which two texts mean the same."""
    different: Annotated[float, Option("--different-meaning")] = Field(default=0.3, ge=-1, le=1)
    """The cosine below which two texts differ in meaning; between `same` and this the judge decides."""

    @model_validator(mode="before")
    @classmethod
    def _nobody(cls, value: object) -> object:
        return _without_embedder(value)


class SteerSettings(Settings):
    """How a vision-language model is made to say what a feature's direction means to it."""

    panel: ClassVar[str] = "Steering"

    coefficient: Annotated[float, Option("--steer", metavar="COEFFICIENT")] = Field(allow_inf_nan=False)
    """Add so many times the feature's decoder direction, at unit length, inside --model, and ask what is highlighted.
    --model is a vision-language model (`hf:NAME`) whose vision tower is the explained encoder (docs/steering.md)."""
    on: Annotated[Literal["blank", "top"], Option("--steer-on")] = "blank"
    """Where it is added: to every patch of a blank white image (`blank`), or, in the images of --top, to the patches of
    the heat map, all else dimmed (`top`)."""
    embedder: Annotated[ModelSettings | None, EMBEDDER] = ModelSettings(model=ModelName(LOCAL))
    """The model that tells whether a control says the same; None goes by equal words alone."""
    same: Annotated[float, Option("--same-meaning")] = Field(default=0.9, ge=-1, le=1)
    """The cosine from which two texts mean the same."""

    @model_validator(mode="before")
    @classmethod
    def _nobody(cls, value: object) -> object:
        return _without_embedder(value)


class MarginSettings(Settings):
    """Which images count as silent."""

    silent_below: float = Field(default=0.5, gt=0, le=1)
    """The share of its threshold up to which an image is shown as silent; one on which the feature reaches more without
    firing is no contrast, and 1 shows them all."""


PIPELINE = "diffusers:"
"""What stands before the name of an image model that runs in this process."""


class PictureSettings(Settings):
    """Which pictures are made of explanations, and who makes them."""

    panel: ClassVar[str] = "Generated pictures"

    model: Annotated[ModelName, Option("--image-model")]
    """The model that makes pictures, of explanations for the scorer `generation` or of images for `--contrast-kind
    edited`: one of a server with the Images API, or for the former `diffusers:ID`, a pipeline that runs here."""
    base_url: Annotated[str | None, BeforeValidator(first_address), Option("--image-base-url")] = None
    """The server of --image-model, e.g. http://localhost:8000/v1; without it, OpenAI."""
    n: Annotated[int, Option("--n-pictures")] = Field(default=8, ge=2, le=64)
    """How many pictures are made of each explanation, spread over the styles."""
    size: Annotated[str, Option("--image-size")] = Field(default="1024x1024", pattern=r"^[1-9]\d{1,3}x[1-9]\d{1,3}$")
    """The width and height of the pictures, in pixels; what comes in another size is taken as it is."""
    quality: Annotated[str | None, Option("--image-quality", default="the server's own")] = None
    """The quality that the server is asked for, by its own name for it, such as low; prices depend on it."""

    @property
    def fields(self) -> dict[str, str]:
        """What is sent beside the prompt of each picture."""
        return {"size": self.size} | ({} if self.quality is None else {"quality": self.quality})


ContrastKind = Literal["silent", "erased", "edited"]


class ExplainSettings(MarginSettings):
    """What the explainer is shown and asked."""

    panel: ClassVar[str] = "What the explainer is shown and asked"

    n_top: Annotated[NonNegativeInt, Option("--top")] = 8
    """How many images of the highest activations are shown."""
    n_bands: Annotated[NonNegativeInt, Option("--bands")] = 8
    """How many images of lower activations are shown, spread evenly over the activation bands."""
    refill: Annotated[bool, Option(negative="--no-refill")] = True
    """Whether places for which the bands have too few images go to those of the highest activations."""
    n_contrast: Annotated[NonNegativeInt, Option("--contrast")] = 4
    """How many look-alikes on which the feature is silent are shown beside them."""
    contrast_kind: ContrastKind = "silent"
    """What contrast is shown: `silent`, look-alikes on which the feature is silent; or `erased`, active images once
    more without the region that fired, of which the network that made the dump (--coder) says that the feature is
    silent on them, and look-alikes only where too few of these are found; or `edited`, the same with the region painted
    anew by --image-model."""
    pictures: Annotated[
        PictureSettings | None, Group(only=("model", "base_url", "size", "quality"), switch=("model",))
    ] = None
    """Who paints regions anew, for the contrast `edited`; None for nobody."""
    shown: Literal["drawn", "highest"] = "drawn"
    """Which images of the `top` stratum are shown: drawn at random, or the highest."""
    renderings: Annotated[tuple[ExplainerRendering, ...], Option("--rendering")] = Field(
        default=("outline", "crop"), min_length=1
    )
    """How each active image is shown; repeat it for several renderings of each. `auto` asks the network that made the
    dump (--coder): a crop where that alone fires the feature, else the whole image with the region outlined."""
    levels: Literal["words", "numbers", "none"] = "words"
    """How the prompt states activations: as strong or weaker, as numbers, or not at all."""
    region: RegionSettings = RegionSettings()
    """Regions and picture size."""
    candidates: Annotated[CandidateSettings | None, Group(switch=("n", "diverse"))] = None
    """How several explanations are sampled and chosen from; None asks once."""
    steer: Annotated[SteerSettings | None, Group(switch=("coefficient",))] = None
    """How the explained encoder is steered inside a model that writes; None shows images."""
    hierarchy: bool = False
    """Explain broader features first, and tell narrower ones the explanations of their parents."""
    domain: str | None = None
    """The domain of a second pass, e.g. physical-plausibility: a template of prompts/domains/."""
    n_shuffled: NonNegativeInt = 20
    """How many features the second pass is also asked about with a shuffled image set, as a control."""
    seed: NonNegativeInt = 0
    """The seed of every random choice; it is also sent to the endpoint."""


UNSTEERED = Group(only=tuple(name for name in ExplainSettings.model_fields if name != "steer"))
"""How settings of an explainer at an endpoint stand in a command."""


class ScoreSettings(MarginSettings):
    """What the judge is shown and asked."""

    panel: ClassVar[str] = "What the judge is shown and asked"

    silent_below: float = Field(default=1.0, gt=0, le=1)
    """The share of its threshold up to which a feature is silent; with less than 1, images on which it reaches more
    without firing stay out of the headline, and F1 with and without them is given."""

    scorers: Names = ("detection", "accuracy", "relevance")
    """The scorers that run, with commas between them."""
    n_active: Annotated[PositiveInt, Option("--active")] = 24
    """How many held-out active images of each feature are judged, spread over the strata."""
    n_silent: Annotated[PositiveInt, Option("--silent")] = 36
    """How many held-out silent images of each feature are judged."""
    guide: Literal["images", "text"] = "images"
    """What the look-alikes among the silent images are like: the images that fire the feature (`images`), or also the
    words of the explanation, as the model of --embedder sees them (`text`). With `text` more wrong explanations are
    caught by the same number of judgements; it works best with a dump that has a pool, as `harvest` writes it."""
    min_active: PositiveInt = 5
    """The fewest held-out active images with which a feature is scored."""
    min_silent: PositiveInt = 5
    """The fewest held-out silent images with which a feature is scored by detection."""
    layout: Literal["sheet", "separate"] = "sheet"
    """Whether a call shows one numbered contact sheet, or separate pictures."""
    per_call: int = Field(default=12, ge=1, le=64)
    """How many images are judged in one call; 1 judges each image alone."""
    columns: PositiveInt = 4
    """How many columns a contact sheet has."""
    rendering: Annotated[JudgeRendering, Option("--judge-rendering", "--rendering")] = "full"
    """How detection and choice show an image: whole (`full`), whole and a part of it beside that, in its own pixels
    (`zoom`), or the part alone (`crop`), which asks about parts and not about images."""
    region: Annotated[
        RegionSettings,
        Group(
            only=("side", "enlarge", "quality"),
            options={
                "side": Option("--judge-side", "--side"),
                "quality": Option("--judge-jpeg-quality"),
            },
            panel="What the judge is shown and asked",
        ),
    ] = RegionSettings(side=448)
    """Regions, which are those of the explainer unless they are given here, and picture size."""
    seed: NonNegativeInt = 0
    """The seed of every random choice; it is also sent to the endpoint."""
    bootstrap: int = Field(default=2000, ge=100, le=100_000)
    """How many bootstrap replicates each interval comes from."""
    interval: float | None = Field(default=None, gt=0, lt=1)
    """Judge on until the 95 % interval of detection is this narrow, e.g. 0.1."""
    max_calls: PositiveInt = 40
    """The most calls for one feature with --interval, the first round included."""
    budget_per_feature: PositiveInt | None = Field(default=None)
    """How many calls the first round of a feature may take: the rarer it fires, the more silent images are judged,
    until a right explanation has an interval of 0.2 (or of --interval); without it, as many as --silent says."""
    n_screen: Annotated[NonNegativeInt, Option("--screen", panel="Screening")] = 0
    """How many silent images are screened on sheets first; a weighted part of them is then judged alone."""
    screen_model: Annotated[ModelName | None, Option(panel="Screening")] = None
    """The model that screens, at the judge's own server; by default the judge."""
    screen_per_call: Annotated[int, Option(panel="Screening")] = Field(default=36, ge=2, le=64)
    """How many images a screening sheet shows."""
    screen_side: Annotated[int, Option(panel="Screening")] = Field(default=128, ge=16, le=4096)
    """The longest side of a screened image, in pixels."""
    n_controls: Annotated[NonNegativeInt, Option("--controls", panel="Controls and corrections")] = 20
    """How many features are judged under other explanations too, as controls; 0 for none."""
    framing: Annotated[bool, Option(negative="--no-framing", panel="Controls and corrections")] = True
    """Whether these include texts that speak of framing alone, such as "a close-up of a thing"."""
    n_intruder: Annotated[int, Option(panel="Single scorers")] = Field(default=10, ge=1, le=1000)
    """How many odd-one-out questions `intruder` asks about a feature."""
    n_intruder_hard: Annotated[int, Option(panel="Single scorers")] = Field(default=10, ge=0, le=1000)
    """How many further questions hide a look-alike, on which the feature does not fire, among the others."""
    intruder_of: Annotated[int, Option(panel="Single scorers")] = Field(default=5, ge=3, le=16)
    """How many crops each of these questions shows, one of them silent."""
    n_choice: Annotated[int, Option(panel="Single scorers")] = Field(default=12, ge=1, le=1000)
    """How many pairs of an active and a silent crop `choice` asks about; each is asked in both orders."""
    n_naming: Annotated[int, Option(panel="Single scorers")] = Field(default=4, ge=1, le=1000)
    """How many questions which explanation fits `naming` asks about a feature."""
    naming_of: Annotated[int, Option(panel="Single scorers")] = Field(default=5, ge=2, le=12)
    """How many explanations each of these questions offers, one of them the feature's own."""
    naming_crops: Annotated[PositiveInt, Option(panel="Single scorers")] = 4
    """How many active crops each of these questions shows."""
    n_localisation: Annotated[int, Option(panel="Single scorers")] = Field(default=12, ge=1, le=1000)
    """How many active images the judge points on for `localisation`."""
    n_embedding: Annotated[PositiveInt, Option(panel="Single scorers")] = 48
    """How many active and how many silent images `embedding` embeds."""
    n_causal: Annotated[int, Option(panel="Single scorers")] = Field(default=16, ge=1, le=1000)
    """Of how many active images `causal` makes pictures, ten of each, which the network is shown."""
    pictures: Annotated[PictureSettings | None, Group(switch=("model",))] = None
    """Which pictures `generation` has made of explanations; None for none."""
    embedder: Annotated[
        ModelSettings,
        Group(
            only=("model", "base_url"),
            options={
                "model": Option(
                    "--embedder",
                    help="The model that embeds for the scorer `embedding` and for `--guide text`: `local`, or a model "
                    "of an endpoint with embeddings.",
                ),
                "base_url": Option(
                    "--embedder-base-url",
                    help="The embedder's server; without it, that of the model beside it.",
                ),
            },
            panel="Single scorers",
        ),
    ] = ModelSettings(model=ModelName(LOCAL))
    """The model that embeds crops and explanations: `local`, or a model of an endpoint with embeddings."""


def recorded(value: object) -> object:
    """Score settings as a file holds them: an earlier version knew no controls by framing, and asked for none."""
    older = {"framing": False, "silent_below": 1.0, "n_intruder_hard": 0}
    return _with_region(older | value) if isinstance(value, dict) else value


def recorded_explain(value: object) -> object:
    """Explain settings as a file holds them: an earlier version had no margin, and left places of the bands empty.

    It also told the share of each meaning under a sampler, by two settings that changed nothing else.
    """
    if not isinstance(value, dict):
        return value
    out = _with_region({"refill": False, "silent_below": 1.0} | value)
    if isinstance(plan := out.get("candidates"), dict):
        out["candidates"] = {name: one for name, one in plan.items() if name not in ("epsilon", "beta")}
    return out


def _with_region(value: Mapping[str, object]) -> dict[str, object]:
    """Settings with a region as a file holds them: an earlier version enlarged no picture."""
    region = value.get("region")
    return {**value, "region": {"enlarge": 0} | region} if isinstance(region, dict) else {**value}


class TuneSettings(Settings):
    """How an explainer is trained by the scores of its explanations."""

    panel: ClassVar[str] = "Training"

    method: Literal["ips", "grpo"] = "ips"
    """Whether a reward is divided by how often its meaning was sampled (`ips`) or not (`grpo`)."""
    group: Annotated[int, Option("--candidates")] = Field(default=8, ge=2, le=64)
    """How many explanations of a feature are sampled at a time."""
    batch: PositiveInt = 4
    """How many features one step takes."""
    steps: PositiveInt = 200
    """How many steps the optimiser takes."""
    learning_rate: PositiveFloat = 1e-6
    """The learning rate of AdamW, the same throughout; with --lora ten times as much is usual."""
    kl: float = Field(default=0.04, ge=0)
    """The weight of the divergence from the model as it was given; 0 saves the memory of a second model."""
    alpha: float = Field(default=1.0, ge=0, le=8)
    """The power of the inverse frequency: 1 is the full correction, 0 is none."""
    epsilon: float = Field(default=0.0, ge=0, le=1)
    """The least frequency of a meaning; a lower one counts as this."""
    lora: Annotated[PositiveInt | None, Option(default="every weight")] = None
    """The rank of the adapters that are trained instead of every weight."""
    temperature: float = Field(default=1.0, gt=0, le=2)
    """The temperature at which explanations are sampled; at 1 frequencies are the model's own."""
    max_tokens: PositiveInt = 256
    """The most tokens of a sampled reply; one that is cut off earns nothing."""
    forward: Annotated[PositiveInt | None, Option(default="--candidates")] = None
    """How many replies one pass forward and back takes; memory grows with it."""
    checkpointing: bool = False
    """Compute activations twice instead of keeping them: this is slower and takes less memory."""
    save_every: PositiveInt = 50
    """How many steps lie between two states to go on from."""
    held_out: float = Field(default=0.1, ge=0, le=0.9)
    """The share of the features that are never trained on, only measured before and after."""
    seed: NonNegativeInt = 0
    """The seed of every random choice; it is also sent to the endpoint."""


class EngineSettings(Settings):
    """How the endpoint is used; nothing here changes an answer."""

    panel: ClassVar[str] = "Endpoint and limits"
    changes_answers: ClassVar[bool] = False

    concurrency: PositiveInt = 64
    """The most requests in flight; the limiter finds what the endpoint takes below it."""
    requests_per_minute: PositiveFloat | None = None
    """The rate limit of your account, if you know it."""
    tokens_per_minute: PositiveFloat | None = None
    """The token limit of your account, if you know it."""
    timeout: PositiveFloat = 120.0
    """How many seconds one call may take."""
    attempts: PositiveInt = 6
    """How many calls are made for one question before it is recorded as a failure."""
    more_base_urls: Annotated[tuple[str, ...], BeforeValidator(all_addresses), Option("--base-url")] = ()
    """The servers of the model where there are several, the first of them or only the further ones."""
    image_uuids: bool = False
    """Name pictures that a vLLM server has seen instead of sending them again; for vLLM only."""
    budget: Budget | None = None
    """Stop cleanly before this start of the command uses more than this: 2.50usd or 3M tokens."""


class PageSettings(Settings):
    """Where the page is served on which a person judges; nothing here changes an answer."""

    panel: ClassVar[str] = "Endpoint and limits"
    changes_answers: ClassVar[bool] = False

    host: str = "127.0.0.1"
    """With `--judge-model human`: the address of this machine to serve the page at; 0.0.0.0 serves every one who has
    the token."""
    port: Annotated[int | None, Field(ge=0, le=65535), Option(default="8765, or a free one")] = None
    """With `--judge-model human`: the port of the page."""
    open: bool = False
    """With `--judge-model human`: open the page in a browser."""


class Workplace(Settings):
    """Whose processes do the work; nothing here changes a result."""

    panel: ClassVar[str] = "Many machines"
    changes_answers: ClassVar[bool] = False

    engine: Literal["local", "ray"] = "local"
    """Whether this process does the work, or the actors of a Ray cluster."""
    actors: Annotated[PositiveInt | None, Option(was="--workers", default="2")] = None
    """How many actors of a Ray cluster share the work and the limits, each with a core of its own."""
    ray_address: str | None = None
    """The address of a running Ray cluster; without it one is begun on this machine."""


class Execution(Workplace):
    """Where a command is worked on, and what it keeps; nothing here changes an answer."""

    exchanges: Annotated[bool, Option(negative="--no-exchanges", panel="Output")] = True
    """Whether the run keeps what was asked, word for word, and each reply as it came."""
    batch: bool = False
    """Ask nothing now, and record the command for a batch job (`autointerp batch run RUN`)."""
    shard: str | None = None
    """Work on one piece of the features alone, counted from 0: of eight, 0/8 to 7/8; `autointerp merge` joins them."""


Location = Annotated[str, BeforeValidator(str), Place()]
"""A folder or a file by its path, or a URL such as `s3://bucket/dump`."""


def text_of_path(value: object) -> object:
    """A path as text, and anything else as it is."""
    return os.fspath(value) if isinstance(value, os.PathLike) else value


Images = Annotated[object, BeforeValidator(text_of_path)]
"""A population of images: its folder or file, a URL or a name, or in Python an iterable of images."""


class OfDump(Command):
    """Commands that read a feature dump."""

    dump: Annotated[Location, Argument()]
    """The folder of the feature dump, or its URL, such as s3://bucket/dump."""
    allow_outside: Annotated[bool, Option(panel="Files")] = False
    """Trust the image paths of the dump even where they leave its folder."""


class OfRun(Command):
    """Commands that read a run."""

    run: Annotated[Location, Argument()]
    """The folder of the run, or its URL, such as s3://bucket/run."""


class OfFeatures(Command):
    """Commands that work on a choice of features."""

    features: Annotated[FeatureSelection, Option(panel="Which features")] = FeatureSelection("all")
    """The features: `all`, numbers and ranges such as 0-511,600, or @FILE with one on each line."""
    width: Annotated[int | None, Option(panel="Which features")] = None
    """Only features of this nested prefix of the dictionary."""
    sample: Annotated[int | None, Option(panel="Which features")] = None
    """Only this many features, drawn by --seed."""


JUDGE = Group(
    options={
        "model": Option(
            "--judge-model",
            "--model",
            env="AUTOINTERP_JUDGE_MODEL",
            help="The judge; by default the run's explainer, though a model of another family judges more fairly. "
            "`human` or `human:NAME` is a person, who judges on a page that this command serves.",
        ),
        "base_url": Option(
            "--judge-base-url",
            "--base-url",
            env=("AUTOINTERP_JUDGE_BASE_URL", "AUTOINTERP_BASE_URL"),
            several=True,
            help="The judge's server; without it, the run's own. OpenAI is https://api.openai.com/v1. Repeat it for "
            "several servers of the same model.",
        ),
    }
)
"""How a judge stands in a command."""
JUDGE_ENGINE = Group(options={"more_base_urls": Option("--judge-base-url")})
"""How the use of the judge's endpoint stands in a command."""


class WithFiles(Command):
    """Commands that ask a model, with files of your own."""

    prompts: Annotated[Path | None, Option(panel="Files")] = None
    """A folder of your own prompt templates, which override the shipped ones."""
    cache: Annotated[Path | None, Option(env="AUTOINTERP_CACHE", panel="Files", default="cache/")] = None
    """The folder of the answers."""
    prices: Annotated[Path | None, Option(panel="Files")] = None
    """A file of your own prices, TOML or JSON (docs/configuration.md)."""
