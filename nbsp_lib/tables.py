"""The main table: from a Study to one number a seed and metric, and from these to one row an arm.

Every number comes from metrics.py; here the arms are put side by side, k of n beside each.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from . import metrics
from .performance import BOUNDED
from .results import performances

METRICS = ("ASR", "FM", "plasticity", "CW forward transfer", "Chaudhry FM")
MATRIX = {
    "ASR": metrics.asr,
    "FM": metrics.forgetting,
    "plasticity": metrics.plasticity,
    "Chaudhry FM": metrics.chaudhry_forgetting,
}


def first_visit(curves, seeds, task, position, column):
    """Success on a task while it is trained for the first time: steps [T] from 0, values [P, T]; NaN if not finished.

    Step 0 of a later position is the last evaluation of the position before.
    """
    rows = curves[curves.task == task]
    here = rows[rows.position == position].pivot_table(index="step", columns="seed", values=column)
    if position > 1:
        before = rows[rows.position == position - 1].sort_values("step").groupby("seed")[column].last()
        here = pd.concat([before.to_frame(0).T, here[here.index > 0]])
    wanted = here.reindex(columns=list(seeds)).sort_index()
    return wanted.index.to_numpy(), wanted.to_numpy(dtype=float).T


def transfer(study, arm, column="success"):
    """Continual World's forward transfer of one arm -> [P]; NaN where a reference, a step or a seed is lacking.

    Reference: the mean over the seeds of that task trained alone (metrics.forward_transfer).
    """
    nothing, curves, references = np.full(len(study.seeds), np.nan), [], []
    for task in study.names:
        if task not in study.references:
            return nothing
        alone = study.references[task]
        seeds = [seed for seed in alone.run["seeds"] if alone.finished(seed)]
        steps, reference = first_visit(alone.curves, seeds, task, 1, column)
        at, values = first_visit(study.results[arm].curves, study.seeds, task, study.tasks.index(task) + 1, column)
        if not seeds or not np.array_equal(at, steps):
            return nothing
        curves.append(values)
        references.append(reference.mean(0))
    result = nothing.copy()
    whole = np.isfinite(np.stack(curves, axis=1)).all((1, 2))
    if whole.any() and np.isfinite(references).all():
        result[whole] = metrics.forward_transfer(
            steps, np.stack(curves, axis=1)[whole], np.stack(references), bounded=study.unit in BOUNDED
        )
    return result


def per_seed(study, column="success", positions=None):
    """One number a seed and metric: columns arm, seed, metric, value; NaN where the seed has not got that far.

    column: success (at any step) or success_last; positions: only the first so many positions of the sequence.
    """
    tables, order = performances(study, column)
    order = order[: positions or len(order)]
    M, rows = order.max() + 1, []  # distinct tasks are numbered by first visit
    for arm, R in tables.items():
        whole = np.isfinite(R[:, : len(order), :M]).all((1, 2))  # one k of n for all metrics of an arm
        for metric in METRICS:
            try:
                values = (
                    MATRIX[metric](R[:, : len(order), :M], order) if metric in MATRIX else transfer(study, arm, column)
                )
            except ValueError:  # not defined with one task or one position
                values = np.full(len(study.seeds), np.nan)
            rows += [
                {"arm": arm, "seed": seed, "metric": metric, "value": value}
                for seed, value in zip(study.seeds, np.where(whole, values, np.nan), strict=True)
            ]
    return pd.DataFrame(rows, columns=["arm", "seed", "metric", "value"])


def main_table(study, values, repeats=10_000):
    """One row an arm asked for and metric: columns arm, metric, k, n, mean, iqm, low, high (of the mean), indicative.

    values: from per_seed. A missing arm has its rows too, with k = 0 and no numbers.
    """
    rows = []
    for arm in study.arms:
        for metric in METRICS:
            here = values[(values.arm == arm) & (values.metric == metric)].value.to_numpy(dtype=float)
            s = metrics.summary(here if len(here) else np.full(len(study.seeds), np.nan), repeats=repeats)
            rows.append(
                {
                    "arm": arm,
                    "metric": metric,
                    "k": s["finished"],
                    "n": s["seeds"],
                    "mean": s["mean"],
                    "iqm": s["iqm"],
                    "low": s["mean_low"],
                    "high": s["mean_high"],
                    "indicative": s["indicative"],
                }
            )
    return pd.DataFrame(rows)


def wide(table):
    """The table to read: a row an arm; a cell says mean / IQM [interval], * = indicative (below five seeds)."""

    def cell(row):
        if not np.isfinite(row["mean"]):
            return "–"
        interval = (
            f" [{row.low:.2f}, {row.high:.2f}]{'*' if row.indicative else ''}"
            if np.isfinite(row.low)
            else " [one seed]"
        )
        return f"{row['mean']:.2f} / {row.iqm:.2f}{interval}"

    lines = []
    for arm, rows in table.groupby("arm", sort=False):
        counts = rows[rows.metric == "ASR"].iloc[0]
        cells = {row.metric: cell(row) for _, row in rows.iterrows()}
        lines.append({"arm": arm, "seeds": f"{counts.k} of {counts.n}", **cells})
    return pd.DataFrame(lines, columns=["arm", "seeds", *METRICS])


def position_ends(rows):
    """Of plasticity rows those of the last evaluation of each position, the two critics of a seed averaged as "critics"."""
    last = rows[rows.step == rows.groupby(["arm", "seed", "position"]).step.transform("max")]
    last = last.assign(network=last.network.where(last.network == "actor", "critics")).drop(columns=["sequence", "total_step"])
    keys = ["arm", "seed", "position", "training_task", "step", "network"]
    return last.groupby(keys, sort=False, as_index=False).mean()


def gate(alone, column="success"):
    """Plain SAC on each task alone: columns task, seed, value, status, source; a row also where nothing was run.

    alone: {task: Result or None} (results.read_alone); value = mean of the last three evaluations (R.csv); source = the
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
                    "status": status,
                    "source": result.run["config"]["sequence"] if result else "",
                }
            )
    return pd.DataFrame(rows, columns=["task", "seed", "value", "status", "source"])
