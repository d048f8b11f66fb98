"""CBP: after every update, the least useful mature unit of a layer may be reinitialised."""

from __future__ import annotations

import math

import torch

from nbsp_lib.core.method import Method


def put(tensor, dim, index, due, value):
    """Writes `value` into the one row or column `index` [P, C, 1, 1] of each network along `dim`, where `due`."""
    index = index.expand([1 if d == dim else n for d, n in enumerate(tensor.shape)])
    tensor.scatter_(dim, index, torch.where(due, value, tensor.gather(dim, index)))


class CBP(Method):
    """Continual backpropagation (Dohare et al. 2024), in every hidden layer of the actor and both critics.

    After each update, for unit i of a layer: age += 1; u <- eta u + (1 − eta) mean_k |w_out[i, k]| mean_b |h_i|, with h on the
    batch of that network's own loss; utility u / (1 − eta^age). Units with age > maturity (updates) are eligible. The layer is
    owed rho (share per update) times their number of new units, fractions add up, and once 1 is owed the eligible unit of
    lowest utility is made new: incoming weights drawn as at the start, uniform in ±1/sqrt(inputs), bias, outgoing weights,
    u and age 0, Adam's moments and clock of all of them as if never updated. rho 0 replaces nothing.
    The target network gets the same columns and rows, otherwise it would follow a unit that is gone.
    Departures (ours): rho 1e-5 instead of 1e-4, for the same turnover per step: SAC makes about one update per environment
    step, the source's PPO 0.08. At most one unit a layer and update, hence ValueError if rho · width > 1. Adam is reset as the
    paper means it (the RL code resets nothing). No mean activation goes into the next bias (there it has no effect).
    """

    forkable = False  # utilities are gathered from the first update on
    images = False  # a unit's outgoing weights are one row of the next layer

    def __init__(self, rho: float = 1e-5, maturity: int = 10_000, eta: float = 0.99):
        super().__init__()
        if rho < 0 or maturity < 0 or not 0 < eta < 1:
            raise ValueError(f"cbp needs rho >= 0, maturity >= 0 and 0 < eta < 1, not {rho}, {maturity}, {eta}")
        self.rho, self.maturity, self.eta = rho, maturity, eta

    def start(self, agent, settings):
        for net in agent.networks:
            net.time_units()
            for i in range(net.depth - 1):
                unit = net.params[f"b{i}"]  # [P, C, 1, W]
                if self.rho * unit.shape[-1] > 1:
                    raise ValueError(f"rho {self.rho} replaces more than one of {unit.shape[-1]} units an update")
                self.state[f"{net.name}.utility{i}"] = torch.zeros_like(unit)
                self.state[f"{net.name}.age{i}"] = torch.zeros_like(unit)
                self.state[f"{net.name}.owed{i}"] = torch.zeros_like(unit[..., :1])

    def noise(self, agent):
        """Asks for the incoming weights of one unit of each layer."""
        shape = lambda net, i: (*net.params[f"w{i}"].shape[1:3], 1)  # [C, in, 1]
        return {f"{net.name}.unit{i}": shape(net, i) for net in agent.networks for i in range(net.depth - 1)}

    def after_update(self, agent, batch, noise, hidden, blame):
        for net in agent.networks:
            for i, h in enumerate(hidden[net.name]):
                lowest, due = self.choose(net, i, h)
                normal = noise[f"{net.name}.unit{i}"]
                # erf makes uniform numbers in ±1 of normal ones
                fresh = torch.erf(normal / math.sqrt(2)) / math.sqrt(normal.shape[2])  # [P, C, in, 1]
                self.replace(net, agent.target if net is agent.critic else None, i, lowest, due, fresh)

    def choose(self, net, i, h):
        """Updates the utilities of layer i -> (eligible unit of lowest utility, whether it is replaced), both [P, C, 1, 1]."""
        utility, age, owed = (self.state[f"{net.name}.{what}{i}"] for what in ("utility", "age", "owed"))
        age.add_(1)
        reach = net.params[f"w{i + 1}"].abs().mean(3) * h.abs().mean(2)  # [P, C, W]
        utility.lerp_(reach[:, :, None], 1 - self.eta)
        eligible = age > self.maturity
        owed.add_(eligible.sum(-1, keepdim=True), alpha=self.rho)
        corrected = utility / -torch.expm1(
            age * math.log(self.eta)
        )  # the last bit of a power depends on the other seeds
        lowest = torch.where(eligible, corrected, math.inf).argmin(-1, keepdim=True)
        due = (owed >= 1) & eligible.any(-1, keepdim=True)
        owed.sub_(due.float())
        return lowest, due

    def replace(self, net, target, i, unit, due, fresh):
        w, b, out = f"w{i}", f"b{i}", f"w{i + 1}"
        for params in (net.params, target) if target else (net.params,):
            put(params[w], 3, unit, due, fresh)
            put(params[b], 3, unit, due, 0.0)
            put(params[out], 2, unit, due, 0.0)
        for moment in (net.m, net.v):
            put(moment[w], 3, unit, due, 0.0)
            put(moment[b], 3, unit, due, 0.0)
            put(moment[out], 2, unit, due, 0.0)
        for count in (net.clocks[i][0], self.state[f"{net.name}.utility{i}"], self.state[f"{net.name}.age{i}"]):
            put(count, 3, unit, due, 0.0)
