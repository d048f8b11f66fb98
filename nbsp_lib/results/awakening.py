"""Awakening: neurons that were silent on the old task fire on its states after the next one.

A neuron is formerly silent if its activation was zero on every state of the rollout of position 1. Silencing it changes nothing
of the old network there. So the change of the output on these states falls into two parts, exactly:

    f₂ − f₁ = (f₂ − f₂ without the formerly silent) + (f₂ without them − f₁).

The first passes through awakened neurons, the second through those that were active before (and the output bias).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from nbsp_lib.core.neurons import silent
from nbsp_lib.results.grafts import put_back
from nbsp_lib.results.intervals import interval
from nbsp_lib.results.old_states import play_actors, read_old
from nbsp_lib.results.style import GREY, MISSING, PALETTE, name_panel, name_rows, panels, say, seeds_row
from nbsp_lib.training.rollout import silenced

CHANGE = ["arm", "seed", "layer", "neurons", "silent", "awake", "share", "distance", "distance_without"]
PLAYED = ["arm", "seed", "task", "actor", "success"]
ACTORS = {  # what plays the old task, in the order of the figure
    "position 1": "position 1",
    "position 2": "position 2",
    "without": "position 2, formerly silent off",
    "active held": "position 2, once active as before",
}


def formerly_silent(old):
    """Which hidden neurons never fired in the rollout of position 1, bool [1, 1, 1, W] for each layer."""
    return [silent(h)[:, None, None] for h in old.answers(old.first[0].actor.params)[1]]


def share_through(before, after, without):
    """Share of the change after − before that goes with after − without, Σ (f₂ − f₂°)·(f₂ − f₁) / Σ |f₂ − f₁|²; [.., A] each.

    Its complement is the share of without − before. It can lie outside [0, 1] where the two parts oppose each other. NaN
    without any change.
    """
    change = (after - before).double()
    return float(((after - without).double() * change).sum() / change.pow(2).sum())


def held_active(old, quiet):
    """The actor after position 2 with both ends of all once active neurons, and the output bias, as after position 1.

    On the old states it then differs from the old actor through formerly silent neurons only.
    """
    before, after = (end[0].actor.params for end in (old.first, old.second))
    bias = f"b{len(quiet)}"
    return put_back(after, before, [~off for off in quiet], "both") | {bias: before[bias]}


def change_rows(arm, old, quiet):
    """One row a hidden layer and one for all ("all"): CHANGE.

    silent: neurons that never fired on the old states after position 1; awake: those of them that fire there after position 2;
    share: see share_through, of the mean actions before tanh, with the formerly silent neurons of this layer taken out;
    distance, distance_without: root mean square over old states and dimensions of the difference to the old action (after
    tanh, in [−1, 1]) after position 2, and with these neurons silenced.
    """
    (before, _), (after, now) = (old.answers(end[0].actor.params) for end in (old.first, old.second))
    off = lambda i: [one & (i in ("all", j + 1)) for j, one in enumerate(quiet)]
    apart = lambda a, b: float((a.tanh() - b.tanh()).pow(2).mean().sqrt())
    rows = []
    for layer in [*range(1, len(quiet) + 1), "all"]:
        without = old.answers(silenced(old.second[0].actor, off(layer)))[0]
        inside = [
            (one[0, 0], ~silent(h))
            for j, (one, h) in enumerate(zip(quiet, now, strict=True))
            if layer in ("all", j + 1)
        ]
        rows.append(
            [
                arm,
                old.seed,
                str(layer),
                sum(one.numel() for one, _ in inside),
                sum(int(one.sum()) for one, _ in inside),
                sum(int((one & woke).sum()) for one, woke in inside),
                share_through(before, after, without),
                apart(after, before),
                apart(without, before),
            ]
        )
    return rows


def awakening_rows(read, states, episodes):
    """(change, played): tables with the columns CHANGE and PLAYED, over all arms and seeds that finished two positions.

    states: episodes of the rollout of position 1 whose states are asked about; episodes: that each actor of ACTORS plays on the
    old task, and those of position 2 on the new one.
    """
    change, played = [], []
    for arm, old in read_old(read, states):
        quiet, after = formerly_silent(old), old.second[0].actor.params
        change += change_rows(arm, old, quiet)
        actors = {
            "position 1": old.first[0].actor.params,
            "position 2": after,
            "without": silenced(old.second[0].actor, quiet),
            "active held": held_active(old, quiet),
        }
        for task, names in ((old.tasks[0], list(ACTORS)), (old.tasks[1], ["position 2", "without"])):
            found = play_actors(old, [actors[name] for name in names], task, episodes)
            played += [[arm, old.seed, task, name, s] for name, s in zip(names, found, strict=True)]
    return pd.DataFrame(change, columns=CHANGE), pd.DataFrame(played, columns=PLAYED)


def awakening_table(change, played):
    """One row an arm: n (seeds), mean counts of silent and awake neurons, and mean, low, high (95 % t interval over seeds) of the
    share of the change through awakened neurons and of the success of each actor on each task."""
    lines = []
    for arm, here in change[change.layer == "all"].groupby("arm", sort=False):
        line = {"arm": arm, "n": len(here), "silent": here.silent.mean(), "awake": here.awake.mean()}
        parts = {"share": here.share} | {
            f"{actor}, {task}": rows.success
            for (task, actor), rows in played[played.arm == arm].groupby(["task", "actor"], sort=False)
        }
        for name, values in parts.items():
            line |= dict(zip((name, f"{name} low", f"{name} high"), interval([(1.0, values)]), strict=True))
        lines.append(line)
    return pd.DataFrame(lines) if lines else pd.DataFrame(columns=["arm", "n", "silent", "awake"])


def awakening_figure(change, played, title, unit):
    """Above, the share of the change that passes through awakened neurons, by layer; below, success on the old task; a column an
    arm. Hollow: a seed; bar: the mean; line: 95 % t interval over seeds."""
    arms, layers = list(dict.fromkeys(change.arm)) or [MISSING], list(dict.fromkeys(change.layer))
    figure, axes = panels(2, len(arms), 9.6 / len(arms), 1.5, title, sharey="row", sharex="row")
    names = [f"layer {layer}" if layer != "all" else "all" for layer in layers]
    tasks = list(dict.fromkeys(played.task))
    for (upper, lower), arm in zip(axes.T, arms, strict=True):
        name_panel(upper, arm)
        if change.empty:
            say(upper, MISSING)
            say(lower, MISSING)
            continue
        upper.axvline(0, color=GREY, lw=0.6)
        upper.axvline(1, color=GREY, lw=0.6, ls=":")
        here, won = change[change.arm == arm], played[(played.arm == arm) & (played.task == tasks[0])]
        rows_of(upper, [here[here.layer == layer].share for layer in layers], PALETTE[4])
        rows_of(lower, [won[won.actor == actor].success for actor in ACTORS], PALETTE[0], (0, 1))
        lower.set_xlim(-0.04, 1.04)
        upper.set_xlabel("share of the change", fontsize=8)
        lower.set_xlabel(unit, fontsize=8)
    name_rows(axes[0, 0], [f"through formerly silent neurons: {name}" for name in names], 7.5)
    name_rows(axes[1, 0], list(ACTORS.values()), 7.5)
    figure.supxlabel("hollow: a seed; tick: the mean; line: 95 % t interval over seeds", fontsize=8)
    return figure


def rows_of(ax, groups, colour, bounds=(-np.inf, np.inf)):
    """One line of points for each group of numbers, with its mean and its t interval, cut at `bounds`."""
    for y, values in enumerate(groups):
        seeds_row(ax, y, values, *interval([(1.0, values)]), colour, bounds)
