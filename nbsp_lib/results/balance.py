"""Stability beside plasticity, all arms in one figure: what is kept, what is learned, and how many steps learning takes.

Steps to mastery are read where a position stops at mastery. Position 1 is left out: arms differ only after it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from nbsp_lib.results.figures import DARK, PALETTE, folded, name_panel, panels
from nbsp_lib.results.intervals import cut, interval
from nbsp_lib.results.positions import budget
from nbsp_lib.results.tables import RETENTION

STEPS = "steps to mastery"
PANELS = {  # metric: what its panel says, its colour
    RETENTION: ("kept: relative retention", PALETTE[0]),
    "plasticity": ("learned: plasticity", PALETTE[1]),
    STEPS: ("speed: steps to mastery", PALETTE[2]),
}


def seed_steps(study):
    """One row an arm and seed that finished all positions of a results.Study: columns arm, seed, steps, late, most.

    steps: mean over positions 2 to K of the environment steps to mastery, where a position without mastery counts its whole
    budget; late: in how many of them that is so (then steps is a lower bound); most: the mean of the budgets.
    """
    rows, K = [], len(study.tasks)
    for arm, result in study.results.items():
        R = result.R[(result.R.status == "ok") & (result.R.task == result.R.training_task) & (result.R.position > 1)]
        most = {position: budget(result.run["config"]["train"], position) for position in range(2, K + 1)}
        for seed, own in R.groupby("seed"):
            if K < 2 or result.finished(seed) < K:
                continue
            reached = own.steps_to_mastery.fillna(own.position.map(most)).astype(float)
            late = int(own.steps_to_mastery.isna().sum())
            rows.append(
                {
                    "arm": arm,
                    "seed": int(seed),
                    "steps": reached.mean(),
                    "late": late,
                    "most": np.mean(list(most.values())),
                }
            )
    return pd.DataFrame(rows, columns=["arm", "seed", "steps", "late", "most"])


def steps_table(rows):
    """One row an arm of seed_steps: columns arm, n, late (seeds that did not master every position), mean, low, high (95 %
    interval of intervals.interval, cut to 0 and the budget), indicative (below five seeds)."""
    lines = []
    for arm, own in rows.groupby("arm", sort=False):
        mean, low, high = interval([(1.0, own.steps.to_numpy(dtype=float))])
        low, high = cut((low, high), 0, own.most.max())
        late = int((own.late > 0).sum())
        lines.append(
            {
                "arm": arm,
                "n": len(own),
                "late": late,
                "mean": mean,
                "low": low,
                "high": high,
                "indicative": len(own) < 5,
            }
        )
    return pd.DataFrame(lines, columns=["arm", "n", "late", "mean", "low", "high", "indicative"])


def balance_figure(values, table, steps, steps_means, arms, title):
    """A row an arm, the one that keeps most above; a panel each for relative retention, plasticity and steps to mastery.

    Point: a seed, hollow, or filled where it did not master every position; tick: the mean; line: its 95 % interval, dotted where
    indicative. values, table: of tables.per_seed and tables.main_table; steps, steps_means: of seed_steps and steps_table.
    """
    arms, missing = folded(arms, set(table[table.k > 0].arm), 110)
    kept = table[table.metric == RETENTION].set_index("arm")["mean"].reindex(arms)
    arms = list(kept.sort_values(ascending=False, kind="stable").index)
    figure, axes = panels(1, len(PANELS), 3.2, 0.9 + 0.27 * max(len(arms), 3), title, sharey=True)
    counts = table.drop_duplicates("arm").set_index("arm")
    for ax, (metric, (text, colour)) in zip(axes[0], PANELS.items(), strict=True):
        name_panel(ax, text)
        ax.grid(axis="y", color="#eeeeee", lw=0.8)
        ax.set_axisbelow(True)
        if metric == STEPS:
            points, means = steps.assign(value=steps.steps), steps_means
        else:
            points, means = values[values.metric == metric].assign(late=0), table[table.metric == metric]
        for y, arm in enumerate(arms):
            own, row = points[points.arm == arm].dropna(subset="value"), means[means.arm == arm]
            fill = [colour if late else "none" for late in own.late]
            ax.scatter(own.value, [y] * len(own), s=20, facecolor=fill, edgecolor=colour, lw=0.9, zorder=3)
            if len(row) and np.isfinite(row["mean"].iloc[0]):
                row = row.iloc[0]
                ax.plot([row.low, row.high], [y, y], color=DARK, lw=1.2, ls=":" if row.indicative else "-", zorder=2)
                ax.plot(row["mean"], y, "|", color=DARK, ms=11, mew=2, zorder=4)
    for ax in axes[0, :2]:
        ax.set_xlim(-0.04, 1.1)  # a ratio may lie above one; a longer interval leaves the panel
    if len(steps):
        axes[0, 2].set_xlim(0, 1.04 * steps.most.max())
    axes[0, 2].xaxis.set_major_formatter(lambda step, _: f"{step / 1000:g}k" if step else "0")
    axes[0, 0].set_yticks(range(len(arms)), [f"{arm}  {counts.k[arm]}/{counts.n[arm]}" for arm in arms], fontsize=8)
    axes[0, 0].set_ylim(len(arms) - 0.4, -0.6)
    note = (
        "point: a seed, filled: not every task was mastered within its budget, which then counts; tick: the mean; "
        "line: 95 % interval,\ndotted below five seeds; beside an arm: seeds finished of seeds wanted"
    )
    figure.supxlabel(f"{note}\n{missing}".strip(), fontsize=7.5)
    return figure
