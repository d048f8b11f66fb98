"""Numbers from a table of performances: arrays in, arrays out, no files.

R [P, K, M] is the performance of seed p on distinct task m after position k (success rate in [0, 1], or a normalised
return), order [K] the distinct task trained at each position (from 0). Formulas are written 1 … K, as in the paper.
NaN = not finished or diverged: it makes that seed's number NaN, and no other's, and any statistic over it. Only
`summary` sets such seeds aside, and it returns k of n. Shapes that do not fit raise ValueError.
"""

import numpy as np

from nbsp_lib.results.intervals import interval


def R_array(frame, seeds, tasks, column="success"):
    """The table R and its order, from the rows of R.csv.

    frame: columns seed, position (from 1), training_task, task, status, `column`; seeds: those wanted, in this order;
    tasks: one name per position -> R [P, K, M] float64, order [K] int; distinct tasks in order of first visit.
    NaN where a row is missing or its status is `diverged` (its numbers are of the network kept from before).
    ValueError: a missing column, a row twice, a name or position that is not in `tasks`, an unknown status.
    """
    seeds, tasks, met = list(seeds), list(tasks), set()
    names = list(dict.fromkeys(tasks))
    needed = ["seed", "position", "training_task", "task", "status", column]
    if not {*needed} <= {*frame.columns} or not seeds or not tasks or len({*seeds}) < len(seeds):
        raise ValueError(f"need columns {needed}, seeds (none twice), tasks; got {[*frame.columns]}, {seeds}, {tasks}")
    R = np.full((len(seeds), len(tasks), len(names)), np.nan)  # [P, K, M]
    for seed, position, trained, task, status, value in zip(*(frame[name].to_numpy() for name in needed), strict=True):
        row = (seed, position, task)
        if position not in range(1, len(tasks) + 1) or task not in names or trained != tasks[int(position) - 1]:
            raise ValueError(f"R.csv, {row}, trained on {trained}: does not belong to the sequence {tasks}")
        if row in met or status not in ("ok", "diverged"):
            raise ValueError(f"R.csv, {row}: appears twice, or its status {status!r} is neither ok nor diverged")
        met.add(row)
        if seed in seeds and status == "ok":
            R[seeds.index(seed), int(position) - 1, names.index(task)] = value
    return R, np.array([names.index(task) for task in tasks])  # [P, K, M], [K]


def _table(R, order):
    R, order = np.asarray(R, dtype=float), np.asarray(order)
    if R.ndim != 3 or 0 in R.shape:
        raise ValueError(f"R must be [P, K, M] and not empty, got shape {R.shape}")
    if order.shape != R.shape[1:2] or order.dtype.kind not in "iu" or set(order.tolist()) != set(range(R.shape[2])):
        raise ValueError(f"order must be {R.shape[1]} integers that cover 0 … {R.shape[2] - 1}, got {order.tolist()}")
    return R, order


def asr(R, order):
    """ASR = mean_τ R[K, τ], the average success rate at the end, over distinct tasks -> [P].
    Source: the NBSP paper by name; that a task visited twice counts once is our reading."""
    return _table(R, order)[0][:, -1].mean(-1)  # [P]


def plasticity(R, order):
    """mean_i R[i, τ_i], what was learned where it was trained, over all positions, revisits too -> [P].
    Source: ours; shown wherever forgetting is, since what was never learned cannot be forgotten."""
    R, order = _table(R, order)
    return R[:, np.arange(len(order)), order].mean(-1)  # [P]


def forgetting(R, order):
    """FM = mean over (i, τ) of max_{f(τ) ≤ l < i} R[l, τ] − R[i, τ] -> [P], in [-1, 1] for success rates.

    The pairs: every position i ≥ 2 with every distinct τ ≠ τ_i first visited at an f(τ) < i; all pairs weigh the same.
    The maximum starts at the first visit: luck or transfer before it was not learned, so it cannot be forgotten.
    Negative = better than ever before. ValueError without such a pair. Source: ours, for the FM the NBSP paper names.
    """
    R, order = _table(R, order)
    return np.mean([best - R[:, i, task] for i, task, best in _bests(R, order)], axis=0)  # [P]


def relative_retention(R, order, known=0.5):
    """Returns (mean over pairs of R[i, τ] / max_{f(τ) ≤ l < i} R[l, τ] -> [P], how many pairs that was [P]).

    Of the pairs (i, τ) of `forgetting` those whose best earlier value is at least `known`: what was never learned is in no
    pair, so not learning is not rewarded, as it is by FM. NaN and 0 where a seed has no such pair or is not finished. Source:
    ours."""
    R, order = _table(R, order)
    shares, used = [], []
    for i, task, best in _bests(R, order):
        counts = best >= known  # [P], False for NaN
        shares.append(np.where(counts, R[:, i, task] / np.where(counts, best, 1.0), 0.0))
        used.append(counts)
    total = np.where(np.isnan(R).any((1, 2)), 0, np.sum(used, axis=0))  # [P]
    return np.where(total > 0, np.sum(shares, axis=0) / np.maximum(total, 1), np.nan), total


def pairs_of(order):
    """Returns the pairs (i, τ) of forgetting, both from 0: every position with every other task that was trained before it."""
    order = np.asarray(order).tolist()
    return [(i, task) for i in range(1, len(order)) for task in sorted({*order[:i]} - {order[i]})]


def _bests(R, order):
    """The pairs (i, τ) with the best earlier value since the first visit: [(i, τ, [P])]. ValueError without a pair."""
    pairs = pairs_of(order)
    if not pairs:
        raise ValueError(f"forgetting needs a position after another task's, got order {order.tolist()}")
    return [(i, task, R[:, np.argmax(order == task) : i, task].max(-1)) for i, task in pairs]


def chaudhry_forgetting(R, order):
    """F = mean_τ (max_{l < K} R[l, τ] − R[K, τ]), over distinct tasks other than τ_K -> [P].
    Source: Chaudhry et al. 2018 (Riemannian Walk), F_K; as there, the maximum takes every l < K, also before τ's first
    visit. Departure: tasks repeat, so τ runs over distinct tasks. ValueError with a single task."""
    R, order = _table(R, order)
    others = np.arange(R.shape[2]) != order[-1]  # [M]
    if not others.any():
        raise ValueError("forgetting at the end needs a task besides the last one trained")
    return (R[:, :-1, others].max(1) - R[:, -1, others]).mean(-1)  # [P]


def forward_transfer(steps, curves, reference, bounded=True):
    """Continual World's forward transfer: mean_τ (AUC_τ − AUC_ref_τ) / (1 − AUC_ref_τ) -> [P], at most 1.

    AUC = (1/Δ) ∫_0^Δ success d(step), trapezoids. A seed stopped at mastery after T < Δ steps keeps its pooled result R up to
    the budget: AUC = (1/Δ) (∫_0^T success d(step) + (Δ − T) R), method and reference alike (tables.first_visit). steps [T]
    environment steps inside the position, from 0 (the value there: the last evaluation of the position before) to Δ; curves
    [P, M, T] success on each task handed in, during its first visit; reference, the same task trained alone: [M, T] its mean
    over seeds (as in Continual World's tables; a NaN makes every seed NaN), or [P, M, T] paired by seed. AUC_ref = 1 leaves
    nothing to gain: undefined, NaN.
    ValueError outside [0, 1]. bounded False: of a performance without an upper bound, mean_τ (AUC_τ − AUC_ref_τ), ours.
    Source: Wołczyk et al. 2021; their code takes the plain mean of evaluations as AUC.
    """
    steps, curves, reference = (np.asarray(x, dtype=float) for x in (steps, curves, reference))
    if steps.ndim != 1 or len(steps) < 2 or steps[0] != 0 or not (np.diff(steps) > 0).all():
        raise ValueError(f"steps must be [T], rising from 0, at least two, got {steps}")
    fits = curves.ndim == 3 and 0 not in curves.shape and curves.shape[2] == len(steps)
    if not fits or reference.shape not in (curves.shape, curves.shape[1:]):
        raise ValueError(f"need curves [P, M, {len(steps)}] and reference alike, got {curves.shape}, {reference.shape}")
    if bounded and any((x < 0).any() or (x > 1).any() for x in (curves, reference)):
        raise ValueError("success must lie in [0, 1]")
    own, base = (area(steps, x) for x in (curves, reference))  # [P, M], [P, M] or [M]
    # the weights sum to 1 only to rounding
    room = np.where(1 - base > 1e-12, 1 - base, np.nan) if bounded else 1.0
    return ((own - base) / room).mean(-1)  # [P]


def area(steps, values):
    """Returns the AUC of forward_transfer: the mean height of curves [..., T] over steps [T] from 0, by trapezoids -> [...]."""
    weight = np.diff(steps) / steps[-1]  # [T-1]
    return ((values[..., 1:] + values[..., :-1]) / 2 * weight).sum(-1)


def transfer_spread(own, alone, bounded=True):
    """Returns what forward_transfer varies by the seeds of the references, parts of intervals.interval whose means are 0.

    own [M]: mean AUC of the arm on each task; alone: [S_τ] a task, AUC of the seeds of its reference, of mean r. To first order
    (own − r) / (1 − r) changes by −(1 − own) / (1 − r)² per r, unbounded by −1. Source: ours (the delta method).
    """
    slopes = [(a - 1) / (1 - x.mean()) ** 2 if bounded else -1.0 for a, x in zip(own, alone, strict=True)]
    return [(slope / len(slopes), x - x.mean()) for slope, x in zip(slopes, alone, strict=True)]


def iqm(x, axis=None):
    """Interquartile mean: sort, drop floor(n/4) values at each end, mean of the rest; axis=None pools everything.
    n not divisible by 4: whole values are dropped, rounded down, none gets a fractional weight. So below 4 values it is
    the mean, and of 5 values the middle three. NaN if any value is, ValueError if empty.
    Source: rliable (Agarwal et al. 2021), scipy.stats.trim_mean(x, proportiontocut=0.25)."""
    x = np.sort(np.ravel(x) if axis is None else np.moveaxis(np.asarray(x), axis, -1), axis=-1)
    if x.size == 0:
        raise ValueError("the interquartile mean of nothing")
    cut = x.shape[-1] // 4
    middle = x[..., cut : x.shape[-1] - cut].mean(-1)
    return np.where(np.isnan(x[..., -1]), np.nan, middle)[()]  # NaN sorts last and would be cut off


def _strata(values):
    if isinstance(values, dict):
        values = [values[key] for key in sorted(values)]  # sorted, as seeds below: order changes no bootstrap
    elif isinstance(values, np.ndarray) or all(np.ndim(v) == 0 for v in values):
        values = [values]
    if not values or any(np.ndim(v) != 1 or len(v) == 0 for v in values):
        raise ValueError("values must be [P], or a dict or list of [P_s] per stratum, none empty")
    return [np.sort(np.asarray(v, dtype=float)) for v in values]


def _resample(strata, repeats, rng):
    if repeats < 1:
        raise ValueError(f"repeats must be at least 1, got {repeats}")
    return [v[rng.integers(len(v), size=(repeats, len(v)))] for v in strata]  # [repeats, P_s] each


def _interval(replicates, strata, level):
    known = all(len(v) > 1 and not np.isnan(v).any() for v in strata)  # one seed shows no spread
    return tuple(np.quantile(replicates, [(1 - level) / 2, (1 + level) / 2]).tolist()) if known else (np.nan, np.nan)


def stratified_bootstrap(values, statistic=iqm, repeats=10_000, seed=0, level=0.95):
    """A statistic over seeds and its percentile interval -> (point, low, high).

    values: [P], or a dict or list of [P_s] per stratum (sequence), one number per seed. Whole seeds are drawn with
    replacement inside their stratum, then pooled, so each seed weighs the same; statistic(x [repeats, n], axis=-1) ->
    [repeats], as np.mean, np.median and iqm do. low = high = NaN if a stratum has one seed; all NaN if a value is.
    With few seeds it is too narrow; of a skewed sample it need not contain the point. Source: rliable (see iqm)."""
    strata = _strata(values)
    drawn = np.concatenate(_resample(strata, repeats, np.random.default_rng(seed)), axis=1)  # [repeats, n]
    pooled = np.concatenate(strata)[None]  # [1, n]
    point, replicates = statistic(pooled, axis=-1), statistic(drawn, axis=-1)
    if np.shape(point) != (1,) or np.shape(replicates) != (repeats,):
        raise ValueError(f"statistic(x, axis=-1) must give one number per row, got shape {np.shape(replicates)}")
    return np.nan if np.isnan(pooled).any() else float(point[0]), *_interval(replicates, strata, level)


def summary(values, repeats=10_000, seed=0, level=0.95):
    """Returns what a table shows of one number per seed (strata as in stratified_bootstrap), a dict.
    finished (k), seeds (n); mean, mean_low, mean_high (intervals.interval) and iqm over the finished seeds, so show k of n
    beside them; indicative: True if a stratum has fewer than 5 finished seeds. iqm is NaN below 4 seeds: there it is the mean.
    A stratum without a finished seed makes the numbers NaN: no sequence is left out silently."""
    strata = _strata(values)
    done = [v[~np.isnan(v)] for v in strata]
    k = sum(map(len, done))
    whole = all(map(len, done))
    parts = [(len(v) / k, v) for v in done] if whole else []
    return {
        "finished": k,
        "seeds": sum(map(len, strata)),
        "indicative": min(map(len, done)) < 5,
        **dict(zip(("mean", "mean_low", "mean_high"), interval(parts, level, repeats, seed), strict=True)),
        "iqm": float(iqm(np.concatenate(done))) if whole and k >= 4 else np.nan,
    }
