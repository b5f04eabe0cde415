"""A model of some ten thousand weights that answers with whole explanations, to try `autointerp tune` on a processor.

`python docs/tiny_explainer.py FOLDER [--text] PHRASE...` writes it: a LLaVA, or with --text a Granite. Each phrase is a
token, the JSON reply that has it as its explanation, and so is one reply that cannot be used; at first the model gives
the first phrase three times in four, and the others equally, whatever it is asked.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from transformers import (
    CLIPVisionConfig,
    GraniteConfig,
    GraniteForCausalLM,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

SIDE, PATCH = 16, 8
"""Of a picture and of its patches, pixels."""
WORDS = ("red", "green", "blue", "circle", "square", "triangle", "strong", "weaker", "Active", "Silent", "image")
UNUSABLE = "I cannot tell."
CHAT = (
    "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}{% for part in m.content %}"
    "{% if part.type == 'image' %} <image> {% else %}{{ part.text }}{% endif %}{% endfor %}{% endif %} {% endfor %}"
)


def reply(phrase: str) -> str:
    """What an explainer answers."""
    value = {"candidates": [phrase], "verdict": "one", "explanation": phrase, "concepts": [phrase]}
    return json.dumps(value)


def make(folder: Path, phrases: Sequence[str], *, eyes: bool, seed: int = 0) -> None:
    """Writes the model and what prepares its prompts."""
    torch.manual_seed(seed)
    words = _tokenizer(phrases)
    text = GraniteConfig(
        vocab_size=len(words),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        pad_token_id=words.pad_token_id,
        eos_token_id=words.eos_token_id,
        bos_token_id=None,
    )
    if not eyes:
        model = GraniteForCausalLM(text)
        _teach(model, words, phrases)
        words.save_pretrained(folder)
        model.save_pretrained(folder)
        return
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
        text_config=text,
        image_token_index=words.convert_tokens_to_ids("<image>"),
        vision_feature_select_strategy="default",
        vision_feature_layer=-1,
    )
    model = LlavaForConditionalGeneration(config)
    _teach(model, words, phrases)
    model.save_pretrained(folder)
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessorPil(size={"height": SIDE, "width": SIDE}, do_center_crop=False),
        tokenizer=words,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT,
    )
    processor.save_pretrained(folder)


def _tokenizer(phrases: Sequence[str]) -> PreTrainedTokenizerFast:
    special = ["<pad>", "<eos>", "<unk>", "<image>"]
    table = Tokenizer(models.WordLevel({word: i for i, word in enumerate([*special, *WORDS])}, unk_token="<unk>"))
    table.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words = PreTrainedTokenizerFast(
        tokenizer_object=table,
        pad_token="<pad>",
        eos_token="<eos>",
        unk_token="<unk>",
        additional_special_tokens=["<image>"],
        chat_template=CHAT,
        padding_side="left",
    )
    words.add_tokens([AddedToken(text, normalized=False) for text in (*map(reply, phrases), UNUSABLE)])
    return words


def _teach(model: PreTrainedModel, words: PreTrainedTokenizerFast, phrases: Sequence[str]) -> None:
    """Brings the chances of the replies to those that are told above, after whatever words."""
    known = [words.convert_tokens_to_ids(text) for text in (*map(reply, phrases), UNUSABLE)]
    law = torch.zeros(len(words))
    law[known] = 1 / 4 / len(phrases)
    law[known[0]] = 3 / 4
    plain = [i for i in range(len(words)) if i not in known and words.convert_ids_to_tokens(i) != "<image>"]
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(100):
        prompts = torch.tensor(plain)[torch.randint(len(plain), (8, 24))]
        loss = torch.nn.functional.cross_entropy(model(input_ids=prompts).logits[:, -1], law.expand(8, -1))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


if __name__ == "__main__":
    given = [a for a in sys.argv[2:] if a != "--text"]
    make(Path(sys.argv[1]), given, eyes="--text" not in sys.argv)
