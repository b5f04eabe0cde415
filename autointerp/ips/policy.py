"""Loads the model that is to be trained as an explainer, and what turns prompts into its tokens."""

from typing import NamedTuple

from autointerp.errors import SettingsError, one_line
from autointerp.extras import RL, need

need("tuning", RL, "rl")  # before the imports below, which would name one module and no remedy

import torch  # noqa: E402
from transformers import (  # noqa: E402
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoProcessor,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    ProcessorMixin,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES  # noqa: E402


class Policy(NamedTuple):
    """A model, ready to be trained."""

    model: PreTrainedModel
    processing: ProcessorMixin | PreTrainedTokenizerBase


def sees(source: str) -> bool:
    """Whether a model takes pictures; looks at its settings and at what prepares its prompts, not at its weights.

    Args:
        source: its folder, or its name on the Hugging Face hub.

    Raises:
        SettingsError: there is no such model, or it has no chat template.
    """
    try:
        eyes = AutoConfig.from_pretrained(source).model_type in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
        template = _processing(source, eyes=eyes).chat_template
    except (OSError, ValueError) as error:
        raise _unusable(source, error) from error
    if template is None:
        raise SettingsError(f"--model {source}: has no chat template; take a model tuned to follow instructions")
    return eyes


def load_policy(source: str, *, frozen: bool) -> Policy:
    """Loads the model and its processor.

    Args:
        source: as for `sees`.
        frozen: only adapters are trained. Its own weights are then held in bfloat16 where there is a GPU; weights that
            are trained are float32, since bfloat16 would round small updates away.

    Raises:
        SettingsError: there is no such model, or it has no chat template.
    """
    eyes = sees(source)
    kind = AutoModelForImageTextToText if eyes else AutoModelForCausalLM
    dtype = torch.bfloat16 if frozen and torch.cuda.is_available() else torch.float32
    try:
        return Policy(kind.from_pretrained(source, dtype=dtype), _processing(source, eyes=eyes))
    except (OSError, ValueError) as error:
        raise _unusable(source, error) from error


def _processing(source: str, *, eyes: bool) -> ProcessorMixin | PreTrainedTokenizerBase:
    return (AutoProcessor if eyes else AutoTokenizer).from_pretrained(source, padding_side="left")


def _unusable(source: str, error: Exception) -> SettingsError:
    reason = one_line(str(error).strip().partition("\n")[0])
    return SettingsError(f"--model {source}: cannot be loaded as a Hugging Face model: {reason}")
