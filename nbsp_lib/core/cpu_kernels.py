"""Two formulas of the learner in few passes over memory, for CPUs in eager mode. Tests hold them to the plain ones.

On a CPU small networks are bound by memory and by the number of calls as much as by their products. `nets.mlp_forward` and
`sac.adam_steps` come here when they can; on a GPU a compiler makes the same of the plain formulas.
"""
from __future__ import annotations

import torch
from torch.optim.adam import adam


def usable(tensor):
    """Whether what is computed from `tensor` runs eagerly on a CPU."""
    return not (tensor.is_cuda or torch.compiler.is_compiling())


def affine(x, w, b):
    """x [N, B, in] @ w [N, in, out] + b [N, 1, out] -> [N, B, out], to the last bit the same for each n whatever N.

    One output is a product with a vector, for which MKL has other code alone than in a batch, and slow code in a batch.
    """
    if torch.compiler.is_compiling():                          # the sum joins what comes next; baddbmm would copy b first
        return torch.bmm(x, w) + b
    if w.shape[-1] > 1 or not usable(x):
        return torch.baddbmm(b, x, w)
    return torch.stack([torch.addmm(*one) for one in zip(b, x, w)])


class StackedMLP(torch.autograd.Function):
    """nets.mlp_forward with ReLU: (depth, x, *weights, *biases, *probe) -> (out, *hidden), shapes as there.

    One node of the graph instead of about eight a layer; ReLU and its derivative work in place.
    """

    @staticmethod
    def forward(ctx, depth, x, *rest):
        weights, biases = rest[:depth], rest[depth:2 * depth]              # a probe holds zeros: nothing to add
        P, C = weights[0].shape[:2]
        ctx.depth, ctx.shared = depth, x.shape[1] < C
        x, inputs = x.expand(P, C, -1, -1).flatten(0, 1), []               # [P·C, B, in]
        for i, (w, b) in enumerate(zip(weights, biases)):
            inputs.append(x)
            x = affine(x, w.flatten(0, 1), b.flatten(0, 1))
            if i < depth - 1:
                x.relu_()
        ctx.save_for_backward(*inputs, *weights)
        ctx.set_materialize_grads(False)                                   # hidden activations are rarely part of a loss
        return x.unflatten(0, (P, C)), *(h.unflatten(0, (P, C)) for h in inputs[1:])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g, *grad_hidden):
        depth, needs = ctx.depth, ctx.needs_input_grad
        inputs, weights = ctx.saved_tensors[:depth], ctx.saved_tensors[depth:]
        P, C = weights[0].shape[:2]
        grads = [None] * len(needs)
        g = inputs[-1].new_zeros(*inputs[-1].shape[:2], weights[-1].shape[-1]) if g is None else g.flatten(0, 1)
        for i in reversed(range(depth)):                                   # g [P·C, B, out]
            if needs[2 + i]:
                grads[2 + i] = torch.bmm(inputs[i].mT, g).unflatten(0, (P, C))
            if needs[2 + depth + i]:
                grads[2 + depth + i] = g.sum(1, keepdim=True).unflatten(0, (P, C))
            if i == 0 and not needs[1]:
                return tuple(grads)
            g = torch.bmm(g, weights[i].flatten(0, 1).mT)                  # [P·C, B, in]
            if i:
                if grad_hidden[i - 1] is not None:
                    g += grad_hidden[i - 1].flatten(0, 1)
                if len(needs) > 2 + 2 * depth and needs[1 + 2 * depth + i]:
                    grads[1 + 2 * depth + i] = g.clone().unflatten(0, (P, C))
                torch.ops.aten.threshold_backward.grad_input(g, inputs[i], 0, grad_input=g)
        g = g.unflatten(0, (P, C))
        grads[1] = g.sum(1, keepdim=True) if ctx.shared else g
        return tuple(grads)


def adam_steps(net, names, clock, grads, lr, b1, b2, eps, first=None):
    """{name: step} of sac.adam_steps for the parameters `names` under one clock of one count a seed, [P, 1, 1, 1].

    torch's own fused Adam, let loose on zeros: what it makes of them is the step. Moments move in place, the clock does not.
    It knows one gradient only: with `first` it gets that one, and v what the squares of `grads` have more, divided by what it
    will multiply with. Where both are equal that is exactly 0, so nothing changes.
    """
    for k in names if first is not None else ():
        net.v[k].add_(grads[k].square().sub_(first[k].square()), alpha=(1 - b2) / b2)
    grads = grads if first is None else first
    steps = {k: torch.zeros_like(net.params[k]) for k in names}
    lists = [[t for k in names for t in tensors[k].unbind()] for tensors in (steps, grads, net.m, net.v)]
    counts = clock.sub(1).repeat(len(names), 1, 1, 1).unbind()             # torch adds the 1, once for each tensor
    adam(*lists, [], list(counts), fused=True, amsgrad=False, beta1=b1, beta2=b2, lr=lr, weight_decay=0.0, eps=eps,
         maximize=False)
    return steps
