"""Environment steps of each position of a run, and whether and when its task was mastered.

A run stops a position at mastery if its settings have `mastery`; other runs have a fixed budget of steps.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from nbsp_lib.core.budgets import at_position

NEVER = "not mastered"


def budget(train, position):
    """The most environment steps of a position (from 1) under the settings of a run.json: `steps` is one number or a list."""
    return at_position(train["steps"], position - 1)


def completed(R, curves, train):
    """R with the columns that runs of a fixed budget were shipped without, from their curves and settings.

    episodes: of the last three evaluations of the position together; steps: the budget; steps_to_mastery: NaN.
    """
    R = R.reindex(columns=[*R.columns, *(name for name in ("episodes", "steps", "steps_to_mastery") if name not in R)])
    keys = ["seed", "position", "task"]
    played = curves.sort_values("step", kind="stable").groupby(keys).tail(3).groupby(keys).episodes.sum()
    pooled = [played.get(row, np.nan) for row in R[keys].itertuples(index=False, name=None)]
    most = [budget(train, position) for position in R.position]
    known = {
        "episodes": R.episodes.fillna(pd.Series(pooled, R.index)),
        "steps": R.steps.fillna(pd.Series(most, R.index)),
    }
    return R.assign(**{name: values.astype(int) for name, values in known.items()})


def visit(curves, position, column):
    """The evaluations of one arm on one task in a position: a row a step from 0, a column a seed; NaN after a seed's end.

    Step 0 of a later position is the last evaluation of the position before.
    """
    here = curves[curves.position == position].pivot_table(index="step", columns="seed", values=column)
    if 0 not in here.index:
        before = curves[curves.position == position - 1].sort_values("step").groupby("seed")[column].last()
        here = pd.concat([before.reindex(here.columns).to_frame(0).T, here])
    return here


def spans(curves):
    """Where each position begins and ends in a picture: columns position, training_task, start, end, in environment steps.

    A position is as wide as it took the slowest seed of all arms, so that it begins at one place for all of them.
    """
    widest = curves.groupby(["position", "training_task"]).step.max().reset_index()
    end = widest.step.cumsum()
    return widest.assign(start=end - widest.step, end=end).drop(columns="step")


def traces(curves, positions, column):
    """Lines [(x, y) a seed], and (x, y) of their mean, of one arm on one task through `positions` (spans); NaN between them.

    A seed is drawn from the beginning of each position to its own end there; the mean to where the first seed ends, since
    beyond it would be of fewer seeds and jump.
    """
    seeds, mean = {seed: [] for seed in sorted(curves.seed.unique())}, []
    for span in positions.itertuples():
        wide = visit(curves, span.position, column)
        both = wide.dropna()
        mean.append((span.start + both.index.to_numpy(), both.mean(axis=1).to_numpy()))
        for seed in wide.columns:
            own = wide[seed].dropna()
            seeds[seed].append((span.start + own.index.to_numpy(), own.to_numpy()))
    return [joined(parts) for parts in seeds.values()], joined(mean)


def joined(parts):
    """Joins pieces (x, y) of a line, with a gap (NaN) after each."""
    x, y = (np.concatenate([np.append(np.asarray(piece[i], dtype=float), np.nan) for piece in parts]) for i in (0, 1))
    return x, y


def marks(curves, ends, positions, column):
    """Where seeds of one arm mastered a task: x and y [n] on their lines of the task in training.

    ends: rows of R, columns seed, position, training_task, task, steps_to_mastery.
    """
    own = ends[(ends.task == ends.training_task) & ends.steps_to_mastery.notna()]
    keys = ["seed", "position", "task"]
    at = own[[*keys, "steps_to_mastery"]].merge(curves, on=keys).query("step == steps_to_mastery")
    at = at.merge(positions[["position", "start"]], on="position")
    return (at.start + at.step).to_numpy(), at[column].to_numpy()


def ticks(positions):
    """Places and texts of ticks that count steps from the beginning of each position, at least 0."""
    if positions.empty:
        return [], []
    largest = (positions.end - positions.start).max()
    size = 10 ** np.floor(np.log10(largest / 2))
    gap = max(size * k for k in (1, 2, 5) if size * k <= largest / 2)
    places = [
        (span.start + step, step)
        for span in positions.itertuples()
        for step in np.arange(0, max(span.end - span.start - 0.4 * gap, 1), gap)
    ]
    return [x for x, _ in places], [f"{step / 1000:g}k" if step else "0" for _, step in places]


def stops(study):
    """Whether any run of a results.Study stops a position at mastery."""
    return any(result.run["config"]["train"].get("mastery") is not None for result in study.results.values())


def mastery_table(study):
    """One row an arm and position: columns arm, position, task, mastered (k), finished (n), median, beyond, success.

    k of the n seeds that finished the position mastered its task there. median: of the steps to mastery over these n seeds,
    where a seed that did not master the task comes after all that did. beyond: the median seed did not master it, and median
    is the least it can be (the steps taken without mastery, or with an even n the mean of the two middle seeds). success: R
    on the trained task after the position, mean over the n seeds: what is learned late or not at all is not plastic.
    """
    rows = []
    for arm in study.arms:
        R = study.results[arm].R if arm in study.results else study.table("R").iloc[:0]
        own = R[(R.status == "ok") & (R.task == R.training_task)]
        for position, task in enumerate(study.tasks, start=1):
            here = own[own.position == position]
            median, beyond = censored_median(here.steps_to_mastery, here.steps) if len(here) else (np.nan, False)
            rows.append(
                {
                    "arm": arm,
                    "position": position,
                    "task": task,
                    "mastered": int(here.steps_to_mastery.notna().sum()) if len(here) else 0,
                    "finished": len(here),
                    "median": median,
                    "beyond": beyond,
                    "success": here.success.mean() if len(here) else np.nan,
                }
            )
    return pd.DataFrame(rows)


def censored_median(reached, taken):
    """Median of `reached`, where NaN means later than `taken` and later than every number -> (median, whether only a bound)."""
    reached, taken = (np.asarray(values, dtype=float) for values in (reached, taken))
    order = np.lexsort((np.where(np.isnan(reached), taken, reached), np.isnan(reached)))
    middle = order[(len(order) - 1) // 2 : len(order) // 2 + 1]
    values = np.where(np.isnan(reached), taken, reached)[middle]
    return float(values.mean()), bool(np.isnan(reached[middle]).any())


def mastery_wide(table):
    """The table to read: a row an arm with a seed, a column a position; a cell says median steps (k of n), success there."""

    def cell(row):
        if not row.finished:
            return "–"
        steps = f"{'> ' if row.beyond else ''}{row.median:,.0f}" if row.mastered else NEVER
        return f"{steps} ({row.mastered} of {row.finished}), {row.success:.2f}"

    lines = [
        {"arm": arm} | {f"{row.position}: {row.task}": cell(row) for row in rows.itertuples()}
        for arm, rows in table.groupby("arm", sort=False)
        if rows.finished.any()
    ]
    return pd.DataFrame(lines)
