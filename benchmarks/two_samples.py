"""Whether two samples of durations can be told apart: plain statistics, without a library."""

import math
import statistics
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

_Z95 = 1.959964


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two samples say of each other."""

    auc: float
    """How often a value of the first is below one of the second, ties half: 0.5 where both are alike
    (Mann-Whitney)."""
    low: float
    high: float
    """Ends of its 95 % confidence interval."""
    distance: float
    """Largest distance of the two distributions (Kolmogorov-Smirnov)."""
    p_of_distance: float
    """How likely a distance so large is if both are the same."""
    medians: float
    """Second median less the first, in the samples' unit."""


def compare(first: Sequence[float], second: Sequence[float]) -> Comparison:
    """Compare two samples of at least two values each.

    Source: E. DeLong, D. DeLong, D. Clarke-Pearson, Biometrics 44 (1988), for the interval; N. Smirnov,
    Annals of Mathematical Statistics 19 (1948), for the distance.
    """
    one, two = sorted(first), sorted(second)
    below = [_above(each, two) for each in one]
    above = [1 - _above(each, one) for each in two]
    auc = statistics.fmean(below)
    error = math.sqrt(statistics.variance(below) / len(one) + statistics.variance(above) / len(two))
    distance = max(
        abs(bisect_right(one, each) / len(one) - bisect_right(two, each) / len(two)) for each in (*one, *two)
    )
    return Comparison(
        auc=auc,
        low=auc - _Z95 * error,
        high=auc + _Z95 * error,
        distance=distance,
        p_of_distance=_kolmogorov(distance, len(one), len(two)),
        medians=statistics.median(two) - statistics.median(one),
    )


def _above(value: float, others: Sequence[float]) -> float:
    """Return the share of sorted values above one, ties half."""
    low, high = bisect_left(others, value), bisect_right(others, value)
    return (len(others) - high + (high - low) / 2) / len(others)


def _kolmogorov(distance: float, first: int, second: int) -> float:
    """Return the chance of such a distance between samples of one distribution, for large samples."""
    size = math.sqrt(first * second / (first + second))
    scaled = (size + 0.12 + 0.11 / size) * distance
    terms = (2 * (-1) ** (k - 1) * math.exp(-2 * (k * scaled) ** 2) for k in range(1, 101))
    return min(max(sum(terms), 0.0), 1.0) if scaled > 0.2 else 1.0
