"""Ways to choose neurons other than by their score: statistics that NBSP ranks hidden neurons by, and labels that are not the
goal metric.

P population, C parallel networks, W width of a layer, N all hidden neurons of a network, T moments of the scoring rollout.
episode [P, T]: the episode or game of each moment, never falling.
"""
from __future__ import annotations

import torch

from nbsp_lib.core.neurons import importance, incoming_norm, skill_scores, top_neurons, unit_activity

ROWS = 1024         # of recent experience, for importance
DRAWS = 10          # exchanges of the labels that a null is the mean of
STATISTICS = {      # of layer i of a net, [P, C, W]; h: its activations in the scoring rollout; blamed: see World.blame
    "random": lambda net, i, h, blamed, draw: draw(torch.rand, *net.params[f"b{i}"].shape[1::2]),
    "activation": lambda net, i, h, blamed, draw: h.abs().mean(2),
    "active": lambda net, i, h, blamed, draw: h.abs().mean(2),
    "weight": lambda net, i, h, blamed, draw: incoming_norm(net.params[f"w{i}"], net.params[f"b{i}"]),
    "importance": lambda net, i, h, blamed, draw: importance(*(layers[net.name][i] for layers in blamed)),
    "dormant": lambda net, i, h, blamed, draw: unit_activity(h),
}
LABELS = {          # other labels of the moments, [P, T], that neurons are scored with by Eq. 1–4
    "time": lambda goal, episode, draw: late(goal, episode),
    "shuffled": lambda goal, episode, draw: exchanged(goal, episode, draw(torch.rand, episode.shape[1])),
}


def ranks(name, agent, hidden, context, goal, episode, rows):
    """{network: [P, C, N]}, what its neurons are chosen by, the highest first, or None where that is their own score.

    name: a key of STATISTICS, of LABELS, or of neurons.SCORES; hidden {network: [P, C, T, W] for each layer} of a rollout with
    the goal metric `goal` [P, T]; rows: seeds whose goal metric varies. Of other seeds LABELS say nothing: zeros.
    """
    if name in LABELS:
        labels = LABELS[name](goal, episode, context.draw)
        layer = lambda net, i: by_label(labels, hidden[net.name][i], rows)
    elif name in STATISTICS:
        blamed = context.blame(ROWS) if name == "importance" else ()
        layer = lambda net, i: STATISTICS[name](net, i, hidden[net.name][i], blamed, context.draw)
    else:
        return dict.fromkeys(hidden)
    return {net.name: torch.cat([layer(net, i) for i in range(net.depth - 1)], -1) for net in agent.networks}


def chosen(name, by, share):
    """The best `share` of the neurons by [P', D, N], bool like it, see neurons.top_neurons; of "active" only those that fired."""
    best = top_neurons(by.flatten(0, 1), share).view_as(by)
    return best & (by > 0) if name == "active" else best


def by_label(labels, h, rows):
    """Eq. 4 of the neurons of a layer, h [P, C, T, W], with `labels` [P, T] in the place of the goal metric, [P, C, W]."""
    scores = h.new_zeros(*h.shape[:2], h.shape[3])
    for c in range(h.shape[1]):
        scores[rows, c] = skill_scores(h[rows, c], labels[rows])
    return scores


def time_of(episode):
    """How many moments of its own episode come before each moment, [P, T]."""
    return torch.arange(episode.shape[1], device=episode.device) - torch.searchsorted(episode.contiguous(), episode.contiguous())


def late(goal, episode):
    """A label that knows nothing but the clock, 0 or 1, [P, T]: whether t >= τ, t the moments of the episode before this one.

    τ: the median over episodes (the lower of two) of the first moment with a goal metric above its mean: of the first success.
    Where that is 0, as in games, whose goal metric does not change within one, the median of t; never below 1.
    """
    time, labels = time_of(episode), torch.zeros_like(goal)
    for p in range(len(goal)):
        good = goal[p] > goal[p].mean()
        firsts = [time[p, good & (episode[p] == e)].amin() for e in episode[p, good].unique()]
        first = torch.stack(firsts).median() if firsts else time.new_zeros(())
        labels[p] = time[p] >= (first if first > 0 else time[p].median()).clamp(min=1)
    return labels


def exchanged(goal, episode, u):
    """The goal metric [P, T] with whole episodes exchanged: each gets the labels of another one, drawn without replacement.

    u [P, T] uniform: the first as many as there are episodes decide, each seed's own. The moment t of an episode gets the label
    of the moment t of that other one, of a shorter one its last.
    """
    time, labels = time_of(episode), torch.empty_like(goal)
    for p in range(len(goal)):
        _, number, length = episode[p].unique_consecutive(return_inverse=True, return_counts=True)
        other = u[p, :len(length)].argsort()[number]                                        # [T]
        labels[p] = goal[p, (length.cumsum(0) - length)[other] + torch.minimum(time[p], length[other] - 1)]
    return labels


def exchanges(goal, episode, draw):
    """DRAWS exchanges of the labels, a list of [P, T]; draw: World.draw."""
    return [exchanged(goal, episode, u) for u in draw(torch.rand, DRAWS, episode.shape[1]).unbind(1)]
