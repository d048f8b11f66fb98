"""Intervals: Student and Welch as SciPy has them, sums by hand, coverage by simulation, exact p of sign flips."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from nbsp_lib.results.intervals import cut, interval, sign_flip


def test_one_sample_is_students_t():
    """d = 1, 2, 3, 4, 5: mean 3, s = √2.5, t_4 = 2.776 of any table."""
    half = 2.776445 * math.sqrt(2.5 / 5)
    assert interval([(1.0, [1, 2, 3, 4, 5])]) == pytest.approx((3, 3 - half, 3 + half), abs=1e-5)
    assert interval([(1.0, [5, 4, 3, 1, 2])], level=0.99)[1] == pytest.approx(3 - 4.604095 * math.sqrt(0.5), abs=1e-5)


@pytest.mark.parametrize(("n", "m"), [(3, 3), (5, 3), (10, 4)])
def test_two_samples_are_welchs(n, m):
    x, y = np.random.default_rng(n).normal(0.5, 0.2, n), np.random.default_rng(m).normal(0.3, 0.5, m)
    found, theirs = interval([(1.0, x), (-1.0, y)]), stats.ttest_ind(x, y, equal_var=False).confidence_interval(0.95)
    assert found == pytest.approx((x.mean() - y.mean(), theirs.low, theirs.high), rel=1e-9)


def test_a_sum_over_sequences_by_hand():
    """0.6 · mean(1, 3) + 0.4 · mean(0, 3, 6): variances 0.36 · 2/2 and 0.16 · 9/3, so V = 0.84, df = 0.84² / (0.36² +
    0.48²/2)."""
    freedom = 0.84**2 / (0.36**2 / 1 + 0.48**2 / 2)
    half = stats.t.ppf(0.975, freedom) * math.sqrt(0.84)
    assert interval([(0.6, [1, 3]), (0.4, [0, 3, 6])]) == pytest.approx((2.4, 2.4 - half, 2.4 + half))


def test_edges():
    assert (
        interval([(1.0, [0.5])])[0] == 0.5 and np.isnan(interval([(1.0, [0.5])])[1:]).all()
    )  # one seed shows no spread
    assert interval([(1.0, [0.3] * 4), (-1.0, [0.1] * 3)]) == pytest.approx((0.2, 0.2, 0.2))
    for parts in ([], [(1.0, [])], [(1.0, [0.1, np.nan])]):
        assert np.isnan(interval(parts)).all()
    assert (
        cut((-0.2, 1.3), 0, 1) == (0, 1)
        and cut((0.2, 0.3), -np.inf, 1) == (0.2, 0.3)
        and np.isnan(cut((np.nan, 1), 0, 1)[0])
    )


def test_from_twenty_values_on_it_is_the_bootstrap():
    """Skewed values: its ends are not symmetric about the mean; n = 19 still is; and its width is that of the mean."""
    x = np.random.default_rng(0).exponential(size=200)
    mean, low, high = interval([(1.0, x)])
    assert (low, high) == pytest.approx((mean - 1.96 * x.std() / 200**0.5, mean + 1.96 * x.std() / 200**0.5), abs=0.03)
    assert abs((high - mean) - (mean - low)) > 1e-6
    assert interval([(1.0, x[::-1])]) == (mean, low, high)  # the order of seeds changes nothing
    short = interval([(1.0, x[:19])])
    assert short[2] - short[0] == pytest.approx(short[0] - short[1])
    assert interval([(1.0, x), (-1.0, x[:19])])[2] - interval([(1.0, x), (-1.0, x[:19])])[0] == pytest.approx(
        interval([(1.0, x), (-1.0, x[:19])])[0] - interval([(1.0, x), (-1.0, x[:19])])[1]
    )


@pytest.mark.parametrize(("n", "m"), [(3, None), (5, None), (4, 7)])
def test_coverage(n, m):
    """Of 2,000 samples of normal values 95 % of the intervals hold the mean; Welch's a little more with few of them. The
    percentile bootstrap of three is [min, max] and holds it in 1 − 2/2³ = 0.75 of cases."""
    rng, inside, ranges = np.random.default_rng(n), 0, 0
    for _ in range(2000):
        x, y = rng.normal(0.3, 1, n), rng.normal(0, 3, m) if m else None
        _, low, high = interval([(1.0, x)] if m is None else [(1.0, x), (-1.0, y)])
        inside += low <= 0.3 <= high
        ranges += x.min() <= 0.3 <= x.max()
    assert 0.935 < inside / 2000 < 0.975
    assert ranges / 2000 == pytest.approx(1 - 2 / 2**n, abs=0.03)


def test_sign_flip_by_hand():
    """All of one sign: only all plus and all minus are as far, 2 of 32."""
    assert sign_flip([1, 2, 3, 4, 5]) == 2 / 32
    d = (0.3, -0.1, 0.2)
    sums = [abs(sum(s * x for s, x in zip(signs, d, strict=True))) for signs in itertools.product((1, -1), repeat=3)]
    assert sign_flip(d) == sum(value > 0.4 - 1e-9 for value in sums) / 8 == 4 / 8
    assert sign_flip([0, 0]) == 1 and math.isnan(sign_flip([]))
