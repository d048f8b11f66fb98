"""Adam's step for stacked networks (Kingma & Ba 2015, algorithm 1): the plain formula, and torch's fused kernel on a CPU."""

from __future__ import annotations

import math

import torch
from torch.optim.adam import adam

from nbsp_lib.core.cpu_kernels import usable


def adam_steps(net, grads, lr, b1=0.9, b2=0.999, eps=1e-8, first=None):
    """Returns what Adam would add to the parameters, {name: step}; moments and clocks change in place.

    first: gradients for the first moment in place of `grads`, or None for the same.
    """
    steps = {}
    for clock, names in net.clocks:
        clock.add_(1)
        if clock.numel() == len(clock) and not net.row_clocks and usable(clock):
            steps |= fused_steps(net, names, clock, grads, lr, b1, b2, eps, first)
            continue
        # 1 − b^count by expm1: the last bit of a power depends on the place in memory, and so on the other seeds
        corrections = lambda count: (
            lr / torch.expm1(count * math.log(b1)),
            (-torch.expm1(count * math.log(b2))).rsqrt(),
        )
        for k in names:
            rate, root = corrections(clock)
            if k in net.row_clocks:  # the younger end has the larger corrections
                of_rows = corrections(net.row_clocks[k].mT)  # [P, C, in, 1]
                rate, root = torch.minimum(rate, of_rows[0]), torch.maximum(root, of_rows[1])
            m = net.m[k].lerp_(grads[k] if first is None else first[k], 1 - b1)
            v = net.v[k].mul_(b2).addcmul_(grads[k], grads[k], value=1 - b2)
            steps[k] = (m * rate).div_(v.sqrt().mul_(root).add_(eps))
    return steps


def fused_steps(net, names, clock, grads, lr, b1, b2, eps, first=None):
    """Runs torch's fused Adam on zero parameters -> {name: step} for the parameters `names`; the result is the step.

    clock: one count a seed, [P, 1, 1, 1]; it does not change here, the moments do.
    The kernel takes a single gradient. With `first` it gets that one, and v is corrected by (grads² − first²) (1 − b2) / b2
    before. Where both are equal the correction is exactly 0.
    """
    for k in names if first is not None else ():
        net.v[k].add_(grads[k].square().sub_(first[k].square()), alpha=(1 - b2) / b2)
    grads = grads if first is None else first
    steps = {k: torch.zeros_like(net.params[k]) for k in names}
    lists = [[t for k in names for t in tensors[k].unbind()] for tensors in (steps, grads, net.m, net.v)]
    counts = clock.sub(1).repeat(len(names), 1, 1, 1).unbind()  # torch adds the 1, once for each tensor
    adam(
        *lists,
        [],
        list(counts),
        fused=True,
        amsgrad=False,
        beta1=b1,
        beta2=b2,
        lr=lr,
        weight_decay=0.0,
        eps=eps,
        maximize=False,
    )
    return steps
