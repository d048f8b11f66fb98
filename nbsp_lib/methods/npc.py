"""NPC: a neuron that was important for the loss of an earlier task learns more slowly afterwards."""

from __future__ import annotations

import torch

from nbsp_lib.core.method import Method
from nbsp_lib.core.neurons import importance

TINY = 1e-30  # keeps 0/0 away; no importance above 0 that matters is as small


class NPC(Method):
    """Neuron-level plasticity control (Paik et al. 2020; formulas from summaries, no code or full text was at hand).

    Importance of a hidden neuron in one update: Ĉ = mean_b |h ∂L/∂h| over its root mean square in the layer, see
    neurons.importance; critics by their loss, actor by its own. C: mean of Ĉ over the position, exponential, corrected for its
    start at 0. Task end: I ← max(I, C), and C starts anew. The Adam step of a neuron's incoming weights and bias is
    multiplied by m = sqrt(tanh(b I) / (b I)), 1 at I = 0; the output layer is free.
    strength: b, about m⁻² of an average neuron (I = 1): 100 lets it keep a tenth of its step; 0 is fine-tuning.
    delta: share of C that is left after one update; 0.999 averages the last thousand.
    The target network is not held back: it follows the critics. Not forkable, because C is gathered from the first update.
    Ours: steps instead of SGD's learning rates, which Adam would undo if they were put on gradients; no 1/t, which would
    stop all learning after 10⁶ updates; maximum over tasks; no learning rate above the base one.
    """

    forkable = False
    needs_blame = True
    images = False  # importance is that of one number a unit

    def __init__(self, strength: float = 100.0, delta: float = 0.999):
        super().__init__()
        if strength < 0 or not 0 <= delta < 1:
            raise ValueError(f"strength must be >= 0 and delta in [0, 1), not {strength} and {delta}")
        self.strength, self.delta = strength, delta

    def start(self, agent, settings):
        self.state["count"] = torch.zeros_like(agent.updates)  # [P, 1] updates in C
        for net in agent.networks:
            for i in range(net.depth - 1):
                unit = net.params[f"b{i}"]  # [P, C, 1, W]
                self.state[f"{net.name}.running{i}"] = torch.zeros_like(unit)
                self.state[f"{net.name}.importance{i}"] = torch.zeros_like(unit)

    def after_update(self, agent, batch, noise, hidden, blame):
        self.state["count"].add_(1)
        for net in agent.networks:
            for i, (h, b) in enumerate(zip(hidden[net.name], blame[net.name])):
                self.state[f"{net.name}.running{i}"].lerp_(importance(h, b)[:, :, None], 1 - self.delta)

    def shape_step(self, net, steps, noise):
        kept = {i: rate(self.state[f"{net.name}.importance{i}"], self.strength) for i in range(net.depth - 1)}
        return steps | {f"{kind}{i}": steps[f"{kind}{i}"] * m for i, m in kept.items() for kind in "wb"}

    def after_task(self, agent, task, context):
        """Consolidates the importance of what was just learned."""
        weight = 1 - self.delta ** self.state["count"].double()  # Adam's correction, [P, 1]
        for net in agent.networks:
            for i in range(net.depth - 1):
                running = self.state[f"{net.name}.running{i}"]
                mean = (running / weight.clamp(min=TINY)[..., None, None]).to(running.dtype)
                self.state[f"{net.name}.importance{i}"].copy_(
                    torch.maximum(self.state[f"{net.name}.importance{i}"], mean)
                )
                running.zero_()
        self.state["count"].zero_()


def rate(importance, strength):
    """Returns the share of its free step that each neuron keeps: sqrt(tanh(b I) / (b I)), exactly 1 at I = 0."""
    x = strength * importance
    return torch.where(x > TINY, torch.sqrt(torch.tanh(x) / x.clamp(min=TINY)), 1.0)
