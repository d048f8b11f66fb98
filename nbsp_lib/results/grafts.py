"""Grafts: weights that an actor had after the first task, put back after the second. Which part brings the skill back?

A mask that holds a set of weights can keep at most what an exact restoration of the same weights brings back into the network
that was trained without it; the other weights were then free to move with them.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import torch

from nbsp_lib.core.neurons import constant_goal, held_shares, skill_scores, top_neurons
from nbsp_lib.results.intervals import interval
from nbsp_lib.results.old_states import play_actors, read_old
from nbsp_lib.results.style import MISSING, PALETTE, name_panel, name_rows, panels, say, seeds_row

CHOSEN = 0.2  # the paper's share
SHARES = (0.2, 0.5, 0.8)
ORDERS = ("score", "activation", "random")
COLUMNS = ["arm", "seed", "graft", "order", "share", "restored", "success"]


def put_back(new, old, units, ends="incoming", output=None):
    """The parameters `new` with those weights of `old` in them that a mask on `units` would hold; see neurons.held_shares.

    units: the neurons of each hidden layer, bool [P, C, 1, W]; output: True also for the output layer.
    """
    whole = torch.zeros(1, 1, 1, 1) if output else None
    kept = held_shares([(~unit).float() for unit in units], new, ends, whole)
    return {
        name: torch.where(kept[name].expand_as(p) == 0, old[name], p) if name in kept else p for name, p in new.items()
    }


def by_layer(chosen, params):
    """A choice of hidden neurons [N], all layers side by side, as bool [1, 1, 1, W] for each layer."""
    widths = [params[f"b{i}"].shape[-1] for i in range(len(params) // 2 - 1)]
    return [part[None, None, None] for part in torch.as_tensor(chosen).split(widths)]


def orders(old):
    """{order: [N], the first to be put back has the highest number} of the actor's hidden neurons after position 1.

    score: Eq. 4 on the rollout of position 1 (left out if its goal metric is constant); activation: mean over it; random: a
    generator of the seed's own, the same for all arms.
    """
    hidden = torch.cat(old.answers(old.first[0].actor.params)[1], -1)  # [1, T, N]
    draw = torch.from_numpy(np.random.default_rng([old.seed, 18]).random(hidden.shape[2]))
    found = {} if bool(constant_goal(old.goal)) else {"score": skill_scores(hidden, old.goal)[0]}
    return found | {"activation": hidden.mean(1)[0], "random": draw}


def graft_list(old):
    """[(graft, order, share, parameters)] for one seed, from nothing restored to everything restored."""
    before, after = (end[0].actor.params for end in (old.first, old.second))
    ranked = orders(old)
    pick = lambda order, share: by_layer(top_neurons(ranked[order][None], share)[0], after)
    everyone, nobody = (by_layer(torch.full((len(ranked["random"]),), value), after) for value in (True, False))
    found = [("nothing", "", math.nan, after)]
    if "score" in ranked:
        found.append(("incoming", "score", CHOSEN, put_back(after, before, pick("score", CHOSEN))))
    found.append(("hidden layers", "", math.nan, put_back(after, before, everyone)))
    found.append(("output layer", "", math.nan, put_back(after, before, nobody, output=True)))
    found += [
        ("both ends", order, share, put_back(after, before, pick(order, share), "both"))
        for order in ORDERS
        if order in ranked
        for share in SHARES
    ]
    return [*found, ("everything", "", math.nan, before)]


def graft_rows(read, states, episodes):
    """One row a graft, arm and seed: COLUMNS. restored: share of the actor's parameters that are those of position 1.

    read: {arm: results.Result}; states: episodes of the rollout that neurons are ranked on; episodes: of each graft.
    """
    rows = []
    for arm, old in read_old(read, states):
        grafts = graft_list(old)
        before, size = old.first[0].actor.params, sum(p.numel() for p in grafts[0][3].values())
        success = play_actors(old, [params for *_, params in grafts], old.tasks[0], episodes)
        for (graft, order, share, params), s in zip(grafts, success, strict=True):
            same = sum(int((p == before[name]).sum()) for name, p in params.items())
            rows.append([arm, old.seed, graft, order, share, same / size, s])
    return pd.DataFrame(rows, columns=COLUMNS)


def label(graft, order, share):
    """A graft in words, as the tables and the figure call it."""
    return f"{graft}, {100 * share:.0f} % {'at' if order == 'random' else 'by'} {order}" if order else graft


def paired(rows, one, other):
    """{arm: (mean, low, high)} of the success of one graft less that of another, 95 % t interval over the seeds that have both.

    one, other: (graft, order, share) as in the rows of graft_rows.
    """
    found, of = {}, lambda here, key: here[(here.graft == key[0]) & (here.order == key[1]) & (here.share == key[2])]
    for arm, here in rows.groupby("arm", sort=False):
        a, b = (of(here, key).set_index("seed").success for key in (one, other))
        found[arm] = interval([(1.0, (a - b).dropna())])
    return found


def graft_table(rows):
    """One row an arm and graft: columns arm, graft, n (seeds), restored, mean, low, high (95 % t interval of the success)."""
    lines = []
    named = rows.assign(graft=[label(*key) for key in zip(rows.graft, rows.order, rows.share, strict=True)])
    for (arm, graft), here in named.groupby(["arm", "graft"], sort=False):
        mean, low, high = interval([(1.0, here.success)])
        lines.append([arm, graft, len(here), here.restored.mean(), mean, low, high])
    return pd.DataFrame(lines, columns=["arm", "graft", "n", "restored", "mean", "low", "high"])


def graft_figure(rows, title, unit):
    """Success on the old task, a row a graft, a column an arm; a hollow point is a seed, the bar the mean with its interval.

    rows: those of graft_rows; unit: what success is.
    """
    table, arms = graft_table(rows), list(dict.fromkeys(rows.arm)) or [MISSING]
    grafts = list(dict.fromkeys(table.graft))
    figure, axes = panels(
        1, len(arms), 9.6 / len(arms), 0.9 + 0.22 * max(len(grafts), 3), title, sharey=True, sharex=True
    )
    named = rows.assign(graft=[label(*key) for key in zip(rows.graft, rows.order, rows.share, strict=True)])
    for ax, arm in zip(axes[0], arms, strict=True):
        name_panel(ax, arm)
        if rows.empty:
            say(ax, MISSING)
            continue
        bars = table[table.arm == arm].set_index("graft")[["mean", "low", "high"]].reindex(grafts)
        for y, (graft, bar) in enumerate(zip(grafts, bars.to_numpy(), strict=True)):
            points = named[(named.arm == arm) & (named.graft == graft)].success
            seeds_row(ax, y, points, *bar, PALETTE[0], (0, 1))
        ax.set_xlim(-0.04, 1.04)
    name_rows(axes[0, 0], grafts)
    figure.supxlabel(
        f"{unit} on the old task after position 2, with weights of position 1 put back\n"
        "hollow: a seed; tick: the mean; line: 95 % t interval over seeds, cut at 0 and 1",
        fontsize=8,
    )
    return figure
