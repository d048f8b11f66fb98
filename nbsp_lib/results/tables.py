"""The main table: from a Study to one number a seed and metric, and from these to one row an arm.

Every number comes from metrics.py; here the arms are put side by side, k of n beside each.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from nbsp_lib.envs.performance import BOUNDED
from nbsp_lib.results import metrics
from nbsp_lib.results.positions import budget, visit
from nbsp_lib.results.study import performances

METRICS = ("ASR", "FM", "plasticity", "CW forward transfer", "Chaudhry FM")
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
    at = result.R[(result.R.task == task) & (result.R.position == position) & (result.R.status == "ok")].set_index("seed")
    values = np.full((len(seeds), len(steps)), np.nan)
    for p, seed in enumerate(seeds):
        own = wide[seed].dropna()
        if len(own) and seed in at.index:
            if own.index[-1] < most:
                own.iloc[-1] = at[column][seed]
            values[p] = np.interp(steps, own.index.to_numpy(dtype=float), own.to_numpy(dtype=float))
    return steps, values


def transfer(study, arm, column="success"):
    """Continual World's forward transfer of one arm -> [P]; NaN where a reference or a seed is lacking or budgets differ.

    Reference: the mean over the seeds of that task trained alone (metrics.forward_transfer). Where a position stops at
    mastery, curves of the arm and of the reference alike go on to the whole budget, see first_visit.
    """
    nothing, visits = np.full(len(study.seeds), np.nan), []
    for task in study.names:
        if task not in study.references:
            return nothing
        alone = study.references[task]
        seeds = [seed for seed in alone.run["seeds"] if alone.finished(seed)]
        steps, reference = first_visit(alone, seeds, task, 1, column)
        at, values = first_visit(study.results[arm], study.seeds, task, study.tasks.index(task) + 1, column)
        if not seeds or at[-1] != steps[-1]:
            return nothing
        visits.append((at / at[-1], values, steps / at[-1], reference.mean(0)))     # shares of the budget of that position
    steps = np.unique(np.concatenate([np.concatenate([at, theirs]) for at, _, theirs, _ in visits]))
    curves = [np.stack([np.interp(steps, at, own) for own in values]) for at, values, *_ in visits]
    references = [np.interp(steps, theirs, mean) for *_, theirs, mean in visits]
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
    """Plain SAC on each task alone: columns task, seed, value, steps_to_mastery, status, source; a row also if nothing was run.

    alone: {task: Result or None} (results.read_alone); value = the last three evaluations together (R.csv); source = the
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
