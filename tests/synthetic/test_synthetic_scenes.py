import numpy as np

from autointerp.synthetic.scenes import VALUES, Scene, Thing, draw_scenes

RED_CIRCLE = Thing("circle", "red", "small", "left", "top", "plain", "resting")
FLOATING_STAR = Thing("star", "blue", "large", "right", "bottom", "striped", "floating")


def test_the_same_seed_draws_the_same_scenes():
    first, again, other = list(draw_scenes(50, 3)), list(draw_scenes(50, 3)), list(draw_scenes(50, 4))

    assert first == again
    assert first != other


def test_half_of_the_scenes_show_one_object_and_a_fifth_of_the_objects_is_red():
    scenes = draw_scenes(20_000, 0)

    colours = scenes.codes["colour"][scenes.codes["colour"] >= 0]
    assert abs(np.mean(scenes.count == 1) - 0.5) < 0.02
    assert abs(np.mean(colours == VALUES["colour"].index("red")) - 0.2) < 0.02


def test_no_two_objects_of_a_scene_stand_on_one_place():
    for scene in draw_scenes(500, 1):
        places = [(t.row, t.column) for t in scene.things]
        assert len(set(places)) == len(places)


def test_a_scene_has_as_many_objects_as_its_count_says():
    scenes = draw_scenes(200, 2)

    assert [len(s.things) for s in scenes] == scenes.count.tolist()


def test_a_scene_is_odd_where_a_shadow_is_wrong():
    scenes = draw_scenes(500, 5)

    assert [s.odd for s in scenes] == scenes.odd.tolist()
    assert Scene((RED_CIRCLE, FLOATING_STAR), "grey", 0).odd
    assert not Scene((RED_CIRCLE,), "grey", 0).odd


def test_a_scene_says_what_it_shows():
    scene = Scene((RED_CIRCLE, FLOATING_STAR), "grey", 0)

    assert scene.text == "small red circle at the top left, large striped blue star at the bottom right, floating"
