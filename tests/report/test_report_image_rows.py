from dataclasses import replace

from report_world import World, explained, scored, verdict

from autointerp.reports.image_rows import ImageRows
from autointerp.reports.pictures import PictureBook
from autointerp.schema import Box, Counterfactual, Exemplar, Feature, FeatureRow


def book_of(world: World) -> PictureBook:
    return PictureBook(world.data(), 256)


def exemplar(image: int, activation: float, stratum: str) -> Exemplar:
    box = Box(0, 0, 40, 40) if activation else None
    return Exemplar(image, activation, stratum, 1.0, box, None)


def feature(*exemplars: Exemplar) -> Feature:
    return Feature(FeatureRow(1, 16, 50, 9.0, None, None), exemplars)


def test_bands_run_from_the_top_to_the_silent(world: World):
    drawn = [("silent", 0), ("q1", 1.0), ("top", 9.0), ("guided", 0), ("q3", 5.0), ("q2", 3.0)]
    own = feature(*(exemplar(i, a, s) for i, (s, a) in enumerate(drawn)))

    strips = list(ImageRows(own, book_of(world)).bands())

    assert [s.title for s in strips] == [
        "Top activations",
        "Band q3 (strongest)",
        "Band q2",
        "Band q1 (weakest)",
        "Silent look-alikes",
        "Silent, drawn uniformly",
    ]


def test_the_top_strip_has_the_highest_and_a_band_is_spread_from_end_to_end(world: World):
    top = [exemplar(i, 20.0 + i, "top") for i in range(10)]
    band = [exemplar(10 + i, 1.0 + i, "q1") for i in range(10)]

    strips = list(ImageRows(feature(*top, *band), book_of(world)).bands())

    assert [t.caption for t in strips[0].thumbs] == [f"{v}.00" for v in range(29, 21, -1)]
    assert strips[0].note == "activation 20.00 to 29.00 · 8 of 10 shown"
    assert [t.caption for t in strips[1].thumbs] == ["10.00", "7.00", "4.00", "1.00"]


def test_what_the_explainer_saw_keeps_the_order_of_the_prompt(world: World):
    own = feature(*(exemplar(i, 5.0 - i, "top") for i in range(4)), exemplar(4, 0.0, "silent"))
    explanation = explained(1, images=(2, 0, 3), contrast=(4,), misfits=(0,))

    active, contrast = ImageRows(own, book_of(world)).seen(explanation)

    assert [t.caption for t in active.thumbs] == ["3.00", "5.00", "2.00"]
    assert [t.flag for t in active.thumbs] == ["", "misfit", ""]
    assert active.note == ("cropped to the region, in the order of the prompt · the explainer says 1 of 3 do not fit")
    assert [t.caption for t in contrast.thumbs] == ["#4"]


def test_a_pair_is_the_image_and_beside_it_the_image_without_the_region(world: World):
    own = feature(*(exemplar(i, 5.0 - i, "top") for i in range(3)), exemplar(4, 0.0, "silent"))
    pairs = [
        Counterfactual(image=2, box=(0, 0, 40, 40), how="mean", activation=0.1),
        Counterfactual(image=0, box=(0, 0, 40, 40), how="blur", activation=0.2),
    ]
    said = explained(1, images=(2, 0, 1), contrast=(4,)).model_copy(update={"counterfactuals": tuple(pairs)})

    _, shown, contrast = ImageRows(own, book_of(world)).seen(said)

    assert [t.caption for t in shown.thumbs] == ["#2: 3.00", "#2 without: 0.10", "#0: 5.00", "#0 without: 0.20"]
    assert shown.note.startswith("the region filled with the mean of its border or blurred; ")
    assert "in the place of active images without their region" in contrast.note


def test_images_without_a_region_were_shown_whole(world: World):
    own = Feature(FeatureRow(1, 16, 50, 9.0, None, None), (Exemplar(0, 5.0, "top", 1.0, None, None),))

    (active,) = ImageRows(own, book_of(world)).seen(explained(1, images=(0,)))

    assert active.note == "whole, in the order of the prompt"


def test_the_table_shows_the_three_strongest_of_what_the_explainer_saw(world: World):
    own = feature(*(exemplar(i, 5.0 - i, "top") for i in range(5)))

    face = ImageRows(own, book_of(world)).face(explained(1, images=(4, 1, 3, 2)), 3, "crop")

    assert [t.caption for t in face] == ["4.00", "3.00", "2.00"]


def test_a_shown_image_that_the_dump_no_longer_lists_has_no_activation_to_tell(world: World):
    explanation = explained(1, images=(7,))

    (active,) = ImageRows(feature(exemplar(0, 1.0, "top")), book_of(world)).seen(explanation)

    assert [(t.caption, t.alt) for t in active.thumbs] == [("#7", "Image 7, labelled wheel")]


def test_an_unanswered_judgement_is_neither_right_nor_wrong_and_is_counted(world: World):
    own = feature(*(exemplar(i, 5.0 - i, "top") for i in range(3)), *(exemplar(i, 0.0, "silent") for i in (4, 5, 6)))
    beliefs = {0: 0.0, 1: None, 2: 1.0, 4: 1.0, 5: None, 6: None}
    verdicts = tuple(verdict(i, active=i < 4, belief=b) for i, b in beliefs.items())

    said_yes, said_no = ImageRows(own, book_of(world)).errors([scored(1, 0.5, verdicts=verdicts)])

    assert (said_yes.n, said_yes.note) == (1, "1 of 3 images asked, 2 unanswered")
    assert (said_no.n, said_no.note) == (1, "1 of 3 images asked, 1 unanswered")


def test_an_unsure_judge_is_not_wrong(world: World):
    own = feature(exemplar(0, 5.0, "top"), exemplar(4, 0.0, "silent"))
    verdicts = (verdict(0, active=True, belief=0.5), verdict(4, active=False, belief=0.5))

    errors = ImageRows(own, book_of(world)).errors([scored(1, 0.5, verdicts=verdicts)])

    assert [strip.n for strip in errors] == [0, 0]


def test_silent_images_say_how_near_to_firing_they_came(world: World):
    guided = [replace(exemplar(i, 0.0, "guided"), silent_activation=2.0 * i) for i in range(3)]
    own = Feature(feature().row, (*guided, exemplar(3, 0.0, "silent")), 8.0)

    alike, uniform = ImageRows(own, book_of(world)).bands()
    (contrast,) = ImageRows(own, book_of(world)).seen(explained(1, images=(), contrast=(2, 3)))

    assert alike.note == "3 of 3 shown · reached 0 to 50 % of the threshold"
    assert [t.caption for t in alike.thumbs] == [
        "0 % of the threshold",
        "25 % of the threshold",
        "50 % of the threshold",
    ]
    assert (uniform.note, uniform.thumbs[0].caption) == ("1 of 1 shown", "#3")
    assert [t.caption for t in contrast.thumbs] == ["50 % of the threshold", "#3"]
