"""What every figure begins from: matplotlib's settings, colours, empty panels and their labels, rows of seeds.

Colours: seaborn's "colorblind" palette. A line is named beside itself, not in a legend.
"""

from __future__ import annotations

import textwrap

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.figure import Figure

# Besides matplotlib's defaults: its own font only, where others stand in for a missing sign only if they are installed.
STYLE = {"font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "axes.formatter.use_locale": False}


def begin():
    """Set matplotlib's settings of this process to its defaults and STYLE. A cell may change them afterwards."""
    mpl.rcdefaults()
    mpl.rcParams.update(STYLE)


begin()  # here, so that no page can forget it
PALETTE = sns.color_palette("colorblind").as_hex()
TASK_COLOURS = [PALETTE[i] for i in (0, 1, 2, 4, 5, 9, 3, 7)]
GREY, DARK = "#9a9a9a", "#333333"
MISSING = "not run"
FEW = 6  # arms that all get a panel or a line, run or not


def panels(rows, columns, width, height, title, **grid):
    """An empty figure of rows x columns axes and these axes, [rows, columns]; width and height in inches of one panel.

    The Figure is made without pyplot, so no global state is touched and a notebook does not show it twice.
    """
    with sns.axes_style("ticks"):
        figure = Figure(figsize=(columns * width, rows * height + 0.5), layout="constrained", dpi=110)
        axes = figure.subplots(rows, columns, squeeze=False, **grid)
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, color=DARK)
    for ax in axes.flat:
        sns.despine(ax=ax)
        ax.tick_params(labelsize=8)
    return figure, axes


def say(ax, text):
    """Write in the middle of a panel why it holds no data."""
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", color=GREY, fontsize=9)


def name_panel(ax, text):
    ax.set_title(text, loc="left", fontsize=9, color=DARK, pad=3)


def folded(arms, present, width, word=MISSING):
    """(arms to draw, a note): all of them if they are few, else those that are present, the others named in the note."""
    drawn = [arm for arm in arms if arm in present or len(arms) <= FEW] or list(arms[:1])
    rest = [arm for arm in arms if arm not in drawn]
    return drawn, textwrap.fill(f"{word}: {', '.join(rest)}", width) if rest else ""


def name_rows(ax, names, size=8):
    """Names the rows y = 0, 1, … of a panel, the first at the top."""
    ax.set_yticks(range(len(names)), names, fontsize=size)
    ax.set_ylim(max(len(names), 1) - 0.5, -0.5)


def seeds_row(ax, y, values, mean, low, high, colour, bounds=(-np.inf, np.inf)):
    """Draws one row: a hollow point a seed, a tick at the mean, a line from low to high, cut at `bounds`."""
    ax.scatter(values, [y] * len(values), s=18, facecolor="none", edgecolor=colour, lw=0.9, zorder=3, clip_on=False)
    ax.plot(np.clip([low, high], *bounds), [y, y], color=GREY, lw=1.4)
    ax.plot(mean, y, "|", color=DARK, ms=11, mew=2, zorder=4)
