"""EWC: pulls every weight to its value at the last task end, in proportion to the sensitivity of the output to it."""

from __future__ import annotations

import torch

from nbsp_lib.core.method import Method
from nbsp_lib.core.sac import probes_of

ROWS, FLOOR = (
    2560,
    1e-5,
)  # recent rows that a Fisher is estimated on, Continual World's 10 · 256; no weight is quite free


class EWC(Method):
    """Elastic weight consolidation (Kirkpatrick et al. 2017) in the form of Continual World (Wołczyk et al. 2021).

    Loss of a network: + λ Σ_i F_i (θ_i − θ*_i)². θ*: parameters at the last task end; F: the sum over task ends of the
    diagonal Fisher on ROWS recent rows, see `fisher`. A revisited task is added again. No ½.
    weight: λ, per unit of squared weight and Fisher. critic: pull the critics too, by F = E[(∂Q/∂θ)²].
    At λ = 1e4, the published value, the policy freezes here, see docs/methods.md.
    Neutral: F = 0. The target network is not pulled: it follows the critics.
    Ours: the mean is taken before tanh, as σ is (the source takes it after); FLOOR on the mean over rows, not on each row;
    no 1e-6 beside σ², which is at least e⁻¹⁰ here; one output head for all tasks.
    """

    images = False  # the products below are those of dense layers

    def __init__(self, weight: float = 1e4, critic: bool = False):
        super().__init__()
        if weight < 0:
            raise ValueError(f"weight: {weight} must be >= 0, or the pull becomes a push")
        self.weight, self.pulled = weight, ("actor", "critic") if critic else ("actor",)

    def start(self, agent, settings):
        for name in self.pulled:
            for kind in ("fisher", "anchor"):
                self.state |= {
                    f"{name}.{kind}.{k}": torch.zeros_like(p) for k, p in getattr(agent, name).params.items()
                }

    def penalty(self, net, params, old):
        if net.name not in self.pulled:
            return 0.0
        return self.weight * pull(params, self.state, f"{net.name}.fisher", f"{net.name}.anchor")

    def after_task(self, agent, task, context):
        """Adds the Fisher of what was just learned and moves the anchor here."""
        batch = context.sample(ROWS)
        for name in self.pulled:
            net = getattr(agent, name)
            for k, values in fisher(self, net, batch, agent.head).items():
                self.state[f"{name}.fisher.{k}"].add_(values)
                self.state[f"{name}.anchor.{k}"].copy_(net.params[k])


def pull(params, state, fisher, anchor):
    """Returns Σ F (θ − θ*)² over all parameters, [P]; `fisher` and `anchor`: prefixes of the names of F and θ* in `state`."""
    return sum(
        (state[f"{fisher}.{k}"] * (p - state[f"{anchor}.{k}"]) ** 2).flatten(1).sum(1) for k, p in params.items()
    )


def fisher(method, net, batch, head):
    """Returns the diagonal Fisher {parameter: like it} of an actor or of critics, mean over the rows of a batch, at least
    FLOOR.

    Actor: of its distribution over all actions, or of its Gaussian before tanh, since a fixed transformation changes no
    Fisher. Critic: of a Gaussian of width 1 around Q(s, a) for executed actions. See the `fisher` of a head,
    gaussian.Gaussian.
    """
    weigh = lambda out: head.fisher(net.name, out, batch)
    return {
        k: v.clamp_(min=FLOOR)
        for k, v in diagonal_fisher(net, method.forward, head.inputs(batch)[net.name], weigh).items()
    }


def diagonal_fisher(net, forward, x, weigh):
    """Returns the mean over the batch of Σ_k c_bk (∂outputs_bk/∂θ)², {parameter: like it}, for a multi-layer perceptron with
    ReLU.

    x [P, 1 or C, B, in]; forward as Method.forward; weigh(out [P, C, B, K]) -> (outputs, c, last), as a head's `fisher`. A
    sample's ∂outputs_k/∂W is h ⊗ δ_k, so the sum of squares is (h²)ᵀ (Σ_k c_k δ_k²): K backward passes, no Jacobians.
    """
    probe = [zeros.requires_grad_() for zeros in probes_of(net, x.shape[2])]
    with torch.enable_grad():
        out, hidden = forward(net, net.params, x, probe)
        outputs, c, last = weigh(out)
        sums = [one.sum() for one in outputs.unbind(-1)]
    inputs = [x, *(h.detach() for h in hidden)]
    squares = [*map(torch.zeros_like, inputs[1:]), last.detach()]  # Σ_k c_k δ_k² of each layer
    for k, output in enumerate(sums):
        for square, h, blame in zip(squares, inputs[1:], torch.autograd.grad(output, probe, retain_graph=True)):
            square += (blame * (h > 0)) ** 2 * c[..., k : k + 1]
    # a single column is summed by hand: the last bit of such a product depends on P
    product = lambda h, s: (h**2).mT @ s if s.shape[-1] > 1 else (h**2 * s).sum(2)[..., None]
    return {f"w{i}": product(h, s) / x.shape[2] for i, (h, s) in enumerate(zip(inputs, squares))} | {
        f"b{i}": s.mean(2, keepdim=True) for i, s in enumerate(squares)
    }
