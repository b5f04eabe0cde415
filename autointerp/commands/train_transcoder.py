"""`autointerp train transcoder`: a sparse coder, from stored activations or straight from images."""

from pathlib import Path
from typing import Annotated, Literal

from autointerp.extras import TRAIN
from autointerp.options import Argument, Command, Group, Option, Work
from autointerp.settings import Images
from autointerp.transcoder.settings import BACKBONES, RELEASED, BackboneName, CoderForm, StoreSettings, TrainSettings

FORM = tuple(name for name in CoderForm.model_fields if name not in ("decoder", "l1_weight", "jump"))
TRAINING = tuple(name for name in TrainSettings.model_fields if name not in ("fit_tokens", "report_every"))


class TrainTranscoder(Command):
    """Train a Matryoshka transcoder, or a baseline, on stored activations or straight from a backbone.

    Baselines: one width and `--sparsity topk` is the TopK transcoder, with `--kind sae` the TopK SAE; several widths
    and `--kind sae` are the Matryoshka SAE.

    The folder is one that `autointerp train activations` wrote, or, with `--backbone` or `--classifier`, of images.

    Example: `autointerp train transcoder activations/ --out coders/first --widths 128,512,2048 --k 32`
    """

    activations: Annotated[Images, Argument()]
    """The folder of stored activations, or its URL; with --backbone or --classifier, the population of images."""
    out: Annotated[Path, Argument(option=True)]
    """The folder that is written."""
    backbone: Annotated[
        BackboneName | None,
        Option(help=f"Learn straight from images: {BACKBONES} runs them in every epoch, nothing is stored."),
    ] = None
    classifier: Path | None = None
    """The folder of a classifier whose network runs the images; with a store, the one that the store must be of."""
    hookpoints: Annotated[
        StoreSettings,
        Group(
            only=("reads", "writes", "seed"),
            options={
                "reads": Option(help="Of images, the hookpoint of the inputs."),
                "writes": Option(help="Of images, the hookpoint of the targets."),
                "seed": Option(help="The seed of the first weights, the order of tokens and the held-out split."),
            },
        ),
    ] = StoreSettings()
    """What is read and written with a backbone."""
    labels: Path | None = None
    """Of images, a CSV, TSV or Parquet file of path and perhaps group, which keeps images together in the split."""
    group_column: Annotated[str | None, Option(default="group")] = None
    """Of images, the column of the groups."""
    form: Annotated[CoderForm, Group(only=FORM)] = CoderForm()
    """What is trained."""
    released: Annotated[bool, Option(panel="The coder")] = False
    """Train the form of the scripts released with the paper; the options from --widths to --dead-after do not count."""
    side: Annotated[Literal["inputs", "targets"], Option(panel="The coder")] = "inputs"
    """What an sae reads and writes: the layer's inputs or its targets."""
    settings: Annotated[TrainSettings, Group(only=TRAINING)] = TrainSettings()
    """How it is trained."""
    resume: bool = False
    """Go on in --out, if there is something to go on from."""

    @property
    def trained(self) -> CoderForm:
        """The form that is trained."""
        return RELEASED.model_copy(update={"kind": self.form.kind}) if self.released else self.form


train_transcoder = Work(TrainTranscoder, "autointerp.jobs.train_transcoder:run", needs=("training", TRAIN, "train"))
