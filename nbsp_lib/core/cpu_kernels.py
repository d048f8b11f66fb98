"""The multi-layer perceptron as one autograd node, for CPUs in eager mode; tests compare it with the plain formula.

On a CPU, memory traffic and the number of calls cost small networks as much time as their products. `nets.mlp_forward` uses
this kernel where it can; on a GPU a compiler makes the same of the plain formula. The fused Adam is in adam.py.
"""

from __future__ import annotations

import torch


def usable(tensor):
    """Returns whether operations on `tensor` run eagerly on a CPU."""
    return not (tensor.is_cuda or torch.compiler.is_compiling())


def affine(x, w, b):
    """Returns x [N, B, in] @ w [N, in, out] + b [N, 1, out], [N, B, out], bitwise identical for every n, independent of N.

    With one output this is a product with a vector: MKL then uses other code in a batch than alone, and slow code in a batch.
    """
    if torch.compiler.is_compiling():  # the sum joins what comes next; baddbmm would copy b first
        return torch.bmm(x, w) + b
    if w.shape[-1] > 1 or not usable(x):
        return torch.baddbmm(b, x, w)
    return torch.stack([torch.addmm(*one) for one in zip(b, x, w)])


class StackedMLP(torch.autograd.Function):
    """Computes nets.mlp_forward with ReLU: (depth, x, *weights, *biases, *probe) -> (out, *hidden), shapes as there.

    One node of the graph instead of about eight a layer; ReLU and its derivative work in place.
    """

    @staticmethod
    def forward(ctx, depth, x, *rest):
        weights, biases = rest[:depth], rest[depth : 2 * depth]  # a probe holds zeros: nothing to add
        P, C = weights[0].shape[:2]
        ctx.depth, ctx.shared = depth, x.shape[1] < C
        x, inputs = x.expand(P, C, -1, -1).flatten(0, 1), []  # [P·C, B, in]
        for i, (w, b) in enumerate(zip(weights, biases)):
            inputs.append(x)
            x = affine(x, w.flatten(0, 1), b.flatten(0, 1))
            if i < depth - 1:
                x.relu_()
        ctx.save_for_backward(*inputs, *weights)
        ctx.set_materialize_grads(False)  # hidden activations are rarely part of a loss
        return x.unflatten(0, (P, C)), *(h.unflatten(0, (P, C)) for h in inputs[1:])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g, *grad_hidden):
        depth, needs = ctx.depth, ctx.needs_input_grad
        inputs, weights = ctx.saved_tensors[:depth], ctx.saved_tensors[depth:]
        P, C = weights[0].shape[:2]
        grads = [None] * len(needs)
        g = inputs[-1].new_zeros(*inputs[-1].shape[:2], weights[-1].shape[-1]) if g is None else g.flatten(0, 1)
        for i in reversed(range(depth)):  # g [P·C, B, out]
            if needs[2 + i]:
                grads[2 + i] = torch.bmm(inputs[i].mT, g).unflatten(0, (P, C))
            if needs[2 + depth + i]:
                grads[2 + depth + i] = g.sum(1, keepdim=True).unflatten(0, (P, C))
            if i == 0 and not needs[1]:
                return tuple(grads)
            g = torch.bmm(g, weights[i].flatten(0, 1).mT)  # [P·C, B, in]
            if i:
                if grad_hidden[i - 1] is not None:
                    g += grad_hidden[i - 1].flatten(0, 1)
                if len(needs) > 2 + 2 * depth and needs[1 + 2 * depth + i]:
                    grads[1 + 2 * depth + i] = g.clone().unflatten(0, (P, C))
                torch.ops.aten.threshold_backward.grad_input(g, inputs[i], 0, grad_input=g)
        g = g.unflatten(0, (P, C))
        grads[1] = g.sum(1, keepdim=True) if ctx.shared else g
        return tuple(grads)
