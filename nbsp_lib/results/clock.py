"""Does the score know the goal, or the clock? And what the length of the scored episodes decides.

One rollout of an agent is scored with its own labels and with controls: labels that only know the time, labels exchanged between
episodes, the other half of the episodes, and labels compared at equal times only. E episodes of T steps each, N neurons.
"""

from __future__ import annotations

import pandas as pd
import torch

from nbsp_lib.core.neurons import base_rate, constant_goal, silent, skill_scores, top_neurons
from nbsp_lib.methods.selection import exchanged, exchanges, late
from nbsp_lib.results.intervals import interval
from nbsp_lib.results.neuron_figures import NETWORK_COLOURS, name_networks
from nbsp_lib.results.neuron_tables import expected_jaccard, jaccard, networks
from nbsp_lib.results.reevaluate import agents
from nbsp_lib.results.style import MISSING, name_panel, panels, say
from nbsp_lib.training.rollout import play

PLACE = ["arm", "seed", "position", "task", "network"]
CLOCK = [*PLACE, "comparison", "jaccard", "expected"]
GIVEN = [*PLACE, "late", "moments", "chosen", "others", "exchanged"]
HORIZON = [*PLACE, "horizon", "base_rate", "silent", "chosen_silent"]


def given_time(hidden, goal, episodes):
    """How well "unusually active for this moment of an episode" agrees with "unusually good for it", per neuron, [P, N].

    hidden [P, E·T, N], goal [P, E·T]. The thresholds of Eq. 1–2 are means over the episodes at one time t; the hit rates on
    good and on other episodes are averaged (as in the score "balanced"), then over all t at which the goal metric varies over
    episodes: Acc, and max(Acc, 1 − Acc). A neuron that knows only the clock gets 0.5. NaN where the goal never varies so.
    """
    h, g = (
        hidden.unflatten(1, (episodes, -1)),
        goal.unflatten(1, (episodes, -1))[..., None],
    )  # [P, E, T, N], [P, E, T, 1]
    active, good = (h > h.mean(1, keepdim=True)).float(), (g > g.mean(1, keepdim=True)).float()
    varies = (good.sum(1) > 0).float()  # [P, T, 1]
    hit = (active * good).sum(1) / good.sum(1).clamp(min=1)  # [P, T, N]
    miss = ((1 - active) * (1 - good)).sum(1) / (1 - good).sum(1).clamp(min=1)
    accuracy = ((hit + miss) / 2 * varies).sum(1) / varies.sum(1)  # [P, N]
    return torch.maximum(accuracy, 1 - accuracy)


def choices(hidden, goal, episode, share, draw):
    """[(comparison, one choice, another)], bool [N] each, of one network's neurons, hidden [1, E·T, N]; draw: uniform numbers.

    The paper's choice against those by a label of time (selectors.late), by the mean of the goal metric at each time, by labels
    exchanged between episodes (selectors.exchanges, several) and by given_time; and the two halves of the episodes, the paper's
    score on either. A comparison whose labels are constant is left out.
    """
    count, half = int(episode.max()) + 1, int((episode < (int(episode.max()) + 1) // 2).sum())
    choose = lambda scores: top_neurons(scores, share)[0].numpy()
    own, pairs = choose(skill_scores(hidden, goal)), []
    usual = goal.view(1, count, -1).mean(1).repeat(1, count)  # [1, E·T]
    for name, labels in (("late in the episode", late(goal, episode)), ("mean goal at this time", usual)):
        if not bool(constant_goal(labels)[0]):
            pairs.append((name, own, choose(skill_scores(hidden, labels))))
    for labels in exchanges(goal, episode, draw):
        pairs.append(("labels of other episodes", own, choose(skill_scores(hidden, labels))))
    parts = (slice(None, half), slice(half, None))
    if not any(bool(constant_goal(goal[:, part])[0]) for part in parts):
        one, two = (choose(skill_scores(hidden[:, part], goal[:, part])) for part in parts)
        pairs.append(("two halves of a rollout", one, two))
    known = given_time(hidden, goal, count)
    if bool(torch.isfinite(known).all()):
        pairs.append(("goal given the time", own, choose(known)))
    return pairs


def clock_rows(hidden, goal, episode, share, draw):
    """(overlaps, given): per network the columns of CLOCK and of GIVEN from `network` on, of one rollout that can be scored.

    given: late (when the label of time begins), moments (share of the times at which the goal metric varies over episodes), and
    given_time of the chosen and of the others, and of what exchanged labels choose, scored with those labels.
    """
    overlaps, given, count = [], [], int(episode.max()) + 1
    begins = int((late(goal, episode)[0].view(count, -1) == 0).sum(1)[0])
    good = goal.view(count, -1) > goal.mean()
    moments = float((good.any(0) & ~good.all(0)).float().mean())
    for name, h, _ in networks(hidden):
        found = choices(h, goal, episode, share, draw)
        for comparison in dict.fromkeys(pair[0] for pair in found):
            pairs = [(a, b) for kind, a, b in found if kind == comparison]
            overlap, sizes = sum(jaccard(a, b) for a, b in pairs) / len(pairs), [int(one.sum()) for one in pairs[0]]
            overlaps.append([name, comparison, overlap, expected_jaccard(h.shape[2], *sizes)])
        known, other = given_time(h, goal, count)[0], exchanged(goal, episode, draw(torch.rand, goal.shape[1]))
        null, picked = given_time(h, other, count)[0], torch.from_numpy(found[0][1])
        chosen_null = top_neurons(skill_scores(h, other), share)[0]
        means = [scores.mean().item() for scores in (known[picked], known[~picked], null[chosen_null])]
        given.append([name, begins, moments, *means])
    return overlaps, given


def horizon_rows(hidden, goal, episodes, share, horizons):
    """[network, horizon, base_rate, silent, chosen_silent] of one rollout cut to the first `horizon` steps of each episode.

    silent: share of the network's neurons that never fire in what is left; chosen_silent: of those chosen by the paper's score
    there. NaN where the goal metric is constant in what is left; horizons beyond the rollout are left out.
    """
    rows, cut = [], lambda x, steps: x.unflatten(1, (episodes, -1))[:, :, :steps].flatten(1, 2)
    for name, h, _ in networks(hidden):
        for steps in (one for one in horizons if one <= goal.shape[1] // episodes):
            here, labels = cut(h, steps), cut(goal, steps)
            still = silent(here)
            row = [name, steps, float(base_rate(labels)), still.float().mean().item(), float("nan")]
            if bool(constant_goal(labels)[0]):
                row[2] = float("nan")
            else:
                row[4] = still[top_neurons(skill_scores(here, labels), share)].float().mean().item()
            rows.append(row)
    return rows


def score_controls(read, episodes, share, horizons):
    """(CLOCK, GIVEN, HORIZON) tables of every shipped network of {arm: results.Result} that has its critics.

    episodes: of each rollout on the task just trained; the labels of the clock see the training's length of an episode, the
    horizons of the networks of position 1 go as far as asked for, beyond it; those of later positions do not.
    """
    tables = [], [], []
    for arm, result in read.items():
        train = result.run["config"]["train"]
        for seed, position, task, agent, method in agents(result):
            longest = max(horizons) if position == 1 else train["episode"]
            played = play(agent, task, [seed], episodes, train | {"episode": longest}, hidden=True, method=method)
            goal, where = played.goal(train["goal"]), [arm, seed, position, task]
            tables[2].extend(where + row for row in horizon_rows(played.hidden, goal, episodes, share, horizons))
            cut = lambda x: x.unflatten(-1, (episodes, -1))[..., : train["episode"]].flatten(-2)  # noqa: B023
            goal, episode = cut(goal), cut(played.episode)
            if bool(constant_goal(goal)[0]):
                continue
            hidden = {name: [cut(h.mT).mT for h in layers] for name, layers in played.hidden.items()}
            generator = torch.Generator().manual_seed(1000 * seed + position)
            draw = lambda kind, *shape: kind((1, *shape), generator=generator)  # noqa: B023
            for table, rows in zip(tables, clock_rows(hidden, goal, episode, share, draw), strict=False):
                table.extend(where + row for row in rows)
    return tuple(
        pd.DataFrame(rows, columns=columns) for rows, columns in zip(tables, (CLOCK, GIVEN, HORIZON), strict=True)
    )


def over_seeds(rows, keys, measure):
    """One row a group of `keys`: n (seeds), mean, low, high: 95 % t interval over seeds of `measure`, of a seed its mean."""
    lines = []
    for key, here in rows.dropna(subset=measure).groupby(keys, sort=False):
        seeds = here.groupby("seed")[measure].mean()
        lines.append([*key, len(seeds), *interval([(1.0, seeds)])])
    return pd.DataFrame(lines, columns=[*keys, "n", "mean", "low", "high"])


def horizon_figure(rows, title):
    """Share of silent neurons among the chosen, and base rate, over the horizon; a row of panels a kind, a column a position.

    Thin: a seed and network; thick: the mean of a kind of network. Position 1 is shared by all arms.
    """
    positions = sorted(rows.position.unique()) or [1]
    figure, axes = panels(2, len(positions), 9.6 / len(positions), 1.7, title, sharex=True, sharey="row")
    for (upper, lower), position in zip(axes.T, positions, strict=True):
        here = rows[rows.position == position]
        scored = here.dropna(subset="chosen_silent").seed.nunique()
        name_panel(
            upper, f"{position}: {here.task.iloc[0]}, {scored} of {here.seed.nunique()} seeds" if len(here) else MISSING
        )
        if here.chosen_silent.isna().all():
            say(upper, "unscored")
            say(lower, "unscored")
            continue
        for network, lines in here.groupby("network"):
            for ax, measure in ((upper, "chosen_silent"), (lower, "base_rate")):
                colour = NETWORK_COLOURS.get(network) if measure == "chosen_silent" else "#333333"
                wide = lines.pivot_table(index="horizon", columns="seed", values=measure)
                ax.plot(wide.index, wide, color=colour, lw=0.7, alpha=0.6)
                ax.plot(wide.index, wide.mean(axis=1), color=colour, lw=2)
        upper.set_ylim(-0.04, 1.04)
    name_networks(axes[0, 0], 0.9, -0.13)
    axes[0, 0].set_ylabel("silent among\nthe chosen", fontsize=8)
    axes[1, 0].set_ylabel("base rate", fontsize=8)
    figure.supxlabel("steps of an episode that the score sees; thin: a seed, thick: the mean", fontsize=8)
    return figure
