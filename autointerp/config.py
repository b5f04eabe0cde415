"""Settings of a run: every default in one place, with its bounds and one sentence of meaning."""

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from autointerp.images.picture import Rendering
from autointerp.record import Record

Detail = Literal["auto", "low", "high"]
"""The `detail` that is asked for with an image; `auto` asks for none, and endpoints then look at high detail."""


class ModelSettings(Record):
    """Which model answers, and how it samples. Everything here is part of the cache key, except `base_url`."""

    model: str = Field(min_length=1)
    """Name as the endpoint knows it, or `local` for the embedded model."""
    base_url: str | None = None
    """Of an OpenAI-compatible server, ending in /v1; None is OpenAI itself."""
    temperature: float = Field(default=0.0, ge=0, le=2)
    """Left out of the request where the endpoint refuses it."""
    max_tokens: PositiveInt = 2000
    """Bound on the reply, thinking included; a reply cut at it is asked once more with four times as much."""
    seed: NonNegativeInt = 0
    """Sent to the endpoint, and drawn from for every choice of images."""
    detail: Detail = "auto"
    """How finely the endpoint looks at images: `low` costs less with some families of models, as much with others."""


class RegionSettings(Record):
    """Where a feature fired in an image, and how the region is rendered."""

    mass: float = Field(default=0.9, gt=0, le=1)
    """Share of the activation mass around the peak that the box holds."""
    margin: float = Field(default=0.15, ge=0, le=1)
    """Context around the box on each side, as a fraction of that side."""
    least: float = Field(default=0.3, ge=0, le=1)
    """Smallest side of a crop, as a fraction of the image's own side: a patch alone shows nothing."""
    side: int = Field(default=448, ge=16, le=4096)
    """Longest side of a picture in pixels; never upscaled."""
    quality: int = Field(default=85, ge=1, le=95)
    """JPEG quality."""


class CandidateSettings(Record):
    """How several explanations of one feature are sampled, told apart and chosen."""

    n: int = Field(default=8, ge=2, le=64)
    """Explanations sampled of each feature."""
    diverse: bool = False
    """Keep the best of every meaning that beats chance; else the best of all alone."""
    subset: PositiveInt = 4
    """Active images that every second candidate is shown, drawn from those shown to the others."""
    temperature: float = Field(default=1.0, ge=0, le=2)
    """At which candidates are sampled; each has a seed of its own."""
    n_active: PositiveInt = 12
    """Held-out active images on which candidates are compared; nothing is scored on them afterwards."""
    n_silent: PositiveInt = 24
    """Held-out silent images likewise."""
    judge: str | None = Field(default=None, min_length=1)
    """Who judges candidates, at the explainer's own server; None is the explainer."""
    embedder: ModelSettings | None = ModelSettings(model="local")
    """Who embeds candidates to tell their meanings apart; None leaves every pair to the judge."""
    same: float = Field(default=0.9, ge=-1, le=1)
    """Cosine from which two texts mean the same."""
    different: float = Field(default=0.3, ge=-1, le=1)
    """Cosine below which they do not; of pairs between the two the judge decides."""
    epsilon: float = Field(default=0.0, ge=0, le=1)
    """Frequencies of a meaning below this count as it in its inverse probability weight."""
    beta: float = Field(default=1.0, ge=0, le=8)
    """Power of the score in the shares."""


class ExplainSettings(Record):
    """What the explainer is shown and asked."""

    n_top: NonNegativeInt = 8
    """Active images shown from the `top` stratum."""
    n_bands: NonNegativeInt = 8
    """Active images shown from the lower activation bands, spread evenly over them."""
    n_contrast: NonNegativeInt = 4
    """Silent look-alikes shown in a block of their own (`guided` ones where the dump has them)."""
    shown: Literal["drawn", "highest"] = "drawn"
    """Which of the `top` stratum: drawn at random, so that the held-out rest is like them, or the very highest."""
    renderings: tuple[Rendering, ...] = Field(default=("outline", "crop"), min_length=1)
    """Each active image is shown in each of these."""
    levels: Literal["words", "numbers", "none"] = "words"
    """How the prompt speaks of activation: strong/weaker, the raw number, or not at all."""
    region: RegionSettings = RegionSettings()
    """Regions and picture size."""
    candidates: CandidateSettings | None = None
    """Several explanations are sampled and chosen from; None asks once."""
    hierarchy: bool = False
    """Broader features first; narrower ones are told their parents' explanations and asked what is special here."""
    domain: str | None = None
    """A template of prompts/domains/ for a second pass, e.g. `physical-plausibility`."""
    n_shuffled: NonNegativeInt = 20
    """Features whose second pass is also asked of a shuffled image set."""
    seed: NonNegativeInt = 0
    """Of the choice and order of images."""


class ScoreSettings(Record):
    """What the judge is shown."""

    scorers: tuple[str, ...] = ("detection", "accuracy", "relevance")
    """Which scorers run."""
    n_active: PositiveInt = 24
    """Held-out active images judged a feature, spread over the strata."""
    n_silent: PositiveInt = 36
    """Held-out silent images judged a feature."""
    min_active: PositiveInt = 5
    """Fewer held-out active images than this leave the feature unscored."""
    min_silent: PositiveInt = 5
    """Fewer held-out silent images than this leave detection unscored."""
    layout: Literal["sheet", "separate"] = "sheet"
    """One numbered contact sheet a call, or separate pictures."""
    per_call: int = Field(default=12, ge=1, le=64)
    """Images judged in one call; 1 judges each image alone."""
    columns: PositiveInt = 4
    """Columns of a sheet."""
    rendering: Rendering = "crop"
    """How a judged image is rendered; judges see no marks by default."""
    region: RegionSettings = RegionSettings(side=224)
    """Regions and tile size."""
    seed: NonNegativeInt = 0
    """Of the draw, the order and the bootstrap."""
    bootstrap: int = Field(default=2000, ge=100, le=100_000)
    """Replicates behind each interval."""
    interval: float | None = Field(default=None, gt=0, lt=1)
    """Judge on until detection's 95 % interval is this narrow (upper minus lower bound); None judges once."""
    max_calls: PositiveInt = 40
    """Most calls a feature, the first round included, that judging on may take."""
    n_screen: NonNegativeInt = 0
    """Silent images screened on sheets first; those and the active ones are then judged carefully, one a call."""
    screen_model: str | None = Field(default=None, min_length=1)
    """Who screens, at the judge's own server; None is the judge."""
    screen_per_call: int = Field(default=36, ge=2, le=64)
    """Images on a screening sheet."""
    screen_side: int = Field(default=128, ge=16, le=4096)
    """Longest side of a screened image, pixels."""
    n_controls: NonNegativeInt = 20
    """Features of the run whose images are judged under other explanations too."""
    n_intruder: int = Field(default=10, ge=1, le=1000)
    """Odd-one-out questions a feature."""
    intruder_of: int = Field(default=5, ge=3, le=16)
    """Crops in each, one of them silent."""
    n_choice: int = Field(default=12, ge=1, le=1000)
    """Pairs of an active and a silent crop; each is asked in both orders."""
    n_naming: int = Field(default=4, ge=1, le=1000)
    """Which-explanation questions a feature."""
    naming_of: int = Field(default=5, ge=2, le=12)
    """Explanations in each, one of them the feature's own."""
    naming_crops: PositiveInt = 4
    """Active crops shown in each."""
    n_localisation: int = Field(default=12, ge=1, le=1000)
    """Active images on which the judge points."""
    n_embedding: PositiveInt = 48
    """Images embedded a feature and side."""
    embedder: ModelSettings = ModelSettings(model="local")
    """Who embeds crops and explanations: `local`, or a model of an endpoint with embeddings."""


class TuneSettings(Record):
    """How an explainer is trained by what its explanations are worth."""

    method: Literal["ips", "grpo"] = "ips"
    """`ips` divides a reward by how often its meaning was sampled; `grpo` does not."""
    group: int = Field(default=8, ge=2, le=64)
    """Explanations sampled of a feature at a time, G."""
    batch: PositiveInt = 4
    """Features of one step."""
    steps: PositiveInt = 200
    """Steps of the optimiser."""
    learning_rate: PositiveFloat = 1e-6
    """Of AdamW, the same throughout; with LoRA take ten times as much."""
    kl: float = Field(default=0.04, ge=0)
    """Weight of the divergence from the model as it was given; 0 spares the memory of a second one."""
    alpha: float = Field(default=1.0, ge=0, le=8)
    """Power of the inverse frequency: 1 is the full correction, 0 none."""
    epsilon: float = Field(default=0.0, ge=0, le=1)
    """Frequencies of a meaning below this count as it."""
    lora: PositiveInt | None = None
    """Rank of the adapters that are trained; None trains every weight."""
    temperature: float = Field(default=1.0, gt=0, le=2)
    """At which explanations are sampled; at 1 frequencies are the model's own."""
    max_tokens: PositiveInt = 256
    """Bound on a reply; one that is cut off cannot be used and earns nothing."""
    forward: PositiveInt | None = None
    """Replies in one pass forward and back, of which memory depends; None is a whole group."""
    checkpointing: bool = False
    """Activations are computed twice instead of kept: slower, with less memory."""
    save_every: PositiveInt = 50
    """Steps between states to go on from."""
    held_out: float = Field(default=0.1, ge=0, lt=1)
    """Share of the features that are never trained on, only measured before and after."""
    seed: NonNegativeInt = 0
    """Of the split, the order, the sampling and the adapters."""


class EngineSettings(Record):
    """How the endpoint is used; nothing here changes an answer."""

    concurrency: PositiveInt = 64
    """Most requests in flight; the limiter finds what the endpoint takes below it."""
    requests_per_minute: PositiveFloat | None = None
    """Your account's limit, if known."""
    tokens_per_minute: PositiveFloat | None = None
    """Your account's limit, if known."""
    timeout: PositiveFloat = 120.0
    """Seconds for one call."""
    attempts: PositiveInt = 6
    """Calls made for one request before it is recorded as a failure."""
    more_base_urls: tuple[str, ...] = ()
    """Further servers of the same model; requests go to the least loaded of all."""
    image_uuids: bool = False
    """Pictures that a vLLM server has seen are named instead of sent again; for vLLM only."""
    budget: str | None = None
    """`2.50usd` or `3M tokens`; the run stops cleanly before it would be passed."""
