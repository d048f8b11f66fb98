"""Figures about single neurons: scores, activations, silencing, agreement. Same rules as figures.py."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.ticker import LogLocator, NullFormatter

from nbsp_lib.envs.performance import BOUNDED, SUCCESS
from nbsp_lib.results.style import DARK, GREY, MISSING, PALETTE, folded, name_panel, name_rows, panels, say

NETWORK_COLOURS = {"actor": PALETTE[0], "critic0": PALETTE[1], "critic1": PALETTE[4]}


def name_networks(ax, y, step):
    """Names the networks in their colours at the right of a panel, from `y` on, in steps, in shares of its height."""
    for i, (network, colour) in enumerate(NETWORK_COLOURS.items()):
        ax.text(0.98, y + step * i, network, transform=ax.transAxes, color=colour, fontsize=8, ha="right")


def score_distribution(neurons, title):
    """Scores of all neurons and of the chosen ones, measured from the base rate: a row a network, a column a layer.

    neurons: columns network, layer, score, base_rate, chosen. The axis is score - base rate, so runs with different
    success rates share it and 0 is the score of a neuron that never fires.
    """
    scored = neurons.dropna(subset="score")
    networks, layers = list(dict.fromkeys(neurons.network)), sorted(neurons.layer.unique())
    figure, axes = panels(len(networks), len(layers), 9.0 / len(layers), 1.7, title, sharex=True, sharey=True)
    above = scored.score - scored.base_rate
    width = (above.max() - above.min()) / 40 if above.nunique() > 1 else 0.01
    bins = width * (np.arange(-61, 62) - 0.5)  # a bar stands on the base rate itself
    bins = bins[(bins > above.min() - 2 * width) & (bins < above.max() + 2 * width)] if len(scored) else bins
    for ax, (network, layer) in zip(axes.flat, ((n, la) for n in networks for la in layers)):
        here = (scored.network == network) & (scored.layer == layer)
        chosen = here & scored.chosen.astype(bool)
        name_panel(ax, f"{network}, hidden layer {layer}: {chosen.sum()} of {here.sum()} chosen")
        if not here.any():
            say(ax, "unscored")
            continue
        ax.hist(above[here], bins=bins, color="#d5d5d5")
        ax.hist(above[chosen], bins=bins, color=NETWORK_COLOURS.get(network, DARK))
        ax.axvline(0, color=DARK, lw=0.8, ls="--")
    axes[0, 0].text(
        0, 0.97, " never fires\n (base rate)", transform=axes[0, 0].get_xaxis_transform(), fontsize=7.5, va="top"
    )
    figure.supxlabel("score - base rate of the rollout      grey: all neurons, coloured: the chosen", fontsize=8)
    figure.supylabel("neurons", fontsize=8)
    return figure


def activation_split(best, title):
    """Mean activation on good steps against the others, for the best neurons of a network: a dumbbell a neuron.

    best: columns network, layer, neuron, score, base_rate, activation_success, activation_failure, best first.
    """
    networks = list(dict.fromkeys(best.network)) or [MISSING]
    figure, axes = panels(1, len(networks), 9.5 / len(networks), 3.1, title)
    for ax, network in zip(axes[0], networks):
        here = best[best.network == network].reset_index(drop=True)
        if here.empty or here.score.isna().all():
            say(ax, "unscored")
            continue
        name_panel(ax, f"{network} (base rate {here.base_rate[0]:.2f})")
        ax.hlines(here.index, here.activation_success, here.activation_failure, color=GREY, lw=1.5)
        ax.scatter(here.activation_failure, here.index, s=30, facecolor="white", edgecolor=DARK, zorder=3)
        ax.scatter(here.activation_success, here.index, s=30, color=NETWORK_COLOURS.get(network, DARK), zorder=3)
        if not here[["activation_success", "activation_failure"]].any(axis=None):
            ax.set_xlim(-0.05, 1)
        names = [f"layer {n.layer} no. {n.neuron}: {n.score:.2f}" for n in here.itertuples()]
        ax.set_yticks(here.index, names, fontsize=7.5)
        ax.invert_yaxis()
    figure.supxlabel(
        "mean activation      filled: goal reached, hollow: goal not reached      label: score", fontsize=8
    )
    return figure


def silencing(results, title, unit=SUCCESS):
    """Success after silencing the chosen actor neurons and as many others: matched in layer and activity, the most active, random
    ones that fire, the lowest-scored.

    results: columns arm, seed, position, choice (nothing, chosen, matched, most active, random firing, lowest), draw, success;
    a panel an arm. A line joins what was measured on one agent (matched, random: mean of draws); the bar is the mean over agents.
    """
    arms = list(dict.fromkeys(results.arm)) or [MISSING]
    choices = ["nothing", "chosen", "matched", "most active", "random firing", "lowest"]
    columns = min(len(arms), 3)
    figure, axes = panels(
        math.ceil(len(arms) / columns), columns, 5.8 if columns == 1 else 9.4 / columns, 2.6, title, sharey=True
    )
    for ax in axes.flat[len(arms) :]:
        ax.set_visible(False)
    for ax, arm in zip(axes.flat, arms):
        here = results[results.arm == arm]
        name_panel(ax, arm)
        if here.empty:
            say(ax, MISSING)
            continue
        wide = here.pivot_table(index=["seed", "position"], columns="choice", values="success").reindex(columns=choices)
        x = np.arange(len(choices))
        ax.plot(x, wide.to_numpy().T, color=GREY, lw=0.7, marker="o", ms=4, mfc="white", zorder=2)
        ax.hlines(wide.mean(), x - 0.25, x + 0.25, color=[GREY, *(PALETTE[i] for i in (3, 4, 1, 0, 2))], lw=4, zorder=3)
        ax.set_xticks(
            x, ["nothing", "chosen", "matched", "most\nactive", "random,\nfiring", "lowest\nscored"], fontsize=8
        )
        if unit in BOUNDED:
            ax.set_ylim(-0.04, 1.04)
    figure.supxlabel("actor neurons silenced (the same number each time)", fontsize=8)
    figure.supylabel(f"{unit} on the task just trained", fontsize=8)
    return figure


def overlap(pairs, title):
    """How far two choices of neurons agree: a panel a network, a row a comparison, a point a pair.

    pairs: columns comparison, network, jaccard, expected. The tick is what random sets of that size would give.
    """
    networks, comparisons = list(dict.fromkeys(pairs.network)) or [MISSING], list(dict.fromkeys(pairs.comparison))
    figure, axes = panels(
        1, len(networks), 9.5 / len(networks), 0.9 + 0.5 * max(len(comparisons), 2), title, sharex=True, sharey=True
    )
    for ax, network in zip(axes[0], networks):
        name_panel(ax, network)
        if pairs.empty:
            say(ax, "nothing to compare")
            continue
        for y, comparison in enumerate(comparisons):
            here = pairs[(pairs.network == network) & (pairs.comparison == comparison)]
            spread = y + np.linspace(-0.2, 0.2, len(here)) if len(here) > 1 else np.full(len(here), y)
            ax.scatter(here.jaccard, spread, s=14, color=NETWORK_COLOURS.get(network, DARK), alpha=0.6, lw=0)
            ax.plot(here.jaccard.mean(), y, "|", ms=18, mew=2.2, color=DARK)
            ax.plot(here.expected.mean(), y, "|", ms=18, mew=1.4, color=PALETTE[3])
        ax.set_xlim(-0.02, 1.02)
    name_rows(axes[0, 0], comparisons)
    figure.supxlabel(
        "Jaccard overlap of the chosen neurons      dark tick: mean, red tick: expected of random sets", fontsize=8
    )
    return figure


def held_out(scores, table, title):
    """Scores with thresholds from the same episodes against thresholds from others: a panel a network, a point a neuron.

    scores: columns network, in_sample, held_out; table: columns network, rank_correlation, jaccard (one row a run).
    """
    networks = list(dict.fromkeys(table.network)) or [MISSING]
    figure, axes = panels(1, len(networks), 9.0 / len(networks), 2.8, title, sharex=True, sharey=True)
    for ax, network in zip(axes[0], networks):
        here, rows = scores[scores.network == network], table[table.network == network]
        if here.empty:
            say(ax, "unscored")
            continue
        name_panel(
            ax, f"{network}: rank correlation {rows.rank_correlation.mean():.2f}, overlap {rows.jaccard.mean():.2f}"
        )
        ax.plot([0.5, 1], [0.5, 1], color=GREY, lw=0.8)
        ax.scatter(
            here.in_sample,
            here.held_out,
            s=5,
            color=NETWORK_COLOURS.get(network, DARK),
            alpha=0.35,
            lw=0,
            rasterized=True,
        )
    figure.supxlabel("score, thresholds from the same episodes", fontsize=8)
    figure.supylabel("score, thresholds from the other episodes", fontsize=8)
    return figure


def base_rate_trap(scores, title):
    """Score of the chosen against the base rate (above), share of the chosen not above it (below); a column an arm.

    scores: rows of scores.csv with the arm, status scored. On the diagonal a chosen neuron knows no more than one that
    never fires.
    """
    arms = list(dict.fromkeys(scores.arm)) or [MISSING]
    figure, axes = panels(2, len(arms), 5.8 if len(arms) == 1 else 9.5 / len(arms), 2.4, title, sharey="row")
    for (upper, lower), arm in zip(axes.T, arms):
        here = scores[scores.arm == arm]
        name_panel(upper, arm)
        if here.empty:
            say(upper, "unscored")
            say(lower, "unscored")
            continue
        upper.plot([0.5, 1], [0.5, 1], color=GREY, lw=0.8)
        for network, rows in here.groupby("network"):
            style = {"color": NETWORK_COLOURS.get(network, DARK), "s": 20, "alpha": 0.75, "lw": 0}
            upper.scatter(rows.base_rate, rows.chosen_score, **style)
            beside = 0.12 * (list(NETWORK_COLOURS).index(network) - 1)
            lower.scatter(rows.position + beside, rows.chosen_not_above_base, **style)
        lower.set_ylim(-0.04, 1.04)
        lower.set_xticks(sorted(here.position.unique()))
        upper.set_xlabel("base rate", fontsize=8)
        lower.set_xlabel("position", fontsize=8)
    name_networks(axes[0, 0], 0.04, 0.1)
    axes[0, 0].text(
        0.98, 0.36, "diagonal: never fires", transform=axes[0, 0].transAxes, ha="right", fontsize=7.5, color=GREY
    )
    axes[0, 0].set_ylabel("mean score of the chosen", fontsize=8)
    axes[1, 0].set_ylabel("share not above base rate", fontsize=8)
    return figure


HEALTH = {
    "dormant": "dormant units",
    "fau": "active units (FAU)",
    "srank": "srank",
    "effective_rank": "effective rank",
    "weight_norm": "weight norm",
    "gradient_norm": "gradient norm",
}


def health_points(last, arms, title):
    """Signs of plasticity: a row of panels for the actor, one for the critics, a panel a measure, a line an arm.

    last: columns arm, seed, network (actor or critics) and those of HEALTH. A hollow point is a seed, the tick the mean.
    """
    networks, recorded = ("actor", "critics"), set(last.arm)
    arms, missing = folded(arms, recorded, 120, "nothing recorded")
    figure, axes = panels(2, len(HEALTH), 9.5 / len(HEALTH), 0.7 + 0.2 * len(arms), title, sharey=True, sharex="col")
    for line, network in zip(axes, networks, strict=True):
        for ax, (measure, name) in zip(line, HEALTH.items(), strict=True):
            name_panel(ax, name if network == "actor" else "")
            for y, arm in enumerate(arms):
                points = last[(last.arm == arm) & (last.network == network)][measure]
                ax.scatter(points, [y] * len(points), s=16, facecolor="none", edgecolor=PALETTE[0], lw=0.8, zorder=3)
                ax.plot(points.mean(), y, "|", color=DARK, ms=9, mew=1.6)
            ax.grid(axis="y", color="#eeeeee", lw=0.8)
            ax.tick_params(axis="y", length=0)
            if measure == "gradient_norm" and (last[measure] > 0).any():
                ax.set_xscale("log")
                ax.xaxis.set_major_locator(LogLocator(numticks=4))
                ax.xaxis.set_minor_formatter(NullFormatter())
        labels = [arm if arm in recorded else f"{arm}  (nothing recorded)" for arm in arms]
        name_rows(line[0], labels)
        line[0].set_ylabel(network, fontsize=9, color=DARK)
    figure.supxlabel(missing, fontsize=8)
    return figure
