"""Single neurons as tables: scored on a rollout, silenced, compared. One seed at a time; DataFrames out, no files.

Layers are counted from 1, neurons of a layer from 0. The equations are those of neurons.py; here they meet a rollout.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import torch

from nbsp_lib.core.neurons import base_rate, constant_goal, skill_scores, top_neurons
from nbsp_lib.results.measure import measure

NEURON_COLUMNS = [
    "seed",
    "arm",
    "position",
    "task",
    "network",
    "layer",
    "neuron",
    "score",
    "balanced",
    "mean_activation",
    "activation_success",
    "activation_failure",
    "base_rate",
    "chosen",
    "chosen_balanced",
    "score_first",
    "score_second",
    "score_held_out",
]


def networks(hidden):
    """(name, activations [1, T, N], width of each layer) of the actor and of each critic, all layers side by side."""
    parts = {"actor": [h[:, 0] for h in hidden["actor"]]}
    parts |= {f"critic{c}": [h[:, c] for h in hidden["critic"]] for c in range(hidden["critic"][0].shape[1])}
    return [(name, torch.cat(layers, 2), [h.shape[2] for h in layers]) for name, layers in parts.items()]


def _scores(hidden, goal, score="paper"):
    """skill_scores [1, N], or NaN where the goal metric is constant, or there is none, and nothing can be said."""
    if goal.shape[1] == 0 or bool(constant_goal(goal)[0]):
        return torch.full((1, hidden.shape[2]), torch.nan)
    return skill_scores(hidden, goal, score)


def held_out_scores(hidden, goal, other_hidden, other_goal):
    """Eq. 3-4 on one set of moments with the thresholds (mean activation, mean goal) of another set -> [1, N].

    hidden [1, T, N] and goal [1, T] are scored; the thresholds are means over other_hidden [1, T', N] and
    other_goal [1, T'].
    """
    if other_goal.shape[1] == 0 or bool(constant_goal(other_goal)[0]) or not bool(torch.isfinite(goal).all()):
        return torch.full((1, hidden.shape[2]), torch.nan)
    active = hidden > other_hidden.mean(1, keepdim=True)  # [1, T, N]
    good = (goal > other_goal.mean(1, keepdim=True))[..., None]  # [1, T, 1]
    agree = (active == good).float().mean(1)  # [1, N]
    return torch.maximum(agree, 1 - agree)


def neuron_rows(played, metric, share):
    """One row a neuron of one seed's rollout: the columns of NEURON_COLUMNS from `network` on.

    played: what evaluate.play gives for one seed, with hidden activations; metric: the goal metric q(t); share:
    of the neurons of a network that are chosen. score_first, score_second: Eq. 4 on the first and the second half of the
    episodes; score_held_out: the second half with the thresholds of the first. NaN = the goal metric was constant.
    """
    goal, half = played.goal(metric), played.half  # [1, T]
    good, rate, frames = goal > goal.mean(1, keepdim=True), float(base_rate(goal)), []
    for name, a, widths in networks(played.hidden):
        paper, balanced = _scores(a, goal), _scores(a, goal, "balanced")  # [1, N]
        scored = not bool(constant_goal(goal)[0])
        choose = lambda s: top_neurons(s, share)[0].numpy() if scored else np.zeros(s.shape[1], bool)  # noqa: B023
        mean_of = lambda moments: a[0, moments[0]].mean(0).numpy()  # noqa: B023
        first, second = (a[:, :half], goal[:, :half]), (a[:, half:], goal[:, half:])
        frames.append(
            pd.DataFrame(
                {
                    "network": name,
                    "layer": np.repeat(np.arange(1, len(widths) + 1), widths),
                    "neuron": np.concatenate([np.arange(w) for w in widths]),
                    "score": paper[0].numpy(),
                    "balanced": balanced[0].numpy(),
                    "mean_activation": a[0].mean(0).numpy(),
                    "activation_success": mean_of(good),
                    "activation_failure": mean_of(~good),
                    "base_rate": rate if scored else np.nan,
                    "chosen": choose(paper),
                    "chosen_balanced": choose(balanced),
                    "score_first": _scores(*first)[0].numpy(),
                    "score_second": _scores(*second)[0].numpy(),
                    "score_held_out": held_out_scores(*second, *first)[0].numpy(),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def silence_sets(actor, draws, key):
    """Sets of actor neurons to silence, (choice, draw, bool [N]): the chosen, the lowest-scored, the most active, `draws` random
    ones among the neurons that fire at all (silencing the others costs nothing), and `draws` that are `matched`.

    actor: rows of one agent's actor, sorted by layer and neuron. All sets are as large as the chosen one, the matched ones at
    most; ties go to the lower index; key (a list of integers) seeds the draws.
    """
    chosen, activity = actor.chosen.to_numpy(bool), actor.mean_activation.to_numpy()
    sets = [
        ("chosen", 0, chosen),
        ("lowest", 0, best(-actor.score.to_numpy(), chosen.sum())),
        ("most active", 0, best(activity, chosen.sum())),
    ]
    for draw in range(draws):
        order = np.random.default_rng([*key, draw]).random(len(actor))
        sets.append(("random firing", draw, best(order + (activity > 0), chosen.sum())))
        sets.append(("matched", draw, matched(chosen, activity, actor.layer.to_numpy(), order)))
    return sets


def matched(chosen, activity, layer, order):
    """For each chosen neuron another one of its layer that is not chosen, the nearest in mean activation -> bool [N].

    Without replacement, the chosen in the sequence of `order` [N]; where a layer has no more to give, none.
    """
    taken, free = np.zeros(len(chosen), bool), ~chosen
    for n in np.flatnonzero(chosen)[np.argsort(order[chosen], kind="stable")]:
        others = np.flatnonzero(free & (layer == layer[n]))
        if len(others):
            nearest = others[np.abs(activity[others] - activity[n]).argmin()]
            taken[nearest], free[nearest] = True, False
    return taken


def silence_rows(agent, method, task, seed, episodes, train, actor, draws):
    """Success of one agent on a task with nothing silenced and with each set of silence_sets.

    train: as in run.json. Columns choice, draw, neurons (how many are silenced), activity (their mean activation in the scoring
    rollout; 0 of none), success (the performance in `episodes` episodes, see measure.py). Empty if no neuron
    was chosen (unscored).
    """
    rows, widths = [], actor.groupby("layer").size().tolist()
    if not actor.chosen.any():
        return pd.DataFrame(columns=["choice", "draw", "neurons", "activity", "success"])
    for choice, draw, off in [("nothing", 0, None), *silence_sets(actor, draws, [seed, int(actor.position.iloc[0])])]:
        masks = (
            None if off is None else {"actor": [m[None, None, None] for m in torch.tensor(off).split(widths)]}
        )  # [1, 1, 1, W]
        (success,) = measure(agent, task, [seed], episodes, train, silence=masks, method=method)
        rows.append(
            {
                "choice": choice,
                "draw": draw,
                "neurons": 0 if off is None else int(off.sum()),
                "activity": float(actor.mean_activation[off].mean()) if off is not None and off.any() else 0.0,
                "success": success,
            }
        )
    return pd.DataFrame(rows)


def best(scores, count):
    """The `count` largest of scores [N] -> bool [N]; ties go to the lower index."""
    chosen = np.zeros(len(scores), bool)
    chosen[np.argsort(-np.asarray(scores), kind="stable")[:count]] = True
    return chosen


def jaccard(a, b):
    """Size of the intersection over size of the union of two sets given as bool [N]; NaN if both are empty."""
    union = (a | b).sum()
    return float((a & b).sum() / union) if union else math.nan


def expected_jaccard(N, a, b):
    """Mean Jaccard overlap of independent uniform sets of a and b out of N (hypergeometric, exact); NaN if both empty."""
    ways = {i: math.comb(a, i) * math.comb(N - a, b - i) for i in range(max(0, a + b - N), min(a, b) + 1)}
    total = sum(ways.values())
    return sum(n / total * i / (a + b - i) for i, n in ways.items()) if a + b else math.nan


def overlap_rows(neurons):
    """Jaccard overlap of the chosen neurons of two networks: columns comparison, arm, network, jaccard, expected.

    Comparisons: "two halves of a rollout" (choices by score_first and score_second), "two tasks" and "two visits of a
    task" (same seed, different positions), "two seeds" (same position). Unscored networks take no part.
    """
    rows, keys = [], ["arm", "seed", "position", "task"]
    for (arm, network), here in neurons.dropna(subset="score").groupby(["arm", "network"], sort=False):
        sets = {key: rows_of.sort_values(["layer", "neuron"]) for key, rows_of in here.groupby(keys)}
        pairs = [
            ("two halves of a rollout", best(s.score_first, s.chosen.sum()), best(s.score_second, s.chosen.sum()))
            for s in sets.values()
            if s[["score_first", "score_second"]].notna().all(axis=None)
        ]
        for (one, a), (two, b) in itertools.combinations(sets.items(), 2):
            same_seed, same_position, same_task = one[1] == two[1], one[2] == two[2], one[3] == two[3]
            kind = (
                ("two visits of a task" if same_task else "two tasks")
                if same_seed
                else "two seeds"
                if same_position
                else None
            )
            if kind:
                pairs.append((kind, a.chosen.to_numpy(bool), b.chosen.to_numpy(bool)))
        rows += [
            {
                "comparison": kind,
                "arm": arm,
                "network": network,
                "jaccard": jaccard(a, b),
                "expected": expected_jaccard(len(a), int(a.sum()), int(b.sum())),
            }
            for kind, a, b in pairs
        ]
    order = ["two halves of a rollout", "two visits of a task", "two tasks", "two seeds"]
    frame = pd.DataFrame(rows, columns=["comparison", "arm", "network", "jaccard", "expected"])
    return frame.sort_values("comparison", key=lambda c: c.map(order.index), kind="stable", ignore_index=True)


def held_out_rows(neurons):
    """Agreement of in-sample and held-out scores of the second half: a row an agent and network, with rank_correlation
    (Spearman), jaccard and expected (of random sets).

    In-sample: thresholds from the same episodes; held out: from the other half. As many are chosen as in `chosen`.
    """
    rows, keys = [], ["arm", "seed", "position", "task", "network"]
    for key, here in neurons.dropna(subset=["score_second", "score_held_out"]).groupby(keys, sort=False):
        a, b, count = here.score_second, here.score_held_out, here.chosen.sum()
        varies = a.nunique() > 1 and b.nunique() > 1
        rows.append(
            dict(zip(keys, key, strict=True))
            | {
                "rank_correlation": a.rank().corr(b.rank()) if varies else math.nan,
                "jaccard": jaccard(best(a, count), best(b, count)),
                "expected": expected_jaccard(len(here), int(count), int(count)),
            }
        )
    return pd.DataFrame(rows, columns=[*keys, "rank_correlation", "jaccard", "expected"])
