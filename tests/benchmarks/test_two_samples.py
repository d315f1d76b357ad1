import random

import pytest

from benchmarks.two_samples import compare


def test_the_same_values_cannot_be_told_apart() -> None:
    found = compare([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    assert (found.auc, found.distance, found.p_of_distance, found.medians) == (0.5, 0, 1, 0)


def test_values_that_are_all_larger_are_told_apart() -> None:
    found = compare([1.0, 2.0], [3.0, 4.0])
    assert (found.auc, found.low, found.distance, found.medians) == (1, 1, 1, 2)


def test_ties_count_half() -> None:
    # By hand: 1<2, 1<3, 2=2, 2<3 of four pairs.
    assert compare([1.0, 2.0], [2.0, 3.0]).auc == pytest.approx(3.5 / 4)


def test_the_chance_of_a_distance_is_the_published_one() -> None:
    # Kolmogorov's distribution is 0.05 at 1.358; for two samples of 20,000 that is a distance of 0.01358.
    first = [float(number) for number in range(20_000)]
    second = [number + 271.6 for number in first]
    found = compare(first, second)
    assert found.distance == pytest.approx(0.0136, abs=0.0001)
    assert found.p_of_distance == pytest.approx(0.05, abs=0.001)


def test_an_interval_of_the_same_source_holds_a_half_nineteen_times_in_twenty() -> None:
    source = random.Random(7)
    held = 0
    for _ in range(200):
        found = compare([source.random() for _ in range(60)], [source.random() for _ in range(60)])
        held += found.low <= 0.5 <= found.high
    assert 180 <= held <= 199


def test_a_leak_of_a_third_of_the_spread_is_found_in_a_thousand_pairs() -> None:
    source = random.Random(7)
    first = [source.gauss(10, 3) for _ in range(1000)]
    second = [source.gauss(11, 3) for _ in range(1000)]
    found = compare(first, second)
    assert found.low > 0.55
    assert found.p_of_distance < 1e-6
