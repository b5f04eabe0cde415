"""What counts as the outcome decides whether a concept earns by having many wordings."""

import numpy as np

from autointerp.ips.weights import scaled_rewards

MEANING = {"a cat": "cat", "some cat": "cat", "one cat": "cat", "a dog": "dog"}


def earned(samples: list[str], outcomes: list[str]) -> dict[str, float]:
    scaled = scaled_rewards(np.ones(len(samples)), outcomes, group_size=len(samples))
    return {m: float(scaled[[MEANING[s] == m for s in samples]].sum()) for m in ("cat", "dog")}


def test_paraphrases_pay_when_the_string_is_the_outcome_and_not_when_the_meaning_is():
    samples = ["a cat", "some cat", "one cat", "a dog"]

    by_string = earned(samples, samples)
    by_meaning = earned(samples, [MEANING[s] for s in samples])

    # Four strings of weight 4 each, three of them cats; by meaning 3 of 4/3 and 1 of 4.
    assert by_string == {"cat": 12.0, "dog": 4.0}
    np.testing.assert_allclose([by_meaning["cat"], by_meaning["dog"]], [4, 4], rtol=1e-12)


def test_a_further_wording_of_the_same_concept_earns_it_nothing():
    fewer = earned(["a cat", "a cat", "a cat", "a dog"], ["cat", "cat", "cat", "dog"])
    more = earned(["a cat", "some cat", "one cat", "a dog"], ["cat", "cat", "cat", "dog"])

    assert fewer == more
