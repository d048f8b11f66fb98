"""CReLU: every unit outputs both its positive and its negative part, so none is silent on every input."""

from __future__ import annotations

import torch

from nbsp_lib.core.method import Method
from nbsp_lib.core.nets import Net, linear, uniform_linear


class CReLU(Method):
    """Concatenated ReLU (Shang et al. 2016; for continual learning Abbas et al. 2023), in the actor and both critics.

    h = [relu(z), relu(−z)] of the linear units z of a hidden layer. double False: W/2 linear units, so that h has the width W
    of the ReLU layer it replaces, and the network about half its parameters; ValueError if W is odd. double True: W linear
    units, h has 2W, the network about twice the parameters.
    The hidden activations are h: "neuron" i and neuron i + half are the two sides of one linear unit. On average half of
    them fire whatever the network has become, so shares of active or dormant units say nothing beside those of a ReLU network.
    The target network has the same form and follows by Polyak.
    Departures (ours): critics as well as the actor (some sources change the actor only); weights are drawn as nn.Linear's,
    uniform in ±1/sqrt(width of the input after concatenation), like those of every other method here.
    """

    forkable = False  # another network from the start
    images = False  # a multi-layer perceptron

    def __init__(self, double: bool = False):
        super().__init__()
        self.double = double

    def build(self, name, C, sizes, gens):
        odd = [w for w in sizes[1:-1] if w % 2]
        if odd and not self.double:
            raise ValueError(f"crelu halves every hidden width, so none may be odd: {odd}")
        params, n_in = {}, sizes[0]
        for i, size in enumerate(sizes[1:-1]):
            units = size if self.double else size // 2
            params[f"w{i}"], params[f"b{i}"] = uniform_linear(n_in, units, C, gens)
            n_in = 2 * units
        last = len(sizes) - 2
        params[f"w{last}"], params[f"b{last}"] = uniform_linear(n_in, sizes[-1], C, gens)
        return Net(name, params)

    def forward(self, net, params, x, probe=None):
        hidden, last = [], net.depth - 1
        for i in range(last):
            z = linear(x, params[f"w{i}"], params[f"b{i}"])  # [P, C, B, units]
            x = torch.cat([z, -z], -1).relu()  # [P, C, B, 2 · units]
            x = x + probe[i] if probe else x
            hidden.append(x)
        return linear(x, params[f"w{last}"], params[f"b{last}"]), hidden
