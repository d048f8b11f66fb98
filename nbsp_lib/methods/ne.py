"""Neuroplastic expansion: networks begin sparse, and connections are added while the tasks are learned."""

from __future__ import annotations

import math

import torch

from nbsp_lib.core.budgets import longest
from nbsp_lib.core.method import Method

ROWS = 256  # of recent experience on which a unit must be silent to lose connections
BETAS = (0.9, 0.999)  # Adam's, see core/adam.py


def largest(score, count):
    """Returns which entries of each matrix of `score` [P, C, in, out] are among its `count` largest, bool; ties go to the
    first.

    count: a number, or one of each matrix [P, C, 1, 1].
    """
    order = score.flatten(2).argsort(dim=-1, descending=True, stable=True)
    return order.argsort(-1).view_as(score) < count


def first_counts(shapes, sparsity):
    """Returns the number of weights of each layer at the start, {name: count}, from {name: (in, out)}: Erdős–Rényi.

    A layer's share is proportional to (in + out) / (in · out), all together keep 1 − sparsity. A layer whose share exceeds all
    its weights is dense, and the others divide the rest.
    """
    sizes, dense = {k: a * b for k, (a, b) in shapes.items()}, set()
    while True:
        rest = (1 - sparsity) * sum(sizes.values()) - sum(sizes[k] for k in dense)
        unit = rest / sum(sum(shapes[k]) for k in shapes if k not in dense)
        over = {k for k in shapes if k not in dense and unit * sum(shapes[k]) > sizes[k]}
        if not over:
            return {k: sizes[k] if k in dense else round(unit * sum(shapes[k])) for k in shapes}
        dense |= over


class NE(Method):
    """Neuroplastic expansion (Liu et al. 2025) of the weights between hidden layers, in the actor and both critics.

    Start: a share `sparsity` of these weights is absent (0 and held there), Erdős–Rényi over the layers, the largest |w| of each
    network stay; the first and the last layer are dense. `events` times over all T updates of the sequence, here at update t:
    grow k = floor(alpha/2 (1 + cos(π t/T)) · room) absent weights of a layer, those of largest |dL/dw| in the last update,
    where room leads from sparsity to final_sparsity, which growth never passes; and prune weights that begin or end at a
    unit that is exactly silent on 256 recent rows, smallest |w| first, at most omega · (the number just grown). A grown
    weight starts at 0 with an Adam of its own: moments 0, bias corrections by its own age.
    Events happen at ends of rounds of episodes, so there are no more of them than rounds.
    The target critics have the masks of the critics: what is pruned there is 0 at once, what is grown follows by Polyak.
    This is the form of the paper, as far as known; the released code grows a constant number, prunes by |w| (its dormancy
    score is never found), skips the update of an event, and has sparse outer layers.
    Departures (ours): SAC instead of TD3; alpha, as the paper's factor of the cosine is of another quantity; the choice among
    the weights of silent units; no experience review, because a switch clears the experience that it would review.
    """

    forkable = False  # sparse from the start
    images = False  # rows and columns of dense layers are grown and pruned

    def __init__(
        self,
        sparsity: float = 0.8,
        final_sparsity: float = 0.25,
        alpha: float = 0.01,
        omega: float = 0.4,
        events: int = 190,
    ):
        super().__init__()
        if not 0 <= final_sparsity <= sparsity < 1 or not 0 <= omega < 1 or alpha < 0 or events < 1:
            raise ValueError("ne needs 0 <= final_sparsity <= sparsity < 1, 0 <= omega < 1, alpha >= 0 and events >= 1")
        self.sparsity, self.final_sparsity, self.alpha, self.omega, self.events = (
            sparsity,
            final_sparsity,
            alpha,
            omega,
            events,
        )

    @staticmethod
    def inner(net):
        """Returns the weights between hidden layers by name: (in, out)."""
        return {f"w{i}": tuple(net.params[f"w{i}"].shape[2:]) for i in range(1, net.depth - 1)}

    def start(self, agent, settings):
        self.state["events"] = torch.zeros_like(agent.updates)  # [P, 1] so far
        for net in agent.networks:
            if not self.inner(net):
                raise ValueError(
                    "ne thins out the weights between hidden layers, so it needs at least two hidden layers"
                )
            for k, count in first_counts(self.inner(net), self.sparsity).items():
                w = net.params[k]  # [P, C, in, out]
                self.state[f"{net.name}.mask.{k}"] = largest(w.abs(), count).to(w.dtype)
                for what in ("gradient", "first", "second"):  # last gradient; 1 − β₁^age and 1 − β₂^age of each weight
                    self.state[f"{net.name}.{what}.{k}"] = torch.zeros_like(w)
            self.cut(agent, net)

    def cut(self, agent, net):
        """Sets the absent weights of a network, and of its target, to 0."""
        for k in self.inner(net):
            mask = self.state[f"{net.name}.mask.{k}"]
            net.params[k].mul_(mask)
            if net is agent.critic:
                agent.target[k].mul_(mask)

    def shape_grad(self, net, grads):
        for k in self.inner(net):
            self.state[f"{net.name}.gradient.{k}"].copy_(grads[k])
        return grads

    def shape_step(self, net, steps, noise):
        """Keeps absent weights; present ones take the step of an Adam of their own. Corrections are carried along: powers are
        slow."""
        count, shaped = net.clocks[0][0], {}  # [P, 1, 1, 1]
        whole = [-torch.expm1(count * math.log(beta)) for beta in BETAS]
        for k in self.inner(net):
            mask, *own = (self.state[f"{net.name}.{what}.{k}"] for what in ("mask", "first", "second"))
            for correction, beta in zip(own, BETAS):
                correction.mul_(beta).add_(1 - beta)
            first, second = (torch.minimum(a, b) for a, b in zip(own, whole))  # nothing is older than the clock
            shaped[k] = steps[k] * mask * (whole[0] / first) * (second / whole[1]).sqrt()
        return steps | shaped

    def periodic(self, agent, context):
        s, t = context.settings, int(agent.updates[0, 0])  # the same in all seeds
        end = round(len(agent.positions) * (longest(s.steps) - s.random_steps) * s.updates_per_step)
        number = t * self.events // end
        if number <= int(self.state["events"][0, 0]):
            return
        self.state["events"].fill_(number)
        share = self.alpha / 2 * (1 + math.cos(math.pi * min(t / end, 1)))
        batch = context.sample(ROWS)
        inputs = agent.head.inputs(batch)
        for net in agent.networks:
            hidden = self.forward(net, net.params, inputs[net.name])[1]
            silent = [(h == 0).all(2, keepdim=True) for h in hidden]  # [P, C, 1, W]
            for k, count in first_counts(self.inner(net), self.sparsity).items():
                i, limit = int(k[1:]), round((1 - self.final_sparsity) * math.prod(self.inner(net)[k]))
                self.rewire(net, k, math.floor(share * max(limit - count, 0)), limit, silent[i - 1].mT | silent[i])
            self.cut(agent, net)

    def rewire(self, net, k, wanted, limit, idle):
        """Grows `wanted` weights of the layer `k`, at most up to `limit`, and prunes among those in `idle`."""
        mask, gradient, first, second = (
            self.state[f"{net.name}.{what}.{k}"] for what in ("mask", "gradient", "first", "second")
        )
        present = mask > 0
        left = (limit - present.sum((2, 3), keepdim=True)).clamp_min(0)
        grow = left.clamp_max(wanted)  # [P, C, 1, 1]
        grown = ~present & largest(torch.where(present, -1.0, gradient.abs()), grow)
        idle = present & idle
        pruned = idle & largest(torch.where(idle, -net.params[k].abs(), -math.inf), (self.omega * grow).floor())
        mask.copy_((present | grown) & ~pruned)
        for t in (net.m[k], net.v[k], first, second):
            t.masked_fill_(grown, 0.0)
