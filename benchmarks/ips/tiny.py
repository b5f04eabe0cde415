"""Policies of a few thousand weights for TRL on a CPU, from configurations and code: nothing is downloaded."""

from collections.abc import Sequence
from pathlib import Path

import torch
from huggingface_hub import constants
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    CLIPVisionConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from autointerp.ips import IPSGRPOConfig

constants.HF_HUB_DISABLE_TELEMETRY = True  # else TRL reports each trainer that is made to Hugging Face
SIDE, PATCH = 8, 4
"""Of a picture and of its patches, pixels."""
CHAT = (
    "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}{% for part in m.content %}"
    "{% if part.type == 'image' %}<image>{% else %}{{ part.text }}{% endif %}{% endfor %}{% endif %} {% endfor %}"
)


def tokenizer(words: Sequence[str]) -> PreTrainedTokenizerFast:
    """One token a word, with a chat template that puts messages one after the other."""
    special = ["<pad>", "<eos>", "<unk>", "<image>"]
    table = Tokenizer(models.WordLevel({word: i for i, word in enumerate([*special, *words])}, unk_token="<unk>"))
    table.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # pyright: ignore[reportAttributeAccessIssue]
    return PreTrainedTokenizerFast(
        tokenizer_object=table,
        pad_token="<pad>",
        eos_token="<eos>",
        unk_token="<unk>",
        additional_special_tokens=["<image>"],
        chat_template=CHAT,
        padding_side="left",
    )


def _text_config(words: PreTrainedTokenizerFast) -> Qwen2Config:
    return Qwen2Config(
        vocab_size=len(words),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=64,
        pad_token_id=words.pad_token_id,
        eos_token_id=words.eos_token_id,
        bos_token_id=None,
    )


def text_policy(words: PreTrainedTokenizerFast, seed: int) -> Qwen2ForCausalLM:
    """A Qwen2 of one layer, 32 wide, with fresh weights."""
    torch.manual_seed(seed)
    return Qwen2ForCausalLM(_text_config(words))


def image_policy(words: PreTrainedTokenizerFast, seed: int) -> tuple[LlavaForConditionalGeneration, LlavaProcessor]:
    """A LLaVA of one vision and one text layer, with fresh weights, and what prepares its pictures and prompts."""
    torch.manual_seed(seed)
    vision = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=SIDE,
        patch_size=PATCH,
    )
    config = LlavaConfig(
        vision_config=vision,
        text_config=_text_config(words),
        image_token_index=words.convert_tokens_to_ids("<image>"),
        vision_feature_select_strategy="default",
        vision_feature_layer=-1,
    )
    pictures = CLIPImageProcessorPil(size={"height": SIDE, "width": SIDE}, do_center_crop=False)
    processor = LlavaProcessor(
        image_processor=pictures,
        tokenizer=words,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT,
    )
    return LlavaForConditionalGeneration(config), processor


def cpu_options(folder: Path, **changes: object) -> IPSGRPOConfig:
    """TRL's options for a tiny policy on a CPU: no reduced precision, no checkpointing, nothing reported or saved.

    Args:
        folder: where TRL would write.
        changes: further options, or others.
    """
    given: dict[str, object] = {
        "output_dir": str(folder),
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "report_to": "none",
        "save_strategy": "no",
        "disable_tqdm": True,
        "logging_strategy": "no",
        "lr_scheduler_type": "constant",
        "num_generations": 16,
        "per_device_train_batch_size": 64,
        "max_completion_length": 2,
        "shuffle_dataset": False,
    }
    return IPSGRPOConfig(**(given | changes))  # pyright: ignore[reportArgumentType]
