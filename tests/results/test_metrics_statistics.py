"""Statistics over seeds: by hand, against SciPy where it is installed, and invariants of the intervals."""

import numpy as np
import pytest

from nbsp_lib.results.intervals import interval
from nbsp_lib.results.metrics import iqm, stratified_bootstrap, summary


def test_iqm_by_hand():
    assert iqm([9, 1, 2, 3]) == 2.5  # 1 and 9 dropped
    assert iqm([1, 2, 30]) == 11  # below 4: the mean
    assert iqm([0, 1, 2, 3, 100]) == 2  # floor(5 / 4) = 1 at each end
    assert iqm([0, 1, 2, 3, 4, 5, 100]) == 3  # floor(7 / 4) = 1
    assert iqm([-100, -50, 1, 2, 3, 4, 50, 100]) == 2.5
    assert iqm([[9, 1], [2, 3]]) == 2.5 and iqm([[9, 1], [2, 3]], axis=1).tolist() == [5, 2.5]
    assert np.isnan(iqm([1, 2, 3, np.nan]))  # not trimmed away as the largest
    with pytest.raises(ValueError, match="nothing"):
        iqm([])


def test_iqm_is_scipys_trimmed_mean():
    stats = pytest.importorskip("scipy.stats")
    for n in range(1, 14):
        x = np.random.default_rng(n).normal(size=(3, n))
        assert iqm(x) == pytest.approx(stats.trim_mean(x, 0.25, axis=None), rel=1e-12)
        np.testing.assert_allclose(iqm(x, axis=1), stats.trim_mean(x, 0.25, axis=1), rtol=1e-12)
        np.testing.assert_allclose(iqm(x, axis=0), stats.trim_mean(x, 0.25, axis=0), rtol=1e-12)


STRATA = {"window": [0.1, 0.5, 0.4, 0.3, 0.9], "drawer": [0.7, 0.6, 0.8]}


@pytest.mark.parametrize("statistic", [np.mean, np.median, iqm])
def test_bootstrap_invariants(statistic):
    point, low, high = stratified_bootstrap(STRATA, statistic, repeats=2000, seed=3)
    assert point == pytest.approx(float(statistic(np.concatenate(list(STRATA.values())))))
    assert low < point < high and 0.1 <= low and high <= 0.9
    assert stratified_bootstrap(STRATA, statistic, 2000, 3) == (point, low, high)
    shuffled = {name: np.array(STRATA[name])[::-1] for name in reversed(STRATA)}
    assert stratified_bootstrap(shuffled, statistic, 2000, 3) == (point, low, high)
    _, lower, higher = stratified_bootstrap(STRATA, statistic, 2000, 3, level=0.99)
    assert lower <= low and high <= higher


def test_bootstrap_depends_on_its_seed():
    x = np.random.default_rng(0).normal(size=20)
    assert stratified_bootstrap(x, np.mean, 200, seed=3) != stratified_bootstrap(x, np.mean, 200, seed=4)


def test_bootstrap_stays_inside_strata():
    # no spread inside either stratum: every replicate is the sample, which pooled resampling would not give
    assert stratified_bootstrap([[0.0] * 3, [1.0] * 5], np.mean, 500) == (0.625, 0.625, 0.625)
    _, low, high = stratified_bootstrap([0.0] * 3 + [1.0] * 5, np.mean, 500)
    assert low < 0.625 < high


def test_bootstrap_draws_whole_seeds():
    # two seeds 0 and 1: the mean is 0, 1/2 or 1 with probabilities 1/4, 1/2, 1/4
    seen = []
    stratified_bootstrap([0.0, 1.0], lambda x, axis: seen.append(x.mean(axis)) or seen[-1], repeats=20_000, seed=0)
    values, counts = np.unique(seen[-1], return_counts=True)
    assert values.tolist() == [0, 0.5, 1] and np.allclose(counts / 20_000, [0.25, 0.5, 0.25], atol=0.02)


def test_bootstrap_width_is_that_of_the_normal_mean():
    x = np.random.default_rng(0).normal(size=400)
    point, low, high = stratified_bootstrap(x, np.mean, repeats=4000, seed=0)
    half = 1.96 * x.std() / 20
    assert (low, high) == pytest.approx((point - half, point + half), abs=0.1 * half)


def test_bootstrap_edges():
    assert stratified_bootstrap([0.3], np.mean, 10)[0] == 0.3
    assert np.isnan(stratified_bootstrap([0.3], np.mean, 10)[1:]).all()  # one seed shows no spread
    assert np.isnan(stratified_bootstrap([[0.1, 0.2], [0.3]], np.mean, 10)[1:]).all()
    assert np.isnan(stratified_bootstrap([0.1, 0.2, np.nan, 0.3], iqm, 10)).all()


@pytest.mark.parametrize("values", [[], {}, [[]], [[0.1], []], np.zeros((2, 2)), [[0.1, 0.2], 0.3], [[[0.1]]]])
def test_bootstrap_refuses_shapes(values):
    for call in (stratified_bootstrap, summary):
        with pytest.raises(ValueError, match="values must be"):
            call(values)


def test_bootstrap_refuses_settings():
    for settings in ({"repeats": 0}, {"level": 95}, {"statistic": lambda x, axis: x.mean()}):
        with pytest.raises(ValueError, match=r"repeats|uantile|one number per row"):
            stratified_bootstrap([0.1, 0.2], **settings)


def test_summary():
    window, drawer = [0.2, 0.4, 0.6, 0.3, 0.5], [0.1, 0.2, 0.3, 0.4, 0.5]
    result = summary({"window": [*window[:2], np.nan, *window[2:]], "drawer": drawer}, repeats=500)
    done = [*window, *drawer]
    assert (result["finished"], result["seeds"], result["indicative"]) == (10, 11, False)
    assert (result["mean"], result["iqm"]) == pytest.approx((np.mean(done), iqm(done)))
    expected = interval([(0.5, window), (0.5, drawer)])  # a sequence weighs by its seeds
    assert tuple(result[f"mean{end}"] for end in ("", "_low", "_high")) == pytest.approx(expected)
    assert summary([0.1, 0.2, 0.3, np.nan, 0.4], repeats=50)["indicative"]  # 4 of 5
    one_gone = summary([[0.1, 0.2], [np.nan, np.nan]], repeats=50)  # a sequence without a finished seed
    assert (one_gone["finished"], one_gone["seeds"], one_gone["indicative"]) == (2, 4, True)
    assert np.isnan([one_gone[name] for name in ("mean", "mean_low", "mean_high", "iqm")]).all()


def test_there_is_no_interquartile_mean_of_three():
    assert np.isnan(summary([0.1, 0.2, 0.6])["iqm"]) and summary([0.1, 0.2, 0.6, np.nan, 0.3])["iqm"] == pytest.approx(
        0.25
    )
