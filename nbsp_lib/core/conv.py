"""The convolutional network of Mnih et al. 2015, stacked like nets.mlp: a population axis and an axis of parallel networks.

P population, C parallel networks, B batch, W units of a layer: of a convolution its output channels.

Weights of a convolution are [P, C, in·k·k, W], rows in the order (input channel, row, column), biases [P, C, 1, W]: one column
is one filter. Code that treats a unit as a column of "w{i}" and "b{i}" (masks, norms, Adam, checkpoints) therefore serves
filters too. Unit j feeds the rows j·r … j·r + r − 1 of "w{i+1}", with r rows a unit, in convolutions and in the first dense
layer.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from nbsp_lib.core.nets import Net, linear, uniform_linear

LAYERS = ((32, 8, 4), (64, 4, 2), (64, 3, 1))  # filters, their side, their stride


def map_sizes(shape):
    """Returns ((H, W), …) of the map of each convolution for an observation of shape (channels, H, W), or () for any other
    shape.

    ValueError for an image smaller than the filters; the smallest is 36×36.
    """
    if len(shape) != 3:
        return ()
    sizes, side = [], tuple(shape[1:])
    for _, kernel, stride in LAYERS:
        side = tuple((n - kernel) // stride + 1 for n in side)
        sizes.append(side)
    if min(side) < 1:
        raise ValueError(f"an image of {shape[1]}×{shape[2]} is too small for the filters: at least 36×36")
    return tuple(sizes)


def cnn(name, C, sizes, gens):
    """Makes a Net of C parallel networks for each of len(gens) seeds: LAYERS, then dense ones; sizes = [(channels, H, W), W,
    …, out].

    Weights are drawn as nn.Conv2d's and nn.Linear's (CleanRL's SAC for Atari draws them by He et al. 2015).
    """
    params, (n_in, *_), (H, W) = {}, sizes[0], map_sizes(sizes[0])[-1]
    rows = []  # inputs of a unit of each layer
    for filters, kernel, _ in LAYERS:
        rows.append(n_in * kernel**2)
        n_in = filters
    units = [filters for filters, _, _ in LAYERS] + list(sizes[1:])
    for i, pair in enumerate(zip([*rows, n_in * H * W, *sizes[1:-1]], units)):
        params[f"w{i}"], params[f"b{i}"] = uniform_linear(*pair, C, gens)
    return Net(name, params)


def convolve(x, weights, biases, probe):
    """Returns the maps of one network, a list of [B, W, H', W'] for each convolution; x [B, channels, H, W], weights [in·k·k,
    W]."""
    maps, x = [], x.contiguous(memory_format=torch.channels_last)
    for (_, kernel, stride), w, b, add in zip(LAYERS, weights, biases, probe):
        filters = w.mT.unflatten(1, (-1, kernel, kernel)).contiguous(memory_format=torch.channels_last)
        x = F.conv2d(x, filters, b[0], stride).relu()
        x = x if add is None else x + add
        maps.append(x)
    return maps


def cnn_forward(net, params, x, probe=None):
    """Returns the output [P, C, B, out] and the hidden activations, a list: of a convolution its map [P, C, B, W, H', W'], of
    a dense layer [P, C, B, W]. neurons.activation makes one number a unit of both.

    x [P, 1 or C, B, channels, H, W], grey levels 0 … 255 of any type, divided by 255 here. probe: as in nets.mlp_forward.
    Networks are convolved one after another: on a CPU this is faster than one grouped convolution, and independent of P.
    """
    P, C = params["w0"].shape[:2]
    x, last, hidden = (x.to(params["w0"].dtype) / 255).expand(P, C, *x.shape[2:]), net.depth - 1, []
    convs = range(len(LAYERS))
    one = lambda kind, p, c: [params[f"{kind}{i}"][p, c] for i in convs]
    maps = [
        convolve(x[p, c], one("w", p, c), one("b", p, c), [probe[i][p, c] if probe else None for i in convs])
        for p in range(P)
        for c in range(C)
    ]
    hidden = [torch.stack(layer).unflatten(0, (P, C)) for layer in zip(*maps)]
    x = hidden[-1].flatten(3)  # [P, C, B, W·H'·W']
    for i in range(len(LAYERS), last):
        x = F.relu(linear(x, params[f"w{i}"], params[f"b{i}"]))
        x = x + probe[i] if probe else x
        hidden.append(x)
    return linear(x, params[f"w{last}"], params[f"b{last}"]), hidden
