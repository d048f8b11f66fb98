"""The main table: from a Study to one number a seed and metric, and from these to one row an arm.

Every number comes from metrics.py; here the arms are put side by side, k of n beside each.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from nbsp_lib.envs.performance import BOUNDED
from nbsp_lib.results import metrics
from nbsp_lib.results.intervals import cut, interval
from nbsp_lib.results.positions import budget, visit
from nbsp_lib.results.study import performances

TRANSFER, SECOND, RETENTION = "CW forward transfer", "CW forward transfer, second task", "relative retention"
METRICS = ("ASR", "FM", RETENTION, "plasticity", TRANSFER, SECOND, "Chaudhry FM")
PICTURE = ("ASR", "FM", RETENTION, "plasticity", TRANSFER)  # those that fit side by side
# what each can be where performance lies in [0, 1]
RANGE = {
    "ASR": (0, 1),
    "plasticity": (0, 1),
    RETENTION: (0, np.inf),
    "FM": (-1, 1),
    "Chaudhry FM": (-1, 1),
    TRANSFER: (-np.inf, 1),
    SECOND: (-np.inf, 1),
}
MATRIX = {
    "ASR": metrics.asr,
    "FM": metrics.forgetting,
    "plasticity": metrics.plasticity,
    "Chaudhry FM": metrics.chaudhry_forgetting,
}


def first_visit(result, seeds, task, position, column):
    """Success on a task while it is trained for the first time: steps [T] from 0 to the whole budget, values [P, T].

    The last evaluation of a seed that ended before the budget is replaced by the pooled result R of the position, and that
    stays up to the budget: it is what the seed was stopped for, and one evaluation is a third of its episodes. NaN if not
    finished. Between evaluations a line is straight, so that seeds and runs may be evaluated at other steps.
    """
    most = budget(result.run["config"]["train"], position)
    wide = visit(result.curves[result.curves.task == task], position, column).reindex(columns=list(seeds))
    steps = np.union1d(wide.index.to_numpy(dtype=float), [most])
    at = result.R[(result.R.task == task) & (result.R.position == position) & (result.R.status == "ok")].set_index(
        "seed"
    )
    values = np.full((len(seeds), len(steps)), np.nan)
    for p, seed in enumerate(seeds):
        own = wide[seed].dropna()
        if len(own) and seed in at.index:
            if own.index[-1] < most:
                own.iloc[-1] = at[column][seed]
            values[p] = np.interp(steps, own.index.to_numpy(dtype=float), own.to_numpy(dtype=float))
    return steps, values


def first_visits(study, arm, column, tasks):
    """What forward transfer compares: steps [T] as shares of the budget, curves of the arm [P, M, T], and of each task alone
    [[S_τ, T], …]; None where a reference is lacking, budgets differ, or there are no tasks.

    Where a position stops at mastery, curves of the arm and of the reference alike go on to the whole budget, see first_visit.
    """
    visits = []
    for task in tasks:
        if task not in study.references:
            return None
        alone = study.references[task]
        seeds = [seed for seed in alone.run["seeds"] if alone.finished(seed)]
        steps, reference = first_visit(alone, seeds, task, 1, column)
        at, values = first_visit(study.results[arm], study.seeds, task, study.tasks.index(task) + 1, column)
        if not seeds or at[-1] != steps[-1]:
            return None
        visits.append((at / at[-1], values, steps / at[-1], reference))
    if not visits:
        return None
    steps = np.unique(np.concatenate([np.concatenate([at, theirs]) for at, _, theirs, _ in visits]))
    on = lambda at, curves: np.stack([np.interp(steps, at, own) for own in curves])
    curves = np.stack([on(at, own) for at, own, _, _ in visits], axis=1)  # [P, M, T]
    return steps, curves, [on(theirs, alone) for _, _, theirs, alone in visits]


def transfer(study, arm, column="success", tasks=None):
    """Continual World's forward transfer of one arm, of all tasks or of `tasks` -> [P]; NaN where a reference or a seed is
    lacking or budgets differ. Reference: the mean over the seeds of that task trained alone (metrics.forward_transfer).
    """
    result, found = (
        np.full(len(study.seeds), np.nan),
        first_visits(study, arm, column, study.names if tasks is None else tasks),
    )
    if found:
        steps, curves, alone = found
        references, whole = np.stack([each.mean(0) for each in alone]), np.isfinite(curves).all((1, 2))
        if whole.any() and np.isfinite(references).all():
            result[whole] = metrics.forward_transfer(steps, curves[whole], references, bounded=study.unit in BOUNDED)
    return result


def reference_parts(study, arm, column, tasks=None):
    """What the seeds of the references add to the interval of `transfer`, see metrics.transfer_spread; nothing without them."""
    found = first_visits(study, arm, column, study.names if tasks is None else tasks) if arm in study.results else None
    if not found:
        return []
    steps, curves, alone = found
    whole = np.isfinite(curves).all((1, 2))
    own = metrics.area(steps, curves[whole]).mean(0) if whole.any() else []
    return (
        metrics.transfer_spread(own, [metrics.area(steps, each) for each in alone], study.unit in BOUNDED)
        if len(own)
        else []
    )


def per_seed(study, column="success", positions=None):
    """One number a seed and metric: columns arm, seed, metric, value, pairs, of_pairs; NaN where the seed has not got that far.

    column: success (at any step) or success_last; positions: only the first so many positions of the sequence; pairs: of
    relative retention how many pairs its value is the mean of, of_pairs: of how many of FM.
    """
    tables, order = performances(study, column)
    order = order[: positions or len(order)]
    M, rows = order.max() + 1, []  # distinct tasks are numbered by first visit
    for arm, R in tables.items():
        seen = R[:, : len(order), :M]
        whole = np.isfinite(seen).all((1, 2))  # one k of n for all metrics of an arm
        for metric in METRICS:
            pairs, of = np.full(len(study.seeds), np.nan), np.nan
            try:
                if metric in (TRANSFER, SECOND):
                    values = transfer(study, arm, column, study.names[1:2] if metric == SECOND else study.names)
                elif metric == RETENTION:
                    values, pairs = metrics.relative_retention(seen, order)
                    of = len(metrics.pairs_of(order))
                else:
                    values = MATRIX[metric](seen, order)
            except ValueError:  # not defined with one task or one position
                values = np.full(len(study.seeds), np.nan)
            values, pairs = (np.where(whole, numbers, np.nan) for numbers in (values, pairs))
            rows += [
                {"arm": arm, "seed": seed, "metric": metric, "value": value, "pairs": count, "of_pairs": of}
                for seed, value, count in zip(study.seeds, values, pairs, strict=True)
            ]
    return pd.DataFrame(rows, columns=["arm", "seed", "metric", "value", "pairs", "of_pairs"])


def main_table(study, values, repeats=10_000, column="success"):
    """One row an arm asked for and metric: columns arm, metric, k, n, mean, iqm, low, high (of the mean), indicative, pairs,
    of_pairs.

    values: from per_seed, with the same column. A missing arm has its rows too, with k = 0 and no numbers. low, high: see
    intervals.interval; those of forward transfer hold the seeds of its references too. pairs: see per_seed, summed over seeds
    that finished.
    """
    rows = []
    for arm in study.arms:
        for metric in METRICS:
            own = values[(values.arm == arm) & (values.metric == metric)]
            counted = own[own.pairs.notna()]
            here = own.value.to_numpy(dtype=float) if len(own) else np.full(len(study.seeds), np.nan)
            s = metrics.summary(here, repeats=repeats)
            bounds = s["mean_low"], s["mean_high"]
            if metric in (TRANSFER, SECOND) and s["finished"]:
                more = reference_parts(study, arm, column, study.names[1:2] if metric == SECOND else study.names)
                bounds = interval([(1.0, here[np.isfinite(here)]), *more], repeats=repeats)[1:]
            low, high = cut(bounds, *RANGE[metric]) if study.unit in BOUNDED else bounds
            rows.append(
                {
                    "arm": arm,
                    "metric": metric,
                    "k": s["finished"],
                    "n": s["seeds"],
                    "mean": s["mean"],
                    "iqm": s["iqm"],
                    "low": low,
                    "high": high,
                    "indicative": s["indicative"],
                    "pairs": counted.pairs.sum() if len(counted) else np.nan,
                    "of_pairs": counted.of_pairs.sum() if len(counted) else np.nan,
                }
            )
    return pd.DataFrame(rows)


def wide(table):
    """The table to read: a row an arm; a cell says mean / IQM [interval], without the IQM below four seeds, * = indicative (below
    five seeds); pairs: over how many pairs of position and task relative retention is."""

    def cell(row):
        if not np.isfinite(row["mean"]):
            return "–"
        bounds = (
            f" [{row.low:.2f}, {row.high:.2f}]{'*' if row.indicative else ''}"
            if np.isfinite(row.low)
            else " [one seed]"
        )
        return f"{row['mean']:.2f}" + (f" / {row.iqm:.2f}" if np.isfinite(row.iqm) else "") + bounds

    lines = []
    for arm, rows in table.groupby("arm", sort=False):
        counts = rows[rows.metric == "ASR"].iloc[0]
        cells = {row.metric: cell(row) for _, row in rows.iterrows()}
        counted = rows.dropna(subset=["pairs"])
        pairs = f"{counted.pairs.iloc[0]:.0f} of {counted.of_pairs.iloc[0]:.0f}" if len(counted) else "–"
        lines.append({"arm": arm, "seeds": f"{counts.k} of {counts.n}", **cells, "pairs": pairs})
    return pd.DataFrame(lines, columns=["arm", "seeds", *METRICS, "pairs"])


def position_ends(rows):
    """Of plasticity rows those of the last evaluation of each position, the two critics of a seed averaged as "critics"."""
    last = rows[rows.step == rows.groupby(["arm", "seed", "position"]).step.transform("max")]
    last = last.assign(network=last.network.where(last.network == "actor", "critics")).drop(
        columns=["sequence", "total_step"]
    )
    keys = ["arm", "seed", "position", "training_task", "step", "network"]
    return last.groupby(keys, sort=False, as_index=False).mean()


def gate(alone, column="success"):
    """Plain SAC on each task alone: columns task, seed, value, steps_to_mastery, status, source; a row also if nothing was run.

    alone: {task: Result or None} (study.read_alone); value = the last three evaluations together (R.csv); source = the
    sequence that was trained: the task itself, or one that begins with it.
    """
    rows = []
    for task, result in alone.items():
        for seed in result.run["seeds"] if result else [None]:
            here = result.R[(result.R.seed == seed) & (result.R.task == task)] if result else ()
            status = here.status.iloc[0] if len(here) else "not finished" if result else "not run"
            rows.append(
                {
                    "task": task,
                    "seed": seed,
                    "value": here[column].iloc[0] if status == "ok" else np.nan,
                    "steps_to_mastery": here.steps_to_mastery.iloc[0] if status == "ok" else np.nan,
                    "status": status,
                    "source": result.run["config"]["sequence"] if result else "",
                }
            )
    return pd.DataFrame(rows, columns=["task", "seed", "value", "steps_to_mastery", "status", "source"])
