"""Stacked networks: every parameter carries a leading population axis and an axis of parallel networks.

P population (seed), C parallel networks (the critics), B batch, W width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F

from nbsp_lib.core import cpu_kernels


@dataclass(eq=False)
class Net:
    """Holds one kind of network of every seed: parameters, Adam's moments, and Adam's clocks.

    params: "w0" [P, C, in, W], "b0" [P, C, 1, W], "w1", … ; the last pair is the output layer, which is never scored.
    m, v: Adam's first and second moments, shaped like params.
    clocks: [(count, names)]: how many updates the parameters `names` have seen, broadcastable to them. One clock [P, 1, 1, 1]
    serves them all; a method that resets single units calls `time_units`.
    row_clocks: {weights: count [P, C, 1, in]} of the units they come from: the Adam count of such a weight is the smaller of
    its two units' counts.
    """

    name: str
    params: dict
    m: dict = field(init=False)
    v: dict = field(init=False)
    clocks: list = field(init=False)
    row_clocks: dict = field(init=False, default_factory=dict)

    def __post_init__(self):
        self.m = {k: torch.zeros_like(p) for k, p in self.params.items()}
        self.v = {k: torch.zeros_like(p) for k, p in self.params.items()}
        first = next(iter(self.params.values()))
        self.clocks = [(torch.zeros(len(first), 1, 1, 1, device=first.device), list(self.params))]

    @property
    def depth(self):
        """Number of linear layers; layers 0 … depth−2 are hidden."""
        return sum(k.startswith("w") for k in self.params)

    def time_units(self):
        """Replaces the clock of all parameters by one for every hidden unit, [P, C, 1, W]; once, before any update.

        A unit that is reset takes its incoming weights, its bias and its outgoing weights with it.
        """
        count, last = self.clocks[0][0], self.depth - 1
        units = [torch.zeros_like(self.params[f"b{i}"]) for i in range(last)]
        self.clocks = [(unit, [f"w{i}", f"b{i}"]) for i, unit in enumerate(units)] + [(count, [f"w{last}", f"b{last}"])]
        self.row_clocks = {f"w{i + 1}": unit for i, unit in enumerate(units)}

    def reset_adam(self):
        """Sets moments and counts to zero together: with moments alone the next steps would overshoot."""
        for t in (*self.m.values(), *self.v.values(), *(clock for clock, _ in self.clocks)):
            t.zero_()

    def tensors(self):
        """Returns name -> tensor, each with a leading P, of everything that must be saved to resume exactly."""
        named = {f"{kind}.{k}": t for kind in ("params", "m", "v") for k, t in getattr(self, kind).items()}
        return named | {f"clock{i}": clock for i, (clock, _) in enumerate(self.clocks)}


def uniform_linear(n_in, n_out, C, gens):
    """Draws weights [P, C, n_in, n_out] and biases [P, C, 1, n_out], uniform in ±1/sqrt(n_in): PyTorch's nn.Linear default.

    Every seed draws from its own generator of `gens`, so its weights are independent of the other seeds.
    """
    bound = 1 / math.sqrt(n_in)
    draw = lambda *shape: torch.stack([torch.rand(*shape, generator=g) for g in gens]).mul_(2).sub_(1).mul_(bound)
    return draw(C, n_in, n_out), draw(C, 1, n_out)


def mlp(name, C, sizes, gens):
    """Makes a Net of C parallel multi-layer perceptrons for each of len(gens) seeds; sizes = [in, W, …, out]."""
    params = {}
    for i, (n_in, n_out) in enumerate(zip(sizes[:-1], sizes[1:])):
        params[f"w{i}"], params[f"b{i}"] = uniform_linear(n_in, n_out, C, gens)
    return Net(name, params)


def linear(x, w, b):
    """Returns x [P, 1 or C, B, in] @ w [P, C, in, out] + b [P, C, 1, out], [P, C, B, out], as one batched product."""
    P, C = w.shape[:2]
    x = x.expand(P, C, -1, -1)
    return cpu_kernels.affine(x.flatten(0, 1), w.flatten(0, 1), b.flatten(0, 1)).unflatten(0, (P, C))


def mlp_forward(net, params, x, probe=None, activation=F.relu):
    """Returns the output [P, C, B, out] and the activations of each hidden layer, a list of [P, C, B, W].

    x [P, 1 or C, B, in]. `probe`, zeros shaped like the hidden activations, is added to them: the derivative of a loss with
    respect to the probe is its derivative with respect to the activations, without any forward or backward hook.
    """
    if activation is F.relu and cpu_kernels.usable(x):
        tensors = [params[f"{kind}{i}"] for kind in "wb" for i in range(net.depth)]
        out, *hidden = cpu_kernels.StackedMLP.apply(net.depth, x, *tensors, *(probe or ()))
        return out, hidden
    hidden = []
    for i in range(net.depth - 1):
        x = activation(linear(x, params[f"w{i}"], params[f"b{i}"]))  # [P, C, B, W]
        x = x + probe[i] if probe else x
        hidden.append(x)
    i = net.depth - 1
    return linear(x, params[f"w{i}"], params[f"b{i}"]), hidden
