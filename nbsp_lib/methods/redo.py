"""ReDo: reinitialises dormant units at regular intervals."""

from __future__ import annotations

import math

import torch

from nbsp_lib.core.method import Method

ROWS = 256  # of recent experience that activity is measured on, as in the authors' SAC


class ReDo(Method):
    """Recycling dormant neurons (Sokar et al. 2023), in every hidden layer of the actor and both critics.

    s_i = mean |h_i| / (mean of that over the layer + 1e-9) on 256 recent rows, the actor on obs, the critics on (obs, action).
    Units with s_i <= threshold are recycled: incoming weights and bias drawn as at the start, uniform in ±1/sqrt(inputs),
    outgoing weights 0, Adam's moments and clock of all of them as if never updated. every: updates between two measurements;
    they happen at the first end of a round of episodes after that. An exactly silent unit (s_i = 0) is recycled without any
    change of the output; a merely quiet one changes it a little.
    The target network gets the same columns and rows.
    Departures (ours): rows from the replay instead of a training batch; targets are recycled (the authors' SAC leaves them);
    clocks are reset with the moments; the bias is drawn, as PyTorch draws it at the start (the authors' starts at 0, and is 0).
    """

    forkable = False  # recycles during the first task too
    images = False  # a unit's outgoing weights are one row of the next layer

    def __init__(self, threshold: float = 0.025, every: int = 1000):
        super().__init__()
        if threshold < 0 or every < 1:
            raise ValueError(f"redo needs threshold >= 0 and every >= 1, not {threshold}, {every}")
        self.threshold, self.every = threshold, every

    def start(self, agent, settings):
        self.state["last"] = torch.zeros_like(agent.updates)  # [P, 1] updates when it was measured last
        for net in agent.networks:
            net.time_units()

    def periodic(self, agent, context):
        if (agent.updates - self.state["last"] < self.every).any():  # the same in all seeds
            return
        self.state["last"].copy_(agent.updates)
        batch = context.sample(ROWS)
        inputs = agent.head.inputs(batch)
        for net in agent.networks:
            hidden = self.forward(net, net.params, inputs[net.name])[1]
            # From the last layer to the first: a weight between two recycled units ends as an outgoing one, 0.
            for i, h in reversed(list(enumerate(hidden))):
                size = h.abs().mean(2, keepdim=True)  # [P, C, 1, W]
                unit = size / (size.mean(3, keepdim=True) + 1e-9) <= self.threshold
                self.recycle(net, agent.target if net is agent.critic else None, i, unit, context)

    def recycle(self, net, target, i, unit, context):
        """Draws new weights for the units of hidden layer i in `unit`, bool [P, C, 1, W]."""
        w, b, out = f"w{i}", f"b{i}", f"w{i + 1}"
        _, C, n_in, width = net.params[w].shape
        fresh = context.draw(torch.rand, C, n_in + 1, width).mul_(2).sub_(1).div_(math.sqrt(n_in))
        for params in (net.params, target) if target else (net.params,):
            params[w].copy_(torch.where(unit, fresh[:, :, :-1], params[w]))
            params[b].copy_(torch.where(unit, fresh[:, :, -1:], params[b]))
            params[out].masked_fill_(unit.mT, 0.0)
        for moment in (net.m, net.v):
            moment[w].masked_fill_(unit, 0.0)
            moment[b].masked_fill_(unit, 0.0)
            moment[out].masked_fill_(unit.mT, 0.0)
        net.clocks[i][0].masked_fill_(unit, 0.0)
