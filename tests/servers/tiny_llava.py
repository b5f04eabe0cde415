"""Builds two LLaVAs of some 160,000 weights from their configuration.

`babbling` has random weights. `obedient` has the same shape, but its weights make it answer every prompt with the same
explanation, and every question about images with yes; both look at every pixel they are sent.

python tiny_llava.py FOLDER
"""

import sys
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    GenerationConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

EXPLANATION = (
    '{"candidates": ["a red circle"], "verdict": "one", "explanation": "a red circle on a plain ground", '
    '"concepts": ["a red circle"], "lookalikes": "", "misfits": []}'
)
VERDICTS = "{" + ", ".join(f'"image_{i}": "yes"' for i in range(1, 13)) + "}"
EXPLAIN, JUDGE, END, PAD, IMAGE = "<explain>", "<judge>", "<end>", "<pad>", "<image>"
PIXELS, PATCH, WIDTH = 32, 16, 64

TEMPLATE = (
    "{% set task = namespace(judge=false) %}{% for message in messages %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}"
    "{% if '\"image_1\"' in part['text'] %}{% set task.judge = true %}{% endif %}{% endif %}{% endfor %}{% endfor %}"
    "{% if task.judge %}<judge>{% else %}<explain>{% endif %}"
)


def tokenizer() -> PreTrainedTokenizerFast:
    """One token a byte, and one for each special mark and each whole answer of the obedient model."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens([AddedToken(t, special=True) for t in (END, PAD, IMAGE, EXPLAIN, JUDGE)])
    inner.add_tokens([AddedToken(t, special=False) for t in (EXPLANATION, VERDICTS)])
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        eos_token=END,
        pad_token=PAD,
        extra_special_tokens={"image_token": IMAGE},
        model_max_length=1 << 15,
    )


def model(words: PreTrainedTokenizerFast) -> LlavaForConditionalGeneration:
    """Random weights."""
    torch.manual_seed(0)
    vision = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=PIXELS,
        patch_size=PATCH,
    )
    text = LlamaConfig(
        vocab_size=len(words),
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1 << 15,
        bos_token_id=None,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
    )
    image_token = words.convert_tokens_to_ids(IMAGE)
    shape = LlavaConfig(vision_config=vision, text_config=text, image_token_index=image_token)
    made = LlavaForConditionalGeneration(shape).eval()
    made.generation_config = GenerationConfig(eos_token_id=words.eos_token_id, pad_token_id=words.pad_token_id)
    return made


def obey(made: LlavaForConditionalGeneration, words: PreTrainedTokenizerFast) -> None:
    """Sets the weights so that the last token of a prompt alone decides the next, and that one ends the reply."""
    weights = made.state_dict()
    for name, value in weights.items():
        if name.endswith(("o_proj.weight", "down_proj.weight")) and "language_model" in name:
            value.zero_()
    embedding = next(v for k, v in weights.items() if k.endswith("embed_tokens.weight"))
    head = next(v for k, v in weights.items() if k.endswith("lm_head.weight"))
    embedding.zero_()
    head.zero_()
    pairs = ((EXPLAIN, EXPLANATION), (JUDGE, VERDICTS), (EXPLANATION, END), (VERDICTS, END))
    for direction, (before, after) in enumerate(pairs):
        embedding[words.convert_tokens_to_ids(before), direction] = 1.0
        head[words.convert_tokens_to_ids(after), direction] = 10.0


def main() -> None:
    """Writes both folders."""
    words = tokenizer()
    pictures = CLIPImageProcessorPil(
        size={"shortest_edge": PIXELS}, crop_size={"height": PIXELS, "width": PIXELS}, do_convert_rgb=True
    )
    processor = LlavaProcessor(
        image_processor=pictures,
        tokenizer=words,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        chat_template=TEMPLATE,
        image_token=IMAGE,
        num_additional_image_tokens=1,
    )
    for name in ("babbling", "obedient"):
        made = model(words)
        if name == "obedient":
            with torch.no_grad():
                obey(made, words)
        made.save_pretrained(Path(sys.argv[1], name))
        processor.save_pretrained(Path(sys.argv[1], name))


if __name__ == "__main__":
    main()
