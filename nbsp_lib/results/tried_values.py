"""What the tuning tried, method by method: the measure of every value, and which is chosen. Rows: of data/tuning.csv."""

from __future__ import annotations

import numpy as np
import pandas as pd

from nbsp_lib.results.intervals import interval
from nbsp_lib.results.style import DARK, GREY, MISSING, PALETTE, name_panel, panels
from nbsp_lib.results.tuning import ENDED, GO_ON, best

COLUMNS = 4  # panels beside each other
APART = 0.14  # between two stages at one value


def value_table(rows):
    """Returns a row a stage, method and value: columns method, setting, value, default, sequence, n (runs that have ended),
    diverged, mean, low, high of the measure (95 % interval; NaN where there is none), rank (1 is the best; NA while one of the
    method's values is open)."""
    lines = []
    for (sequence, method, value), own in rows.groupby(["sequence", "method", "value"], sort=False):
        ended = own[own.status.isin(ENDED)]
        mean, low, high = interval([(1.0, ended.measure.to_numpy(dtype=float))] if len(ended) else [])
        lines.append(
            {"method": method, "setting": own.setting.iloc[0], "value": value, "default": own.default.iloc[0]}
            | {"sequence": sequence, "n": len(ended), "diverged": int((own.status == "diverged").sum())}
            | {"mean": mean, "low": low, "high": high, "rank": own["rank"].iloc[0]}
        )
    return pd.DataFrame(lines).astype({"rank": "Int64"})


def choice_table(table, stages):
    """Returns a row a method of value_table: columns method, setting, default, went on (the values of rank 1 and 2 of the first
    stage, "" while one is open), chosen (the value of rank 1 of the last stage, NaN while one is open). stages: the sequences."""
    lines = []
    for method, own in table.groupby("method", sort=False):
        first, last = (own[own.sequence == stage].sort_values("rank") for stage in (stages[0], stages[-1]))
        on, chosen = best(first, GO_ON), best(last, 1)
        lines.append(
            {"method": method, "setting": own.setting.iloc[0], "default": own.default.iloc[0]}
            | {"went on": ", ".join(f"{value:g}" for value in on.value)}
            | {"chosen": chosen.value.iloc[0] if len(chosen) else np.nan}
        )
    return pd.DataFrame(lines)


def values_figure(rows, table, choices, stages, title):
    """A panel a method, its values from left to right, the measure upwards; a colour a stage.

    Hollow: a seed; tick: the mean; line: its 95 % interval; dotted: the default; a bold value: the chosen one. rows: of
    data/tuning.csv; table, choices: of value_table and choice_table.
    """
    lines = -(-len(choices) // COLUMNS)
    figure, axes = panels(lines, COLUMNS, 2.5, 1.75, title, sharey=True)
    for ax in axes.flat[len(choices) :]:
        ax.set_axis_off()
    for ax, choice in zip(axes.flat, choices.itertuples(), strict=False):
        own = table[table.method == choice.method]
        values = sorted(own.value.unique())
        name_panel(ax, f"{choice.method}: {choice.setting}")
        ax.axvline(values.index(choice.default), color=GREY, lw=0.8, ls=":", zorder=0)
        for number, stage in enumerate(stages):
            colour, shift = PALETTE[number], (number - (len(stages) - 1) / 2) * 2 * APART
            for line in own[(own.sequence == stage) & (own.n > 0)].itertuples():
                x = values.index(line.value) + shift
                here = rows[(rows.method == line.method) & (rows.sequence == stage) & (rows.value == line.value)]
                seeds = here.measure.dropna()
                ax.scatter([x] * len(seeds), seeds, s=14, facecolor="none", edgecolor=colour, lw=0.8, clip_on=False)
                ax.plot([x, x], np.clip([line.low, line.high], -1, 1), color=GREY, lw=1.2, zorder=0)
                ax.plot(x, line.mean, "_", color=DARK, ms=9, mew=1.8, zorder=4)
        ax.set_xlim(-0.5, len(values) - 0.5)
        ax.set_xticks(range(len(values)), [f"{value:g}" for value in values])
        for label, value in zip(ax.get_xticklabels(), values, strict=True):
            label.set_fontweight("bold" if value == choice.chosen else "normal")
        if not own.n.sum():
            ax.text(0.5, 0.5, MISSING, transform=ax.transAxes, ha="center", va="center", color=GREY, fontsize=9)
    for number, stage in enumerate(stages):
        first = axes[0, 0]
        first.text(0.03, 0.05 + 0.13 * number, stage, transform=first.transAxes, color=PALETTE[number], fontsize=8)
    figure.supylabel("ASR − max(FM, 0)", fontsize=8)
    figure.supxlabel(
        "hollow: a seed, −1: it diverged; tick: the mean; line: 95 % interval, cut at −1 and 1; dotted: the default; "
        "bold: the chosen value",
        fontsize=8,
    )
    return figure


def sentence(choices):
    """Returns how many methods have a value chosen, and which of them one that is not the default, in words."""
    done = choices.dropna(subset="chosen")
    moved = [
        f"{row.method} ({row.setting} {row.chosen:g}, default {row.default:g})"
        for row in done.itertuples()
        if row.chosen != row.default
    ]
    said = f"{len(done)} of {len(choices)} methods have a value chosen"
    return f"{said}; another than the default: {', '.join(moved) or 'none'}."
