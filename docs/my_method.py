"""A method in one file: after each task the weights are pulled back to where they stood. Copy, change, check, run:
nbsp check-method docs/my_method.py:Anchor"""

import torch

from nbsp_lib.core.method import Method


class Anchor(Method):
    """L2 regularisation towards the weights of the last task end: loss + strength · Σ (θ − θ*)², in the actor.

    strength: 0 is plain SAC.
    """

    def __init__(self, strength: float = 1.0):
        super().__init__()
        self.strength = strength

    def start(self, agent, settings):
        for name, weights in agent.actor.params.items():  # [P, C, in, out] each
            self.state[f"actor.anchor.{name}"] = torch.zeros_like(weights)
        self.state["on"] = torch.zeros(len(agent.updates), device=agent.updates.device)  # [P], 0 before any task end

    def penalty(self, net, params, old):
        if net.name != "actor":
            return 0.0
        apart = [
            (weights - self.state[f"actor.anchor.{name}"]).pow(2).flatten(1).sum(1) for name, weights in params.items()
        ]
        return self.strength * self.state["on"] * torch.stack(apart).sum(0)  # [P]: one number a seed

    def after_task(self, agent, task, context):
        for name, weights in agent.actor.params.items():
            self.state[f"actor.anchor.{name}"].copy_(weights)  # in place: a GPU graph knows the address
        self.state["on"].fill_(1.0)
