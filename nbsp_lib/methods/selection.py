"""Scores the neurons of a network and chooses among them, by their score, by other statistics, or by other labels.

P population, C parallel networks, W width of a layer, N all hidden neurons of a network, T moments of the scoring rollout.
episode [P, T]: the episode or game of each moment, never falling.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from nbsp_lib.core.nets import Net
from nbsp_lib.core.neurons import (
    SCORES,
    base_rate,
    constant_goal,
    importance,
    incoming_norm,
    skill_scores,
    top_neurons,
    unit_activity,
)
from nbsp_lib.core.neurons import silent as silent_neurons

ROWS = 1024  # of recent experience, for importance
DRAWS = 10  # exchanges of the labels that a null is the mean of


def random(agent, hidden, context):
    """Returns uniform numbers, {network: [P, C, W] of each layer} like all statistics below."""
    biases = lambda net: [net.params[f"b{i}"] for i in range(net.depth - 1)]
    return {net.name: [context.draw(torch.rand, *b.shape[1::2]) for b in biases(net)] for net in agent.networks}


def activation(agent, hidden, context):
    """Returns the mean |h| over the rollout."""
    return {name: [h.abs().mean(2) for h in layers] for name, layers in hidden.items()}


def weight(agent, hidden, context):
    """Returns the norm of the incoming weights and the bias."""
    norm = lambda net, i: incoming_norm(net.params[f"w{i}"], net.params[f"b{i}"])
    return {net.name: [norm(net, i) for i in range(net.depth - 1)] for net in agent.networks}


def loss_importance(agent, hidden, context):
    """Returns neurons.importance on recent rows."""
    recent, blame = context.blame(ROWS)
    return {name: [importance(*layer) for layer in zip(recent[name], blame[name])] for name in hidden}


def dormant(agent, hidden, context):
    """Returns neurons.unit_activity over the rollout."""
    return {name: [unit_activity(h) for h in layers] for name, layers in hidden.items()}


STATISTICS = {
    "random": random,
    "activation": activation,
    "active": activation,
    "weight": weight,
    "importance": loss_importance,
    "dormant": dormant,
}


def ranks(name, agent, hidden, goal, episode, context):
    """Returns what neurons are chosen by, the highest first, {network: [P, C, N]}, or None if that is their own score.

    name: one of nbsp.Score. hidden {network: [P, C, T, W] of each layer} and the goal metric goal [P, T] are those of a rollout.
    A seed with a constant goal metric gets zeros for labels other than the goal metric.
    """
    if name in SCORES:
        return None
    if name in STATISTICS:
        found = STATISTICS[name](agent, hidden, context)
    else:
        labels = (
            late(goal, episode)
            if name == "time"
            else exchanged(goal, episode, context.draw(torch.rand, episode.shape[1]))
        )
        rows = (~constant_goal(goal)).nonzero().flatten()
        found = {network: [by_label(labels, h, rows) for h in layers] for network, layers in hidden.items()}
    return {network: torch.cat(layers, -1) for network, layers in found.items()}


def chosen(name, by, share):
    """Returns the best `share` of the neurons by [P', D, N], bool like it; "active" chooses only neurons that fired."""
    best = top_neurons(by.flatten(0, 1), share).view_as(by)
    return best & (by > 0) if name == "active" else best


@dataclass(frozen=True)
class Scored:
    """The N hidden neurons of one network, scored with the true labels and with D exchanges of them in P' of the P seeds."""

    net: Net
    c: int  # of two critics, 0 or 1
    rows: torch.Tensor  # [P'] seeds whose goal metric varies
    scores: torch.Tensor  # [P', 1 + D, N], the true labels first
    chosen: torch.Tensor  # [P', 1 or 1 + D, N] bool
    base: torch.Tensor  # [P] score of a silent neuron
    silent: torch.Tensor  # [P] share of silent neurons


def scored(method, agent, hidden, goal, episode, context):
    """Returns a Scored of the actor and of each critic. method: an NBSP; the rest: see `ranks`."""
    rows = (~constant_goal(goal)).nonzero().flatten()
    other = ranks(method.score, agent, hidden, goal, episode, context)
    formula = method.score if method.score in SCORES else "paper"
    labels = [goal, *(exchanges(goal, episode, context.draw) if method.share else ())]  # the true ones first
    parts = [(net, c) for net in agent.networks for c in range(net.params["b0"].shape[1])]
    scores, by, silent = [], [], []  # of each part
    for net, c in parts:
        activity = torch.cat([layer[:, c] for layer in hidden[net.name]], -1)  # [P, T, N]
        silent.append(silent_neurons(activity).float().mean(1))
        activity = activity[rows]
        scores.append(torch.stack([skill_scores(activity, q[rows], formula) for q in labels], 1))
        by.append(other[net.name][rows, c][:, None] if other else scores[-1])
    groups = [torch.cat(by, -1)] if method.pooled else by  # one ranking each
    picked = torch.cat([chosen(method.score, group, method.share) for group in groups], -1)
    base, picked = base_rate(goal, formula), picked.split([one.shape[-1] for one in by], -1)
    return [Scored(net, c, rows, *of, base, still) for (net, c), *of, still in zip(parts, scores, picked, silent)]


def by_label(labels, h, rows):
    """Scores the neurons of a layer, h [P, C, T, W], by Eq. 4 with `labels` [P, T] in place of the goal metric, [P, C, W]."""
    scores = h.new_zeros(*h.shape[:2], h.shape[3])
    for c in range(h.shape[1]):
        scores[rows, c] = skill_scores(h[rows, c], labels[rows])
    return scores


def time_of(episode):
    """Returns the number of moments of the same episode before each moment, [P, T]."""
    return torch.arange(episode.shape[1], device=episode.device) - torch.searchsorted(
        episode.contiguous(), episode.contiguous()
    )


def late(goal, episode):
    """Returns a label computed from time only, 0 or 1, [P, T]: whether t >= τ, with t the time in the episode.

    τ: the median over episodes (the lower of two) of the first moment with a goal metric above its mean: of the first success.
    Where that is 0, as in games, whose goal metric is constant within a game, the median of t; never below 1.
    """
    time, labels = time_of(episode), torch.zeros_like(goal)
    for p in range(len(goal)):
        good = goal[p] > goal[p].mean()
        firsts = [time[p, good & (episode[p] == e)].amin() for e in episode[p, good].unique()]
        first = torch.stack(firsts).median() if firsts else time.new_zeros(())
        labels[p] = time[p] >= (first if first > 0 else time[p].median()).clamp(min=1)
    return labels


def exchanged(goal, episode, u):
    """Returns the goal metric [P, T] with whole episodes exchanged: each gets the labels of another, drawn without
    replacement.

    u [P, T] uniform: its first entries, one for each episode of a seed, decide. Moment t of an episode gets the label of
    moment t of the other episode, or its last label if it is shorter.
    """
    time, labels = time_of(episode), torch.empty_like(goal)
    for p in range(len(goal)):
        _, number, length = episode[p].unique_consecutive(return_inverse=True, return_counts=True)
        other = u[p, : len(length)].argsort()[number]  # [T]
        labels[p] = goal[p, (length.cumsum(0) - length)[other] + torch.minimum(time[p], length[other] - 1)]
    return labels


def exchanges(goal, episode, draw):
    """Returns DRAWS exchanges of the labels, a list of [P, T]; draw: Context.draw."""
    return [exchanged(goal, episode, u) for u in draw(torch.rand, DRAWS, episode.shape[1]).unbind(1)]
