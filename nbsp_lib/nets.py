"""Stacked networks: every parameter carries a leading population axis and an axis of parallel networks.

P population (seed), C parallel networks (the critics), B batch, W width.
"""
from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F

from nbsp_lib import fused


@dataclass(eq=False)
class Net:
    """One kind of network of every seed: parameters, Adam's moments, and Adam's clocks.

    params: "w0" [P, C, in, W], "b0" [P, C, 1, W], "w1", … ; the last pair is the output layer, which is never scored.
    m, v: Adam's first and second moments, shaped like params.
    clocks: [(count, names)]: how many updates the parameters `names` have seen, broadcastable to them. One clock
    [P, 1, 1, 1] serves them all; a method that resets single units replaces it by clocks of its own.
    """
    name: str
    params: dict
    m: dict = field(init=False)
    v: dict = field(init=False)
    clocks: list = field(init=False)

    def __post_init__(self):
        self.m = {k: torch.zeros_like(p) for k, p in self.params.items()}
        self.v = {k: torch.zeros_like(p) for k, p in self.params.items()}
        first = next(iter(self.params.values()))
        self.clocks = [(torch.zeros(len(first), 1, 1, 1, device=first.device), list(self.params))]

    @property
    def depth(self):
        """Number of linear layers; layers 0 … depth−2 are hidden."""
        return sum(k.startswith("w") for k in self.params)

    def tensors(self):
        """Name -> tensor, each with a leading P, of everything that must be saved to go on exactly."""
        named = {f"{kind}.{k}": t for kind in ("params", "m", "v") for k, t in getattr(self, kind).items()}
        return named | {f"clock{i}": clock for i, (clock, _) in enumerate(self.clocks)}


def uniform_linear(n_in, n_out, C, gens):
    """Weights [P, C, n_in, n_out] and biases [P, C, 1, n_out], uniform in ±1/sqrt(n_in): PyTorch's nn.Linear default.

    Every seed draws from its own generator of `gens`, so its weights do not depend on the population around it.
    """
    bound = 1 / math.sqrt(n_in)
    draw = lambda *shape: torch.stack([torch.rand(*shape, generator=g) for g in gens]).mul_(2).sub_(1).mul_(bound)
    return draw(C, n_in, n_out), draw(C, 1, n_out)


def mlp(name, C, sizes, gens):
    """A Net of C parallel multi-layer perceptrons for each of len(gens) seeds; sizes = [in, W, …, out]."""
    params = {}
    for i, (n_in, n_out) in enumerate(zip(sizes[:-1], sizes[1:])):
        params[f"w{i}"], params[f"b{i}"] = uniform_linear(n_in, n_out, C, gens)
    return Net(name, params)


def linear(x, w, b):
    """x [P, 1 or C, B, in] @ w [P, C, in, out] + b [P, C, 1, out] -> [P, C, B, out], as one batched product."""
    P, C = w.shape[:2]
    x = x.expand(P, C, -1, -1)
    return torch.baddbmm(b.flatten(0, 1), x.flatten(0, 1), w.flatten(0, 1)).unflatten(0, (P, C))


def mlp_forward(net, params, x, probe=None, activation=F.relu):
    """Output [P, C, B, out] and the activations of each hidden layer, a list of [P, C, B, W].

    x [P, 1 or C, B, in]. `probe`, zeros shaped like the hidden activations, is added to them: the derivative of a loss
    with respect to the probe is its derivative with respect to the activations, without any hook.
    """
    if activation is F.relu and fused.usable(x):
        tensors = [params[f"{kind}{i}"] for kind in "wb" for i in range(net.depth)]
        out, *hidden = fused.StackedMLP.apply(net.depth, x, *tensors, *(probe or ()))
        return out, hidden
    hidden = []
    for i in range(net.depth - 1):
        x = activation(linear(x, params[f"w{i}"], params[f"b{i}"]))    # [P, C, B, W]
        x = x + probe[i] if probe else x
        hidden.append(x)
    i = net.depth - 1
    return linear(x, params[f"w{i}"], params[f"b{i}"]), hidden
