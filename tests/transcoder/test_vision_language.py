"""A direction that is added in the vision tower changes what a model says; beside a forward pass changed by hand."""

import numpy as np
import pytest
import torch
from PIL import Image
from vision_language_world import (
    AT,
    CELLS,
    KINDS,
    LAYERS,
    LENGTH,
    PATCH,
    SIDE,
    TEXT,
    WIDTH,
    asking,
    block,
    by_hand,
    directions,
    llava,
    noise,
    qwen,
    save,
    tokenizer,
    trained,
    transformers,
)

from autointerp.errors import SettingsError
from autointerp.transcoder.backbones.module import ModuleBackbone
from autointerp.transcoder.backbones.preparation import Preparation
from autointerp.transcoder.backbones.taps import Tap
from autointerp.transcoder.vision_language import (
    Push,
    VisionLanguageModel,
    digest_of,
    folder_of,
    open_vision_language,
    spread,
)

WHITE = Image.new("RGB", (SIDE, SIDE), "white")
BLANK = asking([WHITE])


def push(direction: np.ndarray, where=None, length: float = LENGTH, hookpoint: str = AT) -> Push:
    return Push(hookpoint, np.float32(length) * direction.astype(np.float32), where)


def random_directions() -> np.ndarray:
    drawn = np.random.default_rng(3).standard_normal((20, WIDTH))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def answer(model: VisionLanguageModel, what: Push | None, turns=BLANK) -> str:
    return model.say(turns, what, max_tokens=4, temperature=0, seed=0).text


def everywhere(model: VisionLanguageModel, marked: np.ndarray) -> torch.Tensor:
    """Which tokens of the first block are marked, of one picture's patches row by row; a class token never is."""
    if not hasattr(model.tower, "encoder"):
        # Qwen keeps the four patches that it merges beside each other.
        order = [r * 8 + c * 2 + y * 4 + x for r in (0, 1) for c in (0, 1) for y in (0, 1) for x in (0, 1)]
        return torch.tensor([float(marked.ravel()[i]) for i in order])[:, None]
    return torch.tensor([[0.0, *map(float, marked.ravel())]])[:, :, None]


def n_hooks(model: VisionLanguageModel) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.tower.modules())


@pytest.fixture(scope="module", params=KINDS)
def model(request: pytest.FixtureRequest) -> VisionLanguageModel:
    made = KINDS[request.param]()
    trained(made, [BLANK])
    return made


def test_the_word_changes_under_a_planted_direction_and_not_under_a_random_one(model: VisionLanguageModel):
    cat, dog, *others = directions()

    assert answer(model, None) == "nothing"
    assert (answer(model, push(cat)), answer(model, push(dog))) == ("cat", "dog")
    assert {answer(model, push(d)) for d in others} == {"nothing"}
    # In 32 dimensions one of twenty may lie near a planted one by chance.
    assert [answer(model, push(d)) for d in random_directions()].count("nothing") >= 19


@pytest.mark.parametrize("cells", ["all", "some"])
def test_what_is_added_is_what_the_blocks_own_forward_would_have_given_with_it(model: VisionLanguageModel, cells: str):
    marked = np.ones((4, 4), bool) if cells == "all" else np.random.default_rng(2).random((4, 4)) < 0.4
    turns = asking([noise(np.random.default_rng(8))])
    plain = model.logits(turns, None)

    found = model.logits(turns, push(directions()[0], None if cells == "all" else (marked,)))

    with by_hand(model, everywhere(model, marked) * torch.from_numpy(np.float32(LENGTH) * directions()[0])):
        expected = model.logits(turns, None)
    assert torch.equal(found, expected)
    assert not torch.allclose(found, plain)


def test_of_several_pictures_each_has_its_own_cells(model: VisionLanguageModel):
    rng = np.random.default_rng(9)
    turns, marks = asking([noise(rng), noise(rng)]), (rng.random((4, 4)) < 0.3, rng.random((4, 4)) < 0.6)

    found = model.logits(turns, push(directions()[1], marks))

    both = torch.cat([everywhere(model, mark) for mark in marks])
    with by_hand(model, both * torch.from_numpy(np.float32(LENGTH) * directions()[1])):
        assert torch.equal(found, model.logits(turns, None))


def test_nothing_is_changed_by_a_coefficient_of_0_nor_after_an_addition(model: VisionLanguageModel):
    before, n = model.logits(BLANK, None), n_hooks(model)

    zero = model.logits(BLANK, push(directions()[0], length=0.0))
    model.logits(BLANK, push(directions()[0]))
    after = model.logits(BLANK, None)

    assert torch.equal(zero, before)
    assert torch.equal(after, before)
    assert n_hooks(model) == n


def test_a_hook_is_gone_after_a_fault_too(model: VisionLanguageModel):
    n = n_hooks(model)

    with pytest.raises(SettingsError, match=f"5 channels, and {AT} of .* has 32: the coder was trained on another"):
        model.logits(BLANK, push(np.ones(5)))

    assert n_hooks(model) == n


def test_the_cell_that_is_pushed_is_the_patch_whose_pixels_are_there():
    made = qwen()
    seen: list[torch.Tensor] = []
    made.tower.patch_embed.register_forward_hook(lambda _, __, output: seen.append(output))
    for y, x in ((0, 1), (1, 0), (2, 3)):
        marked = np.zeros((4, 4), bool)
        marked[y, x] = True
        pixels = np.full((SIDE, SIDE, 3), 255, np.uint8)
        pixels[y * PATCH : (y + 1) * PATCH, x * PATCH : (x + 1) * PATCH] = 0
        seen.clear()
        for picture in (WHITE, Image.fromarray(pixels)):
            made.logits(asking([picture]), None)
        plain, dark = (s.reshape(CELLS, -1) for s in seen)

        row = made._in_a_row((marked,), made.inputs(BLANK))

        assert row[0].tolist() == (plain != dark).any(dim=1).tolist()


def test_cells_of_another_grid_are_those_that_a_cell_touches():
    mask = np.zeros((2, 2), bool)
    mask[0, 1] = True

    assert spread(mask, (2, 2)).tolist() == mask.tolist()
    assert np.argwhere(spread(mask, (4, 4))).tolist() == [[0, 2], [0, 3], [1, 2], [1, 3]]
    # The middle row and column of three are half the marked cell's.
    assert np.argwhere(spread(mask, (3, 3))).tolist() == [[0, 1], [0, 2], [1, 1], [1, 2]]
    assert spread(mask, (1, 1)).tolist() == [[True]]


def test_sampling_goes_by_its_seed(model: VisionLanguageModel):
    said = [
        [
            model.say(BLANK, push(directions()[0], length=LENGTH / 3), max_tokens=4, temperature=2.0, seed=s)
            for s in range(5)
        ]
        for _ in range(2)
    ]

    assert said[0] == said[1]


def test_an_answer_that_goes_on_has_no_end(model: VisionLanguageModel):
    assert model.say(BLANK, None, max_tokens=2, temperature=0, seed=0).ended
    assert not model.say(BLANK, None, max_tokens=1, temperature=0, seed=0).ended


def test_a_hookpoint_may_be_a_path_in_the_tower_and_must_be_inside(model: VisionLanguageModel):
    path = next(name for name, module in model.tower.named_modules() if module is block(model))

    same = [model.logits(BLANK, push(directions()[0], hookpoint=h)) for h in (AT, path)]

    assert torch.equal(*same)
    with pytest.raises(
        SettingsError,
        match=r"blocks\.7\.resid of the dump is not inside the vision tower .* which has embed … blocks\.1\.resid",
    ):
        model.tap("blocks.7.resid")
    with pytest.raises(SettingsError, match="not inside the vision tower"):
        model.tap("pooled")


def test_another_number_of_image_tokens_is_said():
    made = llava()
    made.processor.num_additional_image_tokens = 3

    with pytest.raises(SettingsError, match=r"llava: cannot run a prepared picture: .*tokens: 18, features: "):
        made.logits(BLANK, None)


def test_a_model_that_cuts_its_pictures_is_steered_on_blank_ones_alone():
    made = llava()
    two = tuple(np.ones((4, 4), bool) for _ in range(2))

    with pytest.raises(SettingsError, match=r"cuts 2 pictures into 1 views.*use --steer-on blank"):
        made.logits(BLANK, push(directions()[0], two))


def backbone_of(model: VisionLanguageModel) -> ModuleBackbone:
    """The tower's blocks, copied, behind a module that runs none of them."""

    class Shown(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            tower = KINDS[model.name]().tower
            tower.load_state_dict(model.tower.state_dict())
            self.tower, self.seen = tower, torch.nn.Identity()

        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            return self.seen(batch.flatten(2).transpose(1, 2))

    taps = {AT: Tap("seen")}
    return ModuleBackbone("shown", Shown(), Preparation(4), taps=taps, side=4, patch_grid=(4, 4))


def test_the_explained_encoder_sits_inside_where_its_blocks_have_the_same_weights(model: VisionLanguageModel):
    backbone = backbone_of(model)
    model.check_inside(backbone, AT)

    weight = next(block(model).__class__.parameters(backbone.module.get_submodule("tower")))
    assert weight is not None
    for name, parameter in backbone.module.named_parameters():
        if ".1." in name:
            parameter.data += 1
    model.check_inside(backbone, AT)
    with pytest.raises(SettingsError, match=r"encoder shown is not the vision tower of .*: block 1 has other weights"):
        model.check_inside(backbone, "blocks.1.resid")
    with pytest.raises(SettingsError, match="does not show its weights"):
        model.check_inside(object(), AT)


def test_a_model_is_opened_from_its_folder_and_known_by_its_files(tmp_path):
    made = llava()
    save(made, tmp_path)

    opened = open_vision_language(str(tmp_path), "cpu")

    assert torch.equal(opened.logits(BLANK, push(directions()[0])), made.logits(BLANK, push(directions()[0])))
    first = digest_of(folder_of(str(tmp_path)), "cpu")
    (tmp_path / "chat_template.jinja").write_text("other")
    assert digest_of(tmp_path, "cpu") != first
    assert digest_of(tmp_path, "cuda") != digest_of(tmp_path, "cpu")


def test_a_model_that_only_reads_is_refused(tmp_path):
    transformers.LlamaForCausalLM(transformers.LlamaConfig(**TEXT)).save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)

    with pytest.raises(
        SettingsError, match=f"--model hf:{tmp_path}: has no vision tower; name a vision-language model"
    ):
        open_vision_language(str(tmp_path), "cpu")


def test_an_encoder_alone_is_refused(tmp_path):
    config = transformers.CLIPVisionConfig(**LAYERS, image_size=SIDE, patch_size=PATCH)
    transformers.CLIPVisionModel(config).save_pretrained(tmp_path)

    with pytest.raises(SettingsError, match="has no vision tower"):
        open_vision_language(str(tmp_path), "cpu")
