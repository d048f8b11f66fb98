"""Runs of one switch, question by question: what is left of the old task and what is learned of the new one, a point a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from nbsp_lib.results.intervals import cut, interval
from nbsp_lib.results.questions import QUESTIONS
from nbsp_lib.results.style import GREY, MISSING, TASK_COLOURS, name_panel, name_rows, panels, seeds_row

ORDERS = ("score", "balanced", "random", "activation")
FROZEN = tuple(f"freeze-{order}-{share}" for order in ORDERS for share in (20, 50, 80))
# E3 is described with points and has no outcome, see data/verdict_rules.md; the first two are there to compare with
DESCRIBED = {
    "E3": (
        "how many neurons, in which order",
        ("fine-tuning", "mask-only", *FROZEN, "freeze-100", "protect-active", "quiet"),
    )
}
MEASURES = ("old", "new")  # columns of retention.seed_rows


@dataclass(frozen=True)
class Group:
    name: str  # of a question: E1, E2, …
    about: str
    arms: tuple[str, ...]


def groups():
    """Returns a Group a name of questions.QUESTIONS and DESCRIBED, by name: all arms that it compares, those of claims first."""
    found = {name: ([about], list(arms)) for name, (about, arms) in DESCRIBED.items()}
    for question in QUESTIONS:
        about, arms = found.setdefault(question.name, ([], []))
        about.append(question.about)
        arms += [arm for pair in question.pairs for arm in pair]
    return [Group(name, "; ".join(about), tuple(dict.fromkeys(arms))) for name, (about, arms) in sorted(found.items())]


def arm_table(rows, group):
    """Returns a row an arm of the group, also one without runs (n = 0).

    Columns question, arm, n and of each of MEASURES its mean over seeds with the 95 % t interval, cut to [0, 1] (old, old_low,
    old_high, …); NaN where there is none. rows: of retention.seed_rows.
    """
    lines = []
    for arm in group.arms:
        here = rows[rows.arm == arm]
        line = {"question": group.name, "arm": arm, "n": len(here)}
        for measure in MEASURES:
            mean, low, high = interval([(1.0, here[measure].to_numpy(dtype=float))]) if len(here) else (np.nan,) * 3
            low, high = cut((low, high), 0.0, 1.0)
            line |= {measure: mean, f"{measure}_low": low, f"{measure}_high": high}
        lines.append(line)
    return pd.DataFrame(lines)


def cell(line, measure):
    """Returns mean [low, high] of a row of arm_table in words."""
    if not line["n"]:
        return MISSING
    bounds = (line[f"{measure}_low"], line[f"{measure}_high"])
    return f"{line[measure]:.2f}" + (
        " [{:.2f}, {:.2f}]".format(*bounds) if np.isfinite(bounds).all() else " [one seed]"
    )


def arms_figure(rows, table, tasks, title):
    """Success on the old and on the new task at the end of position 2, a row an arm, a panel a task.

    Hollow: a seed; tick: the mean; line: its interval. rows: of retention.seed_rows; table: of arm_table; tasks: (old, new).
    """
    arms = list(table.arm)
    figure, axes = panels(1, 2, 4.6, 0.9 + 0.22 * max(len(arms), 3), title, sharey=True, sharex=True)
    for ax, measure, task, colour in zip(axes[0], MEASURES, tasks, TASK_COLOURS, strict=False):
        name_panel(ax, f"{measure} task: {task}")
        for y, line in table.iterrows():
            if not line["n"]:
                ax.text(0.0, y, MISSING, va="center", color=GREY, fontsize=8)
                continue
            points = rows[rows.arm == line["arm"]][measure]
            seeds_row(ax, y, points, line[measure], line[f"{measure}_low"], line[f"{measure}_high"], colour)
        ax.set_xlim(-0.04, 1.04)
    name_rows(axes[0, 0], arms)
    figure.supxlabel(
        "success at any step, the last three evaluations of position 2\n"
        "hollow: a seed; tick: the mean; line: 95 % t interval over seeds, cut at 0 and 1",
        fontsize=8,
    )
    return figure


def sentence(group, table):
    """Returns what of a question has run, and the range of what is left of the old task, in words."""
    there, absent = table[table.n > 0], list(table.arm[table.n == 0])
    said = f"**{group.name}** ({group.about}): {len(there)} of {len(table)} arms have runs"
    if len(there):
        best, least = there.loc[there.old.idxmax()], there.loc[there.old.idxmin()]
        said += (
            f"; of the old task {best.arm} keeps most, {cell(best, 'old')}, and {least.arm} least, {cell(least, 'old')}"
        )
    return said + (f"; not run: {', '.join(absent)}." if absent else ".")
