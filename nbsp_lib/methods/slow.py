"""A control: every method that masks neurons also learns less. How much does plain slow learning keep?"""

from __future__ import annotations

import torch

from nbsp_lib.core.method import Method


class Slow(Method):
    """A lower learning rate for every neuron from the first task end on (ours; a control for NBSP and other masks).

    Step of actor and critics: Δθ ← factor · Δθ after Adam, so it is the learning rate that is multiplied, and Adam's moments
    see the same gradients. factor: in [0, 1]; 1 is fine-tuning, 0 stops all learning.
    Position 1 is learned at the full rate, because there is nothing to keep yet and every method learns it alike: what
    differs afterwards is due to the later positions alone. The temperature is not slowed, as no mask slows it. The target
    network follows the slowed critics at its own rate tau.
    """

    def __init__(self, factor: float = 0.3):
        super().__init__()
        if not 0 <= factor <= 1:
            raise ValueError(f"factor of the learning rate must be in [0, 1], not {factor}")
        self.factor = factor

    def start(self, agent, settings):
        self.state["rate"] = torch.ones(len(agent.updates), 1, 1, 1, device=agent.updates.device)

    def shape_step(self, net, steps, noise):
        return {k: step * self.state["rate"] for k, step in steps.items()}

    def after_task(self, agent, task, context):
        self.state["rate"].fill_(self.factor)
