"""One function a figure: arrays and DataFrames in, a matplotlib Figure out, no reading and no writing.

The title is given by the caller, who knows the profile and the number of seeds (Study.title). Colours and panels: style.py.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import seaborn as sns

from nbsp_lib.envs.performance import BOUNDED, SUCCESS
from nbsp_lib.results.notes import reached
from nbsp_lib.results.positions import marks, spans, ticks, traces
from nbsp_lib.results.style import (
    DARK,
    FEW,
    GREY,
    MISSING,
    PALETTE,
    TASK_COLOURS,
    folded,
    name_panel,
    name_rows,
    panels,
    say,
)


def learning_curves(curves, arms, tasks, title, column="success", unit=SUCCESS, ends=None):
    """Success, or what else the `unit` of `column` is, on every task through the cycle: a panel an arm, a colour a task, a
    thin line a seed, a thick one the mean.

    curves: columns arm, seed, position, training_task, step, task and `column` (share of episodes, 0..1); arms, tasks: names
    in the order wanted; ends: rows of R, whose steps_to_mastery are marked. Every position begins at one place and is as
    wide as the slowest seed of all arms; a seed's line ends where the seed does, the mean (of the seeds that got that far)
    where the first of them does. The background carries the colour of the task that is being trained.
    """
    arms, missing = folded(arms, set(curves.arm), 120)
    columns = 1 if len(arms) <= FEW else 2
    figure, axes = panels(math.ceil(len(arms) / columns), columns, 9.5 / columns, 1.2, title, sharex=True, sharey=True)
    colour = dict(zip(tasks, TASK_COLOURS, strict=False))
    positions, mastered = spans(curves), pd.Series(dtype=bool) if ends is None else ends.steps_to_mastery.notna()
    for index, ax in enumerate(axes.flat):
        ax.set_visible(index < len(arms))
        for span in positions.itertuples():
            ax.axvspan(span.start, span.end, color=colour[span.training_task], alpha=0.10, lw=0)
            if index < columns:
                ax.text(
                    (span.start + span.end) / 2,
                    1.02 if columns == 1 or span.position % 2 else 1.14,  # narrow panels: on two lines
                    f"{span.position}: {span.training_task}",
                    transform=ax.get_xaxis_transform(),
                    fontsize=8 if columns == 1 else 6.5,
                    ha="center",
                    va="bottom",
                    color=colour[span.training_task],
                    fontweight="bold",
                )
    for ax, arm in zip(axes.flat, arms, strict=False):
        here = curves[curves.arm == arm]
        counted = f"{arm}\n{here.seed.nunique()} seeds" if len(here) else arm
        ax.text(1.01, 0.5, counted, transform=ax.transAxes, va="center", fontsize=9 if columns == 1 else 8, color=DARK)
        if here.empty:
            say(ax, MISSING)
        for task in tasks if len(here) else ():
            seeds, mean = traces(here[here.task == task], positions, column)
            for line in seeds:
                ax.plot(*line, color=colour[task], lw=0.6, alpha=0.45)
            ax.plot(*mean, color=colour[task], lw=1.8, label=task)
            if mastered.any():
                shown = ends[(ends.arm == arm) & (ends.task == task)]
                ax.scatter(
                    *marks(here, shown, positions, column),
                    s=14,
                    color=colour[task],
                    edgecolor="white",
                    lw=0.5,
                    zorder=3,
                )
    if unit in BOUNDED:
        axes[0, 0].set_ylim(-0.05, 1.05)
        axes[0, 0].set_yticks([0, 0.5, 1])
    axes[0, 0].margins(x=0)
    axes[0, 0].set_xticks(*ticks(positions))
    dots = (
        "; dot: the seed has mastered the task and goes on; thick: the mean, until the first does"
        if mastered.any()
        else ""
    )
    figure.supxlabel(f"environment steps of one seed in each position{dots}\n{missing}".strip(), fontsize=8)
    step = f" at {'the last' if column == 'success_last' else 'any'} step" if unit == SUCCESS else ""
    figure.supylabel(unit + step, fontsize=8)
    return figure


def r_matrix(results, arms, tasks, order, title, unit=SUCCESS):
    """Heat map of R[i, task]: a row an arm, a column a (position, task); framed = the task just trained.

    results: {arm: R [P, K, M]} with NaN where a seed has not finished; tasks: the M distinct names; order [K]: the index
    of the task trained at each position. Cells are means over the seeds that got that far; grey = nothing there. unit: of R;
    shades of what has no bounds run from 0 to the largest cell of its task.
    """
    K, M = len(order), len(tasks)
    arms, missing = folded(arms, results, 80)
    width = max(6.0, 1.6 + 0.62 * K * M)
    figure, axes = panels(1, 1, width, 1.6 + 0.42 * len(arms), title)
    ax = axes[0, 0]
    empty = np.full((1, K, M), np.nan)
    mean = np.stack([_nan_mean(results.get(arm, empty)) for arm in arms])  # [arms, K, M]
    got = {arm: reached(np.isfinite(R).all(2).sum(0), len(R)) for arm, R in results.items()}
    labels = [f"{arm}, {got.get(arm, MISSING)}" for arm in arms]
    table = pd.DataFrame(mean.reshape(len(arms), K * M), index=labels)
    if unit in BOUNDED:
        shade = table
    else:  # one task's returns may be ten times another's
        best = np.nanmax(np.where(np.isfinite(mean), mean, 0), axis=(0, 1))  # [M]
        shade = table / np.tile(np.maximum(best, 1e-9), K)
    sns.heatmap(
        shade,
        ax=ax,
        vmin=0,
        vmax=1,
        cmap="Blues",
        annot=table,
        fmt=".2f",
        annot_kws={"size": 8},
        cbar=False,
        linewidths=0.5,
        linecolor="white",
        xticklabels=list(tasks) * K,
    )
    ax.set_facecolor("#e6e6e6")
    ax.tick_params(axis="x", labelrotation=40, length=0)
    ax.tick_params(axis="y", labelrotation=0, length=0)
    for label in ax.get_xticklabels():
        label.set_ha("right")
        label.set_rotation_mode("anchor")
    for position, task in enumerate(order):
        ax.text(position * M + M / 2, -0.12, f"after {position + 1}", ha="center", va="bottom", fontsize=8, color=DARK)
        ax.axvline(position * M, color="white", lw=4)
        for row in range(len(arms)):
            ax.add_patch(_outline(position * M + task, row))
    figure.supxlabel(missing, fontsize=8)
    return figure


def _nan_mean(R):
    """Mean over seeds [P, K, M] -> [K, M]; NaN where no seed has a value (np.nanmean would warn)."""
    there = np.isfinite(R)
    return np.where(there.any(0), np.where(there, R, 0).sum(0) / np.maximum(there.sum(0), 1), np.nan)


def _outline(x, y):
    from matplotlib.patches import Rectangle

    return Rectangle((x + 0.07, y + 0.07), 0.86, 0.86, fill=False, lw=2, edgecolor=PALETTE[1], zorder=3)


def metric_points(values, table, arms, title, unit=SUCCESS):
    """Every metric of the main table as a picture: a panel a metric, a row an arm, a hollow point a seed.

    values: columns arm, metric, seed, value; table: columns arm, metric, k, n, mean, low, high, indicative.
    The bar is the mean with its 95 % interval, dashed where it is only indicative (fewer than five seeds).
    """
    metrics = list(dict.fromkeys(table.metric))
    arms, missing = folded(arms, set(table[table.k > 0].arm), 120)
    figure, axes = panels(1, len(metrics), 9.5 / max(len(metrics), 1), 0.8 + 0.36 * len(arms), title, sharey=True)
    for ax, metric in zip(axes[0], metrics, strict=True):
        name_panel(ax, metric)
        ax.axvline(0, color=GREY, lw=0.6)
        for y, arm in enumerate(arms):
            points = values[(values.arm == arm) & (values.metric == metric)].value
            ax.scatter(points, [y] * len(points), s=22, facecolor="none", edgecolor=PALETTE[0], lw=0.9, zorder=3)
            row = table[(table.arm == arm) & (table.metric == metric)]
            if len(row) and np.isfinite(row["mean"].iloc[0]):
                row = row.iloc[0]
                ax.plot([row.low, row.high], [y, y], color=DARK, lw=1.4, ls=":" if row.indicative else "-")
                ax.plot(row["mean"], y, "|", color=DARK, ms=13, mew=2)
        if metric in ("ASR", "plasticity") and unit in BOUNDED:
            ax.set_xlim(-0.03, 1.03)
    counts = table.drop_duplicates("arm").set_index("arm")
    name_rows(axes[0, 0], [f"{arm}  {counts.k[arm]}/{counts.n[arm]}" for arm in arms])
    figure.supxlabel(missing, fontsize=8)
    return figure


def training_gate(final, gate, title):
    """Does plain SAC learn each task alone: a column a task, a point a seed, the gate as a line.

    final: columns task, seed, value (success in the last three evaluations together); a task without seeds says so.
    """
    tasks = list(dict.fromkeys(final.task))
    figure, axes = panels(1, 1, max(5.0, 1.5 + 1.3 * len(tasks)), 2.8, title)
    ax = axes[0, 0]
    for x, task in enumerate(tasks):
        points = final[final.task == task].dropna(subset="value").sort_values("seed")
        colours = [PALETTE[2] if value >= gate else PALETTE[3] for value in points.value]
        ax.scatter(
            x + np.linspace(-0.18, 0.18, max(len(points), 1))[: len(points)], points.value, c=colours, s=30, zorder=3
        )
        if points.empty:
            ax.text(x, 0.5, MISSING, ha="center", color=GREY, fontsize=9)
    ax.axhline(gate, color=DARK, lw=0.8, ls="--")
    ax.text(len(tasks) - 0.45, gate, f" gate {gate:g}", va="center", fontsize=8, color=DARK)
    ax.set_xticks(range(len(tasks)), tasks, rotation=20, fontsize=8)
    ax.set_ylim(-0.04, 1.04)
    ax.set_xlim(-0.5, len(tasks) - 0.45)
    ax.set_ylabel("success in the last three evaluations", fontsize=8)
    return figure
