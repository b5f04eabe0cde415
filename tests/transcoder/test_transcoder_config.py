import pytest
from pydantic import TypeAdapter, ValidationError

from autointerp.transcoder.settings import RELEASED, CoderConfig, CoderForm, StoredConfig, TrainSettings


def test_bands_are_what_each_prefix_adds_and_weights_are_equal_unless_given():
    form = CoderForm(widths=(4, 8, 16), k=4)

    assert form.bands == (4, 4, 8)
    assert form.weights == (1 / 3, 1 / 3, 1 / 3)
    assert form.n_latents == 16


@pytest.mark.parametrize(
    ("sparsity", "kept"),
    [("prefix-topk", (3, 4, 4)), ("band-topk", (1, 1, 2))],
)
def test_each_prefix_keeps_k_and_bands_share_it_by_width(sparsity: str, kept: tuple[int, ...]):
    form = CoderForm.model_validate({"widths": (3, 8, 16), "k": 4, "sparsity": sparsity})

    assert form.kept == kept


def test_kept_latents_are_at_least_one_and_at_most_the_width():
    form = CoderForm(widths=(2, 100), k=3, sparsity="prefix-topk", ks=(5, 7))

    assert form.kept == (2, 7)
    assert CoderForm(widths=(1, 100), k=3, sparsity="band-topk").kept == (1, 3)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"widths": (8, 8)}, "must ascend"),
        ({"widths": (8, 16), "k": 17}, "at most the number of latents, 16"),
        ({"widths": (8, 16), "k": 2, "ks": (1,)}, "must hold 2 numbers"),
        ({"widths": (8, 16), "k": 2, "prefix_weights": (0.0, 0.0)}, "must not all be 0"),
        ({"kind": "sae", "d_out": 3, "k": 2}, "d_out must be d_in"),
    ],
)
def test_what_contradicts_itself_is_refused(values: dict[str, object], message: str):
    with pytest.raises(ValidationError, match=message):
        CoderConfig.model_validate({"d_in": 4, "d_out": 4} | values)


def test_released_form_keeps_496_latents_in_five_bands():
    assert RELEASED.kept == (16, 32, 64, 128, 256)
    assert sum(RELEASED.kept) == RELEASED.k
    assert sum(RELEASED.weights) == pytest.approx(1)


@pytest.mark.parametrize(("width", "given", "rate"), [(2048, None, 1e-3), (512, None, 2e-3), (512, 0.7, 0.7)])
def test_rate_falls_with_the_root_of_the_width_unless_it_is_given(width: int, given: float | None, rate: float):
    assert TrainSettings(rate=given).rate_of(CoderForm(widths=(width,))) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("steps", "given", "tokens"), [(100, None, 20_480), (50_000, None, 1_000_000), (100, 7, 7), (1, None, 204)]
)
def test_latent_is_dead_after_a_fifth_of_the_tokens_at_most_a_million_unless_it_is_given(
    steps: int, given: int | None, tokens: int
):
    # A batch has 1,024 tokens.
    assert TrainSettings(steps=steps).dead_after(CoderForm(dead_after=given)) == tokens


def test_config_stored_before_starts_could_be_chosen_is_of_unit_rows_and_a_drawn_decoder():
    keys = ("prefix_tokens", "decoder_rows", "decoder_start", "encoder_norm")
    now = CoderConfig(d_in=4, d_out=2, widths=(2, 4), k=1).model_dump()

    older = TypeAdapter(StoredConfig).validate_python({k: v for k, v in now.items() if k not in keys})
    newer = TypeAdapter(StoredConfig).validate_python(now)

    assert [getattr(older, key) for key in keys] == ["all", "unit", "drawn", 1.0]
    assert not older.free_rows
    assert newer.free_rows


def test_rows_are_free_for_transcoders_and_separate_decoders_and_unit_for_autoencoders_unless_asked_for():
    assert CoderForm().free_rows
    assert not CoderForm(kind="sae").free_rows
    assert not CoderForm(decoder_rows="unit").free_rows
    assert CoderForm(kind="sae", decoder="separate").free_rows


def test_records_survive_json():
    config = CoderConfig(d_in=4, d_out=2, widths=(2, 4), k=1)

    assert CoderConfig.model_validate_json(config.model_dump_json()) == config
    assert TrainSettings.model_validate_json(TrainSettings().model_dump_json()) == TrainSettings()
