"""Pictures of the learn notebooks: curves with their names beside them, weights as heat maps, a cart with its pole."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
from IPython.display import Image

from nbsp_lib.envs.performance import BOUNDED
from nbsp_lib.results.positions import spans, ticks, traces
from nbsp_lib.results.style import DARK, GREY, PALETTE, TASK_COLOURS, panels


def show(figure):
    """The figure as a picture in a notebook, byte-equal from run to run."""
    data = io.BytesIO()
    figure.savefig(data, format="png", metadata={"Software": None})
    return Image(data.getvalue())


def curves(parts, tasks, title, ylabel="mean reward of a step"):
    """A panel for each of parts {name: curves of live.Trained}: every task a colour, a thin line a seed, a thick one the mean,
    as far as all seeds go; the background has the colour of the task that is being trained."""
    figure, axes = panels(len(parts), 1, 8.2, 1.75 if len(parts) > 1 else 2.6, title, sharex=True, sharey=True)
    colour, positions = dict(zip(tasks, TASK_COLOURS, strict=False)), spans(pd.concat(list(parts.values())))
    for ax, (name, frame) in zip(axes[:, 0], parts.items()):
        for span in positions.itertuples():
            ax.axvspan(span.start, span.end, color=colour[span.training_task], alpha=0.10, lw=0)
            if ax is axes[0, 0]:
                ax.text(
                    (span.start + span.end) / 2,
                    1.03
                    if span.position % 2
                    else 1.03 + 0.3 / figure.get_size_inches()[1],  # on two lines: none is too narrow
                    f"trained on {span.training_task}",
                    ha="center",
                    fontsize=8,
                    color=colour[span.training_task],
                    fontweight="bold",
                    transform=ax.get_xaxis_transform(),
                )
        for task in tasks:
            seeds, (x, y) = traces(frame[frame.task == task], positions, "success")
            for line in seeds:
                ax.plot(*line, color=colour[task], lw=0.6, alpha=0.5)
            ax.plot(x, y, color=colour[task], lw=2)
            ends = [line[1][np.isfinite(line[1])][-1] for line in seeds]
            ax.text(positions.end.iloc[-1], np.mean(ends), f" {task}", color=colour[task], fontsize=8, va="center")
        if ylabel in BOUNDED:
            ax.set_ylim(-0.05, 1.05)
        ax.margins(x=0)
        if len(parts) > 1:
            ax.text(0.01, 0.06, name, transform=ax.transAxes, fontsize=9, color=DARK, fontweight="bold")
    figure.supylabel(ylabel, fontsize=8)
    axes[0, 0].set_xticks(*ticks(positions))
    figure.supxlabel("environment steps of one seed in each position", fontsize=8)
    return figure


def heat(maps, title, label, columns=4, largest=None):
    """Matrices {name: [n_in, n_out]} side by side on one scale from 0: rows are units before, columns units behind."""
    rows = -(-len(maps) // columns)
    figure, axes = panels(rows, columns, 2.2, 2.1, title)
    top = largest or max(float(np.max(m)) for m in maps.values()) or 1.0
    for ax in axes.flat[len(maps) :]:
        ax.set_visible(False)
    for ax, (name, matrix) in zip(axes.flat, maps.items()):
        shown = ax.imshow(matrix, cmap="viridis", vmin=0, vmax=top, aspect="auto", interpolation="nearest")
        ax.set_title(name, fontsize=9, color=DARK)
        ax.set_xticks([])
        ax.set_yticks([])
    bar = figure.colorbar(shown, ax=axes, shrink=0.7, pad=0.01)
    bar.set_label(label, fontsize=8)
    bar.ax.tick_params(labelsize=7)
    return figure


def bars(values, title, xlabel, highlight=(), reference=None):
    """Horizontal bars {name: number}, longest name on the left; `highlight` in colour; reference: (x, text) a dashed line."""
    figure, axes = panels(1, 1, 7.0, 0.5 + 0.3 * len(values), title)
    ax = axes[0, 0]
    for y, (name, value) in enumerate(values.items()):
        ax.barh(y, value, color=PALETTE[0] if name in highlight or not highlight else GREY, height=0.7)
        ax.text(
            value,
            y,
            f" {value:.2f}",
            va="center",
            fontsize=8,
            color=DARK,
            zorder=3,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
        )
    ax.set_yticks(range(len(values)), values, fontsize=8)
    ax.invert_yaxis()
    ax.set_xlabel(xlabel, fontsize=8)
    if reference:
        ax.axvline(reference[0], color=PALETTE[3], ls="--", lw=1)
        ax.text(reference[0], -0.8, f" {reference[1]}", color=PALETTE[3], fontsize=8)
    return figure


def lines(values, title, xlabel, ylabel, reference=None):
    """Lines {name: (x, y)}, one or two, named at their right ends; reference: (y, text) a third, level and dotted."""
    figure, axes = panels(1, 1, 8.2, 2.8, title)
    ax = axes[0, 0]
    for colour, style, va, (name, (x, y)) in zip(PALETTE, ("-", "--"), ("bottom", "top"), values.items()):
        ax.plot(x, y, style, color=colour, lw=2)
        ax.annotate(f" {name}", (x[-1], y[-1]), color=colour, fontsize=8, va=va, annotation_clip=False)
    ax.margins(x=0)
    ax.set_ylim(bottom=0)
    ax.set_xlabel(xlabel, fontsize=8)
    ax.set_ylabel(ylabel, fontsize=8)
    if reference:
        ax.axhline(reference[0], color=PALETTE[3], ls=":", lw=1.5)
        ax.annotate(
            f" {reference[1]}", (x[-1], reference[0]), color=PALETTE[3], fontsize=8, va="center", annotation_clip=False
        )
    return figure
