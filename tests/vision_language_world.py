"""A tiny LLaVA and a tiny Qwen-VL that are trained for seconds to say a word when a planted direction is added."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from autointerp.transcoder.coder import SparseCoder
from autointerp.transcoder.coder_io import CoderInfo, save_coder
from autointerp.transcoder.settings import CoderConfig
from autointerp.transcoder.vision_language import VisionLanguageModel

transformers = pytest.importorskip("transformers", reason="transformers is not installed")
tokenizers = pytest.importorskip("tokenizers")

WIDTH, SIDE, PATCH, CELLS = 32, 32, 8, 16
SPECIAL = ("<pad>", "<bos>", "<eos>", "<unk>", "<image>", "<|image_pad|>", "<|vision_start|>", "<|vision_end|>", "<v>")
WORDS = ("nothing", "cat", "dog")
"""What is said without a planted direction, and with the first and the second."""
AT = "blocks.0.resid"
LENGTH = 12.0
"""The coefficient with which they are added."""
LAYERS = {"hidden_size": WIDTH, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
TEXT = {**LAYERS, "num_key_value_heads": 2, "vocab_size": len(SPECIAL + WORDS)}
TEXT |= {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "initializer_range": 0.1}
TURNS = (
    "{% for m in messages %}{% for c in m['content'] %}{% if c['type'] == 'image' %} IMAGE {% else %} {{ c['text'] }} "
    "{% endif %}{% endfor %}{% endfor %}"
)


def directions() -> np.ndarray:
    """[8, width], orthogonal, of unit length: the first two are planted."""
    drawn = np.random.default_rng(5).standard_normal((WIDTH, WIDTH))
    return np.linalg.qr(drawn)[0][:8].astype(np.float32)


def tokenizer() -> object:
    numbers = {word: i for i, word in enumerate(SPECIAL + WORDS)}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(numbers, unk_token="<unk>"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    named = {"pad_token": "<pad>", "bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>"}
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, **named, additional_special_tokens=list(SPECIAL[4:])
    )


def llava() -> VisionLanguageModel:
    """Reads the tower before its last block, as LLaVA does, without the class token."""
    square = {"height": SIDE, "width": SIDE}
    config = transformers.LlavaConfig(
        vision_config=transformers.CLIPVisionConfig(**LAYERS, image_size=SIDE, patch_size=PATCH),
        text_config=transformers.LlamaConfig(**TEXT),
        image_token_id=SPECIAL.index("<image>"),
    )
    processor = transformers.LlavaProcessor(
        image_processor=transformers.CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=square),
        tokenizer=tokenizer(),
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TURNS.replace("IMAGE", "<image>"),
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = transformers.LlavaForConditionalGeneration(config)
    return VisionLanguageModel("llava", model, processor)


class Pictures(transformers.Qwen2VLProcessor):
    """Qwen's processor without films, for which it wants torchvision."""

    def __init__(self, image_processor=None, tokenizer=None, chat_template=None):
        self.image_token, self.video_token = "<|image_pad|>", "<v>"
        self.image_token_id = tokenizer.convert_tokens_to_ids(self.image_token)
        self.video_token_id = tokenizer.convert_tokens_to_ids(self.video_token)
        transformers.ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)


def qwen() -> VisionLanguageModel:
    """Keeps the patches of all pictures in one row, those that it merges beside each other."""
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0}
    vision = {"depth": 2, "embed_dim": WIDTH, "hidden_size": WIDTH, "num_heads": 2, "mlp_ratio": 2}
    config = transformers.Qwen2VLConfig(
        text_config=TEXT | {"rope_parameters": rope},
        vision_config=vision | {"patch_size": PATCH, "spatial_merge_size": 2, "temporal_patch_size": 2},
        image_token_id=SPECIAL.index("<|image_pad|>"),
        video_token_id=SPECIAL.index("<v>"),
        vision_start_token_id=SPECIAL.index("<|vision_start|>"),
        vision_end_token_id=SPECIAL.index("<|vision_end|>"),
    )
    area = {"min_pixels": SIDE * SIDE, "max_pixels": SIDE * SIDE}
    processor = Pictures(
        image_processor=transformers.Qwen2VLImageProcessorPil(
            patch_size=PATCH, merge_size=2, temporal_patch_size=2, **area
        ),
        tokenizer=tokenizer(),
        chat_template=TURNS.replace("IMAGE", "<|vision_start|> <|image_pad|> <|vision_end|>"),
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = transformers.Qwen2VLForConditionalGeneration(config)
    return VisionLanguageModel("qwen", model, processor)


KINDS = {"llava": llava, "qwen": qwen}


def block(model: VisionLanguageModel) -> nn.Module:
    """The first block of the tower, whose output is blocks.0.resid."""
    return model.tower.encoder.layers[0] if hasattr(model.tower, "encoder") else model.tower.blocks[0]


@contextmanager
def by_hand(model: VisionLanguageModel, delta: Tensor) -> Iterator[None]:
    """Another way to add: the first block's own forward, replaced by one that adds to what it gives."""
    first = block(model)
    plain = first.forward

    def with_addition(*args: object, **more: object) -> Tensor:
        made = plain(*args, **more)
        return made + delta

    first.forward = with_addition
    try:
        yield
    finally:
        del first.forward


def noise(rng: np.random.Generator) -> Image.Image:
    return Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8))


def asking(pictures: Sequence[Image.Image], text: str = "what is highlighted") -> list[dict[str, object]]:
    images = [{"type": "image", "image": p} for p in pictures]
    return [{"role": "user", "content": [*images, {"type": "text", "text": text}]}]


def trained(
    model: VisionLanguageModel, prompts: Sequence[Sequence[dict[str, object]]], shares: Sequence[float] = (0.5, 1.0)
) -> None:
    """Teaches it WORDS until it knows them: the first by default, the others where the planted directions are added.

    Args:
        model: whose tower stays as it is.
        prompts: conversations; their pictures are replaced by noise or left.
        shares: of the cells, one of which is drawn each time.
    """
    # Of many threads one would wait for the other most of the time.
    torch.set_num_threads(1)
    rng, planted = np.random.default_rng(1), torch.from_numpy(directions())
    inner = model.model.requires_grad_(True)
    model.tower.requires_grad_(False)
    if hasattr(model.tower, "merger"):
        model.tower.merger.requires_grad_(True)
    optimiser = torch.optim.AdamW([w for w in inner.parameters() if w.requires_grad], lr=3e-3)
    worst = [9.0]
    while max(worst[-8:]) > 0.2:
        assert len(worst) < 400
        optimiser.zero_grad()
        worst.append(0.0)
        for prompt in prompts:
            for word in (0, 0, 1, 2, 3):
                inputs = model.inputs(_drawn(prompt, rng))
                drawn = torch.from_numpy(rng.standard_normal(WIDTH).astype(np.float32))
                vector = (functional.normalize(drawn, dim=0), planted[0], planted[1], torch.zeros(WIDTH))[word]
                answer = torch.tensor([[len(SPECIAL) + word % 3, 2]])
                with by_hand(model, LENGTH * _cells(model, inputs, rng, shares) * vector):
                    loss = _loss(model, inputs, answer)
                loss.backward()
                worst[-1] = max(worst[-1], loss.item())
        nn.utils.clip_grad_norm_(inner.parameters(), 1.0)
        optimiser.step()
    model.model.eval().requires_grad_(False)


def _drawn(prompt: Sequence[dict[str, object]], rng: np.random.Generator) -> list[dict[str, object]]:
    """The conversation, every second time about noise."""
    if rng.random() < 0.5:
        return list(prompt)
    return [
        turn | {"content": [p | {"image": noise(rng)} if p["type"] == "image" else p for p in turn["content"]]}
        for turn in prompt
    ]


def _cells(
    model: VisionLanguageModel, inputs: dict[str, Tensor], rng: np.random.Generator, shares: Sequence[float]
) -> Tensor:
    """Some patches or all, as the first block gives them."""
    n = sum(len(v) for k, v in inputs.items() if k == "pixel_values") // (CELLS if "image_grid_thw" in inputs else 1)
    some = torch.from_numpy(rng.random((n, CELLS)) < rng.choice(shares)).float()
    some[:, int(rng.integers(CELLS))] = 1
    if "image_grid_thw" in inputs:
        return some.reshape(-1, 1)
    return torch.cat([torch.zeros(n, 1), some], dim=1)[:, :, None]


def _loss(model: VisionLanguageModel, inputs: dict[str, Tensor], answer: Tensor) -> Tensor:
    longer = {k: v for k, v in inputs.items() if k not in ("input_ids", "attention_mask", "mm_token_type_ids")}
    longer["input_ids"] = torch.cat([inputs["input_ids"], answer], dim=1)
    longer["attention_mask"] = torch.ones_like(longer["input_ids"])
    if "mm_token_type_ids" in inputs:
        kinds = inputs["mm_token_type_ids"]
        longer["mm_token_type_ids"] = torch.cat([kinds, torch.zeros(1, 2, dtype=kinds.dtype)], dim=1)
    logits = model.model(**longer).logits[0, -3:-1]
    return functional.cross_entropy(logits, answer[0])


def save_sae(folder: Path, backbone: str) -> Path:
    """An autoencoder of blocks.0.resid whose eight latents read and write `directions`, two a patch."""
    config = CoderConfig.model_validate({"kind": "sae", "widths": (8,), "k": 2, "d_in": WIDTH, "d_out": WIDTH})
    coder, rows = SparseCoder(config), torch.from_numpy(directions())
    with torch.no_grad():
        coder.encoder.copy_(rows)
        coder.decoders[0].copy_(3 * rows)
    about = {"created": "2026-01-31T12:00:00Z", "created_by": "a test", "model": backbone}
    save_coder(coder, CoderInfo(**about, reads=AT, writes=AT, config=config), folder)
    return folder


def save(model: VisionLanguageModel, folder: Path) -> Path:
    model.model.save_pretrained(folder)
    model.processor.save_pretrained(folder)
    return folder
