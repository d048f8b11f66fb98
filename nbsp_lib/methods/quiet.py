"""Quiet: every neuron that a task used is frozen, and the others are kept silent on the stored states of that task."""

from __future__ import annotations

import torch

from nbsp_lib.methods.nbsp import NBSP


class Quiet(NBSP):
    """Freezes both ends of every neuron that fired on an old task, and penalises the others where they wake on old states (ours).

    The masks are those of NBSP with score "active", share 1, alpha 0, both ends, without replay. With these alone a neuron that
    was silent on the old task may fire on its states later and write into the output. So from the first task end on the loss of
    actor and critics has + weight · Σ_j mean_b h_j(s_b), in units of activation: j runs over the hidden neurons that fired in no
    scoring rollout, s_b over a batch of stored rows; critics see the stored action as well. No reward is replayed.
    Before the first task end the weight counts as 0, and so it does for a seed none of whose rollouts could be scored: it has no
    masks. The output layer's bias is free, as under NBSP. The target network is left alone: it follows the critics.
    """

    images = False  # a filter fires at many places, and what its silence would mean is not defined here

    def __init__(self, weight: float = 100.0):
        if weight < 0:
            raise ValueError(f"weight of the penalty must be >= 0, not {weight}")
        super().__init__(share=1.0, alpha=0.0, replay_every=0, score="active", ends="both")
        self.weight = weight

    def start(self, agent, settings):
        super().start(agent, settings)
        self.head = agent.head
        self.state["on"] = torch.zeros(len(agent.updates), device=agent.updates.device)  # [P]

    def penalty(self, net, params, old):
        if net.name == "actor":
            hidden = self.forward(net, params, old["obs"][:, None])[1]
        else:
            hidden = self.head.q_values(self, net, params, old["obs"], old["action"])[1]
        silent = [
            self.state[f"{net.name}.union{i}"] for i in range(net.depth - 1)
        ]  # 1 where a neuron never fired, else 0
        awake = sum((h.mean(2, keepdim=True) * unit).sum((1, 2, 3)) for h, unit in zip(hidden, silent, strict=True))
        return self.weight * self.state["on"] * awake

    def after_task(self, agent, task, context):
        """Freeze what fired in a rollout of this task; where anything is frozen, the penalty begins to count."""
        report = super().after_task(agent, task, context)
        units = [self.state[f"{net.name}.union{i}"] for net in agent.networks for i in range(net.depth - 1)]
        frozen = torch.stack([(unit < 1).flatten(1).any(1) for unit in units])  # [layers, P]
        self.state["on"].copy_(frozen.any(0))
        return report
