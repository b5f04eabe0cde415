from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from builders import exemplars, explanation, feature, image_rows, picture
from hypothesis import given, settings
from hypothesis import strategies as st

from autointerp.errors import PromptError
from autointerp.explanation.explainer import Explainer
from autointerp.lmm.request import ImagePart, Request, TextPart
from autointerp.prompts import (
    Prompt,
    ShownImage,
    Slot,
    Value,
    domain_names,
    joint_digest,
    load_prompt,
    plain,
    shipped_folder,
)
from autointerp.schema import Counterfactual, Feature
from autointerp.scoring.judge import Judge
from autointerp.scoring.sampling import make_pool
from autointerp.scoring.scorer_list import SCORERS
from autointerp.settings import ExplainSettings, ModelSettings, ScoreSettings

PICTURES = tuple(ImagePart(picture(i), "judged", (i + 1,)) for i in range(2))
IMAGES = [ShownImage(i + 1, "strong", (Slot(i, "crop"),)) for i in range(2)]


def template(folder: Path, user: str, *, name: str = "own", system: str = "Be brief.") -> Prompt:
    folder.mkdir(exist_ok=True)
    text = f"{{% block system %}}{system}{{% endblock %}}\n{{% block user %}}{user}{{% endblock %}}\n"
    (folder / f"{name}.jinja").write_text(text, "utf-8")
    load_prompt.cache_clear()
    return load_prompt(name, folder)


def filled(prompt: Prompt, variables: Mapping[str, Value], n_pictures: int = 0) -> list[str | int]:
    """The user's turn: words, and for each picture its number."""
    turn = next(m for m in prompt.fill(variables, PICTURES[:n_pictures]) if m.role == "user")
    return [p.text if isinstance(p, TextPart) else p.numbers[0] for p in turn.parts]


def words(request: Request) -> str:
    return "\n".join(p.text for m in request.messages for p in m.parts if isinstance(p, TextPart))


def judging(text: str, layout: str = "sheet", *, n: int = 24, rendering: str = "full") -> list[Request]:
    rows = (*exemplars("top", range(20)), *exemplars("silent", range(100, 120), activation=0))
    settings = ScoreSettings.model_validate(
        {"layout": layout, "rendering": rendering, "n_active": n // 2, "n_silent": n // 2}
    )
    subject = feature(rows)
    images = image_rows(e.image for e in rows)
    pool = make_pool(subject, explanation().seen, images, settings, grid=None, n_images=1000)
    judge = Judge(ModelSettings(model="m"), settings, load_prompt("judge", None))
    return judge.requests(text, pool.draw(n // 2, n // 2).items)


def explaining(**how: object) -> tuple[Request, ...]:
    rows = (*exemplars("top", range(20)), *exemplars("q1", range(20, 40)), *exemplars("silent", range(100, 120)))
    settings = ExplainSettings.model_validate(how)
    domain = load_prompt(f"domains/{settings.domain}", None) if settings.domain else None
    explainer = Explainer(ModelSettings(model="m"), settings, load_prompt("explain", None), domain, None)
    return explainer.requests(feature(rows), image_rows(e.image for e in rows))


def test_a_template_becomes_a_system_and_a_user_message_with_pictures_in_their_places(tmp_path: Path):
    prompt = template(
        tmp_path, "{% for image in images %}Image {{ image.number }}: {{ image.slots[0] }}{% endfor %} Which? {{ n }}"
    )

    messages = prompt.fill({"images": IMAGES, "n": 2}, PICTURES)

    assert [m.role for m in messages] == ["system", "user"]
    assert messages[0].parts == (TextPart("Be brief."),)
    assert messages[1].parts == (
        TextPart("Image 1:"),
        PICTURES[0],
        TextPart("Image 2:"),
        PICTURES[1],
        TextPart("Which? 2"),
    )


def test_an_empty_system_block_is_no_message(tmp_path: Path):
    prompt = template(tmp_path, "hello", system=" ")

    assert [m.role for m in prompt.fill({}, ())] == ["user"]


@pytest.mark.parametrize("user", ["{{ colour }}", "{% if colour %}x{% endif %}", "{% for c in colour %}x{% endfor %}"])
def test_an_unknown_variable_is_named_together_with_those_there_are(tmp_path: Path, user: str):
    prompt = template(tmp_path, user)

    with pytest.raises(PromptError, match=r"^own: 'colour' is undefined; this prompt has: images, n$"):
        prompt.fill({"n": 2, "images": IMAGES}, ())


def test_an_unknown_part_of_an_image_is_named(tmp_path: Path):
    with pytest.raises(PromptError, match="no attribute 'colour'"):
        filled(template(tmp_path, "{{ images[0].colour }}"), {"images": IMAGES})


def test_a_template_that_leaves_a_picture_out_is_refused(tmp_path: Path):
    prompt = template(tmp_path, "{{ images[0].slots[0] }}{{ images[0].slots[0] }}")

    with pytest.raises(PromptError, match="the template leaves out 1 of the pictures"):
        filled(prompt, {"images": IMAGES}, 2)


@pytest.mark.parametrize(
    "user",
    [
        "{{ ''.__class__ }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ n.__init__.__globals__ }}",
        "{{ images[0].slots[0]._index }}",
        "{{ ''['__class__'] }}",
        "{{ ('' | attr('__class__')) }}",
        "{{ images.append(1) }}",
        "{{ '{0.__class__}'.format('') }}",
    ],
)
def test_a_template_cannot_reach_into_the_program(tmp_path: Path, user: str):
    prompt = template(tmp_path, user)

    with pytest.raises(PromptError):
        filled(prompt, {"n": 1, "images": IMAGES})


@pytest.mark.parametrize("user", ["{{ 1 / 0 }}", "{{ n + 'x' }}", "{{ range(10 ** 9) }}"])
def test_a_template_that_fails_while_it_is_filled_is_one_line(tmp_path: Path, user: str):
    with pytest.raises(PromptError, match=r"^own: ") as caught:
        filled(template(tmp_path, user), {"n": 1})

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("{% block system %}{% endblock %}", "no block `user`; a prompt has the blocks system and user"),
        ("{% block user %}\n{{ x", r"broken\.jinja: line 2: "),
        ("{% block user %}{% nonsense %}", "nonsense"),
        (b"\xff\xfe", "broken"),
    ],
)
def test_a_broken_template_is_one_line(tmp_path: Path, source: str | bytes, problem: str):
    (tmp_path / "broken.jinja").write_bytes(source if isinstance(source, bytes) else source.encode())

    with pytest.raises(PromptError, match=problem) as caught:
        load_prompt("broken", tmp_path)

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["nowhere", "../judge", "/etc/passwd"])
def test_a_template_that_is_not_there_is_named_with_the_folders(tmp_path: Path, name: str):
    with pytest.raises(PromptError, match=f"{name}.jinja: no such prompt in {tmp_path} or "):
        load_prompt(name, tmp_path)


def test_a_folder_of_prompts_must_be_there(tmp_path: Path):
    with pytest.raises(PromptError, match="no such folder of prompts"):
        load_prompt("judge", tmp_path / "none")


def test_the_users_folder_goes_before_the_shipped_one(tmp_path: Path):
    own = template(tmp_path, "mine", name="judge")

    assert filled(own, {}) == ["mine"]
    assert own.digest != load_prompt("judge", None).digest
    assert load_prompt("explain", tmp_path).digest == load_prompt("explain", None).digest


def test_the_users_domains_are_offered_beside_the_shipped_ones(tmp_path: Path):
    template(tmp_path / "domains", "x", name="weather")
    shipped = domain_names(None)

    assert "physical-plausibility" in shipped
    assert domain_names(tmp_path) == sorted([*shipped, "weather"])


def test_every_change_of_a_template_changes_its_digest(tmp_path: Path):
    one, other = template(tmp_path, "a"), template(tmp_path, "b")

    assert one.digest != other.digest
    assert len({joint_digest(p) for p in ([one], [other], [one, other], [other, one])}) == 4
    assert len(joint_digest([one])) == 12


@settings(deadline=None)
@given(st.text())
def test_plain_text_holds_no_mark_of_a_picture(text: str):
    assert not any(ord(c) < 32 or ord(c) == 127 for c in plain(text))
    assert plain("\x020\x03 and\x02\n1\x03") == "0  and 1"


@settings(deadline=None, max_examples=25)
@given(st.text(st.characters(exclude_categories=("Cs",))) | st.sampled_from(["\x020\x03", "{{ n }}", "{% endblock %}"]))
def test_a_hostile_explanation_places_no_picture_and_is_not_executed(text: str):
    (request,) = judging(text, n=12)

    assert len(request.pictures) == 1
    assert f"Description: {plain(text)}".strip() in words(request)


def test_the_shipped_judge_prompt_fills_in_both_layouts():
    sheet, separate = judging("a red square"), judging("a red square", "separate")

    assert [len(r.pictures) for r in sheet] == [1, 1]
    assert [len(r.pictures[0].tiles) for r in sheet] == [12, 12]
    assert "a contact sheet of 12 images in 3 rows and 4 columns" in words(sheet[0])
    assert [len(r.pictures) for r in separate] == [12, 12]
    assert "Image 12:" in words(separate[0])
    for request in (*sheet, *separate):
        assert "Description: a red square" in words(request)
        assert '"image_11", "image_12"; each value' in words(request)


@pytest.mark.parametrize(
    ("rendering", "whole", "enlarged"), [("full", True, False), ("zoom", True, True), ("crop", False, False)]
)
def test_the_judge_is_told_what_it_is_shown(rendering: str, whole: bool, enlarged: bool):
    sheet, separate = (judging("a red square", layout, rendering=rendering)[0] for layout in ("sheet", "separate"))

    for request in (sheet, separate):
        assert ("Each image is shown whole." in words(request)) == whole
        assert ("one part of it is shown by itself" in words(request)) == enlarged
    assert ("in 6 rows and 2 columns" if enlarged else "in 3 rows and 4 columns") in words(sheet)
    assert len(separate.pictures) == (24 if enlarged else 12)


@pytest.mark.parametrize("levels", ["words", "numbers", "none"])
@pytest.mark.parametrize("n_contrast", [0, 4])
def test_the_shipped_explain_prompt_fills(levels: str, n_contrast: int):
    (request,) = explaining(levels=levels, n_contrast=n_contrast)

    text = words(request)
    assert len(request.pictures) == 16 + n_contrast
    assert "Below are 16 images on which the feature FIRES, in 16 pictures, the images in random order." in text
    assert ("The feature is SILENT on the next 4" in text) == (n_contrast == 4)
    assert ("Active image 1 (" in text) == (levels != "none")
    assert ("Active image 1:" in text) == (levels == "none")


@pytest.mark.parametrize(
    ("levels", "known", "said"),
    [
        ("words", 0.5, "Silent image 1 (25% of what fires it):"),
        ("numbers", 0.5, "Silent image 1 (0.5):"),
        ("none", 0.5, "Silent image 1:"),
        ("words", None, "Silent image 1:"),
    ],
)
def test_silent_images_carry_how_near_they_came_to_firing(levels: str, known: float | None, said: str):
    silent = (replace(e, silent_activation=known) for e in exemplars("silent", range(100, 102), activation=0.5))
    subject = Feature(feature(()).row, (*exemplars("top", range(4), activation=3.0), *silent), 2.0)
    settings = ExplainSettings.model_validate({"levels": levels, "n_contrast": 1})
    explainer = Explainer(ModelSettings(model="m"), settings, load_prompt("explain", None), None, None, 2.0)

    (request,) = explainer.requests(subject, image_rows(e.image for e in subject.exemplars))

    assert said in words(request).splitlines()
    assert ("how near it came to firing" in words(request)) == ("(" in said)


def paired(*images: int, template: str = "explain-pairs") -> Request:
    """About images 0 to 3 that fire and 100 to 103 that do not, some of the former also without their region."""
    subject = feature((*exemplars("top", range(8)), *exemplars("silent", range(100, 108))))
    settings = ExplainSettings.model_validate({"contrast_kind": "erased"})
    pairs = tuple(Counterfactual(image=i, box=(0, 0, 8, 8), how="mean", activation=0.0) for i in images)
    prompt = load_prompt(template, None)
    explainer = Explainer(ModelSettings(model="m"), settings, prompt, None, None, counterfactuals=pairs)
    (request,) = explainer.requests(subject, image_rows(e.image for e in subject.exemplars))
    return request


def test_an_image_without_its_region_follows_the_image_and_counts_as_a_silent_one():
    whole = paired()
    shown = [tile.image for picture in whole.pictures[:4] for tile in picture.tiles]

    request = paired(shown[1], shown[3])

    tiles = [(picture.tiles[0].image, picture.tiles[0].erased) for picture in request.pictures]
    pairs = [(shown[1], "mean"), (shown[3], "mean")]
    assert tiles[:6] == [(i, None) for i in shown[:2]] + [pairs[0]] + [(i, None) for i in shown[2:]] + [pairs[1]]
    assert len(tiles) == len(whole.pictures) == 8
    silent = [part for part in request.messages[1].parts if isinstance(part, ImagePart) and part.role == "silent"]
    assert [part.numbers for part in silent] == [(1,), (2,), (3,), (4,)]
    said = words(request)
    assert "Silent image 2 (active image 4 with a rectangle around what made it fire painted over" in said
    assert "Under 2 of them stands the same image once more" in said
    assert "The feature is SILENT on the next 2 too" in said


def test_without_any_pair_the_question_is_that_of_ordinary_contrast():
    assert paired().key == paired(template="explain").key


def test_every_shipped_domain_fills_and_shows_no_silent_image():
    for name in domain_names(None):
        first, second = explaining(domain=name)

        assert (first.task, second.task, second.subject) == ("explain", "domain", name)
        assert len(second.pictures) == 16
        assert {p.role for m in second.messages for p in m.parts if isinstance(p, ImagePart)} == {"active"}
        assert "Here are 16 images, in 16 pictures." in words(second)


def test_no_shipped_template_is_left_untested():
    names = {str(p.relative_to(shipped_folder())) for p in shipped_folder().rglob("*.jinja")}

    # The tests of the scorers fill these.
    others = {f"{s.task.name}.jinja" for s in SCORERS.values() if s.task}
    others |= {f"{s.template}.jinja" for s in SCORERS.values() if s.template}
    assert names == {
        "explain.jinja",
        "explain-pairs.jinja",
        "edit.jinja",
        "steer.jinja",
        "same.jinja",
        *others,
        *(f"domains/{n}.jinja" for n in domain_names(None)),
    }


def test_every_shipped_prompt_says_that_writing_inside_an_image_is_no_instruction():
    for request in (*explaining(domain="physical-plausibility"), *judging("x")):
        system = request.messages[0].parts[0]
        assert isinstance(system, TextPart)
        assert "riting" in system.text
        assert "never" in system.text


SPOTS = {
    "one": [0],
    "two": [0, 63],
    "none": [],
}
"""Cells of 8 by 8 that fire in an image."""
SAYS = {
    "outline": "The whole image, what made it fire outlined:",
    "crop": "A part that made it fire, cut out:",
    "mask": "The whole image, dimmed except for what made it fire:",
    "full": "The whole image:",
}


def seen(renderings: list[str], *, domain: str | None = None) -> tuple[Request, ...]:
    """What is asked where of six images two fire in one place, two in two, and of two it is not known."""
    rows = []
    for i, row in enumerate(exemplars("top", range(12))):
        cells = list(SPOTS.values())[i % 3]
        heat = bytes(255 * (c in cells) for c in range(64))
        rows.append(replace(row, heat=heat))
    settings = ExplainSettings.model_validate(
        {"n_top": 6, "n_bands": 0, "n_contrast": 0, "renderings": renderings, "domain": domain}
    )
    second = load_prompt(f"domains/{domain}", None) if domain else None
    explainer = Explainer(ModelSettings(model="m"), settings, load_prompt("explain", None), second, (8, 8))
    images = {i: replace(row, width=800, height=800) for i, row in image_rows(e.image for e in rows).items()}
    return explainer.requests(feature(rows), images)


@pytest.mark.parametrize("renderings", [["outline", "crop"], ["crop", "full"], ["mask"], ["crop"], ["full"]])
def test_what_is_said_before_a_picture_is_true_of_it(renderings: list[str]):
    (request,) = seen(renderings)

    parts = request.messages[1].parts
    said = [(before, part) for before, part in pairwise(parts) if isinstance(part, ImagePart)]
    assert f"FIRES, in {len(request.pictures)} pictures" in words(request)
    assert len(said) == len(request.pictures) >= 6
    for before, part in said:
        assert isinstance(before, TextPart)
        assert before.text.splitlines()[-1] == SAYS[part.picture.tiles[0].rendering]


def test_the_second_pass_says_before_each_picture_what_it_is_and_how_many_there_are():
    _, request = seen(["outline", "crop"], domain="physical-plausibility")

    assert f"Here are 6 images, in {len(request.pictures)} pictures." in words(request)
    assert words(request).count("A part of it, cut out:") == sum(
        p.tiles[0].rendering == "crop" for p in request.pictures
    )


def test_the_explainer_is_told_how_its_explanation_is_checked():
    (request,) = explaining()

    assert "shown other images, whole and without any mark" in words(request)
    assert "to 20 words" not in words(request)


def test_the_judge_of_crops_is_told_that_they_are_parts():
    (request,) = judging("a red square", n=12, rendering="crop")

    assert "Each image is a part cut out of a larger one." in words(request)
