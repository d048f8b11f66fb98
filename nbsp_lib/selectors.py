"""Ways to choose neurons other than by their score: statistics that NBSP ranks all hidden neurons of a network by.

P population, C parallel networks, W width of a layer, N all hidden neurons of a network.
"""
from __future__ import annotations

import torch

from nbsp_lib.neurons import importance, incoming_norm, unit_activity

ROWS = 1024         # of recent experience, for importance
STATISTICS = {      # of layer i of a net, [P, C, W]; h: its activations in the scoring rollout; blamed: see World.blame
    "random": lambda net, i, h, blamed, draw: draw(torch.rand, *net.params[f"b{i}"].shape[1::2]),
    "activation": lambda net, i, h, blamed, draw: h.abs().mean(2),
    "weight": lambda net, i, h, blamed, draw: incoming_norm(net.params[f"w{i}"], net.params[f"b{i}"]),
    "importance": lambda net, i, h, blamed, draw: importance(*(layers[net.name][i] for layers in blamed)),
    "dormant": lambda net, i, h, blamed, draw: unit_activity(h),
}


def ranks(name, agent, hidden, world):
    """{network: [P, C, N]}, what its neurons are chosen by, the highest first, or None where that is their own score.

    name: a key of STATISTICS, or of neurons.SCORES; hidden {network: [P, C, T, W] for each layer} of a rollout.
    """
    if name not in STATISTICS:
        return dict.fromkeys(hidden)
    blamed = world.blame(ROWS) if name == "importance" else ()
    layer = lambda net, i: STATISTICS[name](net, i, hidden[net.name][i], blamed, world.draw)
    return {net.name: torch.cat([layer(net, i) for i in range(net.depth - 1)], -1) for net in agent.networks}
