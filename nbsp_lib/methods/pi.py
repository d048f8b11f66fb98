"""PI: every task end adds a fresh head and subtracts its frozen copy, so that the output stays the same at first."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from nbsp_lib.core import nets
from nbsp_lib.core.method import Method


class PI(Method):
    """Plasticity injection (Nikishin et al. 2023), of the actor and of both critics, at every task end.

    A network is an encoder, its first hidden layer φ, and a head h, all the rest. At an injection h freezes, and with fresh
    weights θ the output becomes h(φ) + h_θ(φ) − h_θ'(φ), θ' = θ, where only θ learns: the output is the same at first, and
    as many weights learn as before. The encoder learns on, through all heads, the frozen ones too.
    In general f = Σ_h s_h · head_h(φ), s = +1, 0, −1. Head 0 is the first, heads 2j − 1 (+) and 2j (−) are those of
    injection j; s = 0 until then. The actor's heads end before tanh: means and log standard deviations.
    injections: how many there is room for; later task ends inject nothing. On a GPU every head is always computed, so each
    of them adds the cost of two heads to every update from the start. 0: an ordinary network.
    Target network: gets the same fresh pair, so that Q̄ stays as it is; its earlier heads go on following the critics'.
    Adam: a new head begins with zero moments and its own count; the encoder keeps both. Ours: the port to SAC (the source
    injects once, in DQN), the encoder of one layer, an injection at each task end.
    """

    forkable = images = False  # its networks have other shapes; the encoder is one dense layer
    acts_from = ("actor.sign", "actor.learns", "critic.sign", "critic.learns")

    def __init__(self, injections: int = 3):
        super().__init__()
        if injections < 0:
            raise ValueError(f"injections: {injections} must be >= 0")
        self.heads = 1 + 2 * injections  # H

    def build(self, name, C, sizes, gens):
        """Makes "w0", "b0" as usual; "w1", … [P, C·H, in, out], head h of network c at c·H + h; heads > 0 are zero."""
        net = nets.mlp(name, C, sizes, gens)
        room = lambda p: torch.cat([p[:, :, None], p.new_zeros(*p.shape[:2], self.heads - 1, *p.shape[2:])], 2).flatten(
            1, 2
        )
        return nets.Net(name, {k: p if k.endswith("0") else room(p) for k, p in net.params.items()})

    def forward(self, net, params, x, probe=None):
        """Returns the output and the hidden activations [P, C, B, W] of the encoder, then of the layers of the head that
        learns. A probe has the shape of sac.make_probes: [P, C·H, B, W] for the heads. Eager code on a CPU skips unused heads.
        A graph serves all positions, and reading their number would wait for a GPU, so there all heads are computed."""
        sign, learns = self.state[f"{net.name}.sign"], self.state[f"{net.name}.learns"]
        H = self.heads if torch.compiler.is_compiling() or sign.device.type != "cpu" else int(sign[0].count_nonzero())
        used = lambda t: self.split(t)[:, :, :H].flatten(1, 2)
        x = F.relu(nets.linear(x, params["w0"], params["b0"])) + (probe[0] if probe else 0)  # [P, C, B, W]
        hidden, x = [x], x.repeat_interleave(H, 1)  # [P, C·H, B, W]
        for i in range(1, net.depth - 1):
            x = F.relu(nets.linear(x, used(params[f"w{i}"]), used(params[f"b{i}"]))) + (used(probe[i]) if probe else 0)
            hidden.append((x.unflatten(1, (-1, H)) * learns[:, None, :H, None, None]).sum(2))
        i = net.depth - 1
        out = nets.linear(x, used(params[f"w{i}"]), used(params[f"b{i}"])).unflatten(1, (-1, H))  # [P, C, H, B, out]
        return (out * sign[:, None, :H, None, None]).sum(2), hidden

    def split(self, t):
        return t.unflatten(1, (-1, self.heads))  # [P, C·H, …] -> [P, C, H, …]

    def start(self, agent, settings):
        for net in agent.networks:
            count, names = net.clocks[0]
            sign = (torch.arange(self.heads, device=count.device) == 0).float().repeat(len(count), 1)  # [P, H]
            self.state[f"{net.name}.sign"], self.state[f"{net.name}.learns"] = sign, sign.clone()
            own = count.expand(-1, net.params["b1"].shape[1], -1, -1).clone()  # [P, C·H, 1, 1]
            net.clocks = [(count, names[:2]), (own, names[2:])]

    def shape_step(self, net, steps, noise):
        learns = self.state[f"{net.name}.learns"]  # [P, H], the same for each of C
        learns = learns.repeat(1, net.params["b1"].shape[1] // self.heads)[:, :, None, None]
        return {k: step if k.endswith("0") else step * learns for k, step in steps.items()}

    def after_task(self, agent, task, context):
        """Injects into every network, if there is room."""
        used = int((self.state["actor.sign"][0] != 0).sum())
        if used == self.heads:
            return
        for net in agent.networks:
            count, names = net.clocks[1]
            for k in names:
                p, bound = (
                    net.params[k],
                    1 / math.sqrt(net.params[k.replace("b", "w")].shape[2]),
                )  # as nets.uniform_linear
                fresh = context.draw(torch.rand, p.shape[1] // self.heads, *p.shape[2:]).mul_(2).sub_(1).mul_(bound)
                for t in [p, agent.target[k]] if net is agent.critic else [p]:
                    self.split(t)[:, :, used : used + 2] = fresh[:, :, None]
            for t in (count, *(moments[k] for k in names for moments in (net.m, net.v))):
                self.split(t)[:, :, used] = 0
            sign, learns = self.state[f"{net.name}.sign"], self.state[f"{net.name}.learns"]
            sign[:, used], sign[:, used + 1] = 1, -1
            learns.zero_()[:, used] = 1
