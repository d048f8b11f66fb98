"""Intervals of a sum of means of independent samples, by the rules of data/verdict_rules.md (2026-11-27).

Every interval of the tables is of this kind: one sample (a mean), two with opposite signs (two arms that do not share their
start), several sequences, or an arm with the runs that it is compared with.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from scipy import stats

LEVEL = 0.95
RESAMPLES = 20  # seeds in every sample from which on the bootstrap is used


def interval(parts, level=LEVEL, repeats=10_000, seed=0):
    """Returns (estimate, low, high) of Σ c · mean(x), for independent samples, parts = [(c, x [n])].

    Below 20 values in any sample: estimate ± t √V with V = Σ c² s²/n and Welch-Satterthwaite's degrees of freedom
    V² / Σ ((c² s²/n)² / (n − 1)): Student's t for one sample, Welch's for two. From 20 on: percentile bootstrap, each sample
    resampled by itself, from a fixed stream. NaN bounds if a sample has one value, all NaN if a value is NaN or parts is empty.
    """
    samples = [(c, np.sort(np.asarray(x, dtype=float))) for c, x in parts]  # sorted: the order of seeds changes nothing
    if not samples or any(np.ndim(x) != 1 or not len(x) or np.isnan(x).any() for _, x in samples):
        return math.nan, math.nan, math.nan
    estimate = float(sum(c * x.mean() for c, x in samples))
    least = min(len(x) for _, x in samples)
    if least < 2:
        return estimate, math.nan, math.nan
    if least >= RESAMPLES:
        low, high = resampled(samples, level, repeats, seed)
        return estimate, low, high
    variances = np.array([c**2 * x.var(ddof=1) / len(x) for c, x in samples])
    total = variances.sum()
    if total == 0:
        return estimate, estimate, estimate
    freedom = total**2 / sum(v**2 / (len(x) - 1) for v, (_, x) in zip(variances, samples, strict=True))
    half = float(stats.t.ppf((1 + level) / 2, freedom) * math.sqrt(total))
    return estimate, estimate - half, estimate + half


def resampled(samples, level, repeats, seed):
    """Returns (low, high) of the percentile bootstrap; samples as parts of `interval`."""
    weights = [c for c, _ in samples]
    statistic = lambda *drawn, axis: sum(c * x.mean(axis) for c, x in zip(weights, drawn, strict=True))
    made = stats.bootstrap(
        [x for _, x in samples],
        statistic,
        n_resamples=repeats,
        confidence_level=level,
        vectorized=True,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(made.low), float(made.high)


def sign_flip(values):
    """Returns the exact two-sided p that differences [n] are symmetric about 0: the share of all 2^n choices of their signs
    whose mean is at least as far from 0 as theirs. At least 2 / 2^n; NaN without values."""
    values = np.asarray(values, dtype=float)
    if not len(values):
        return math.nan
    signs = np.array(list(itertools.product((1, -1), repeat=len(values))))  # [2^n, n]
    return float((np.abs(signs @ values) >= abs(values.sum()) - 1e-9).mean())


def cut(bounds, lowest, highest):
    """Returns bounds (low, high) cut to the range that the number can have; NaN stays NaN."""
    return tuple(float(x) for x in np.clip(bounds, lowest, highest))
