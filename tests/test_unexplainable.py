from autointerp.unexplainable import NEVER_FIRED, NO_IMAGES, TOO_FEW, in_words


def test_features_are_counted_by_why_they_cannot_be_explained_the_most_first():
    assert in_words({NO_IMAGES: 1, NEVER_FIRED: 2}) == (
        "3 features cannot be explained: 2 never fired, 1 has no images in the dump"
    )


def test_one_feature_is_told_of_in_the_singular_and_many_with_separators():
    assert in_words({NEVER_FIRED: 1}) == "1 feature cannot be explained: 1 never fired"
    assert in_words({NO_IMAGES: 1200}) == "1,200 features cannot be explained: 1,200 have no images in the dump"


def test_what_follows_a_semicolon_is_left_to_the_record():
    assert ";" in TOO_FEW
    assert in_words({TOO_FEW: 2}).endswith(": 2 have too few images to show one and hold one out")


def test_a_reason_of_another_version_is_told_as_it_is_but_for_what_a_terminal_would_obey():
    assert in_words({"are \x1b[2J\nodd": 3}) == "3 features cannot be explained: 3 are [2J odd"
