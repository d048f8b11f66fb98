"""EWC: pull every weight back to where the last task left it, by how much the network's output depends on it."""
from __future__ import annotations

import torch

from nbsp_lib.method import Method
from nbsp_lib.sac import LOG_STD_MAX, LOG_STD_MIN, probes_of

ROWS, FLOOR = 2560, 1e-5        # recent rows that a Fisher is estimated on, Continual World's 10 · 256; no weight is quite free


class EWC(Method):
    """Elastic weight consolidation (Kirkpatrick et al. 2017) in the form of Continual World (Wołczyk et al. 2021).

    Loss of a network: + λ Σ_i F_i (θ_i − θ*_i)². θ*: parameters at the last task end; F: the sum over task ends of the
    diagonal Fisher on ROWS recent rows, see `fisher`. A revisited task is added again. No ½.
    weight: λ, per unit of squared weight and Fisher. critic: pull the critics too, by F = E[(∂Q/∂θ)²].
    Neutral: F = 0. The target network is not pulled: it follows the critics.
    Ours: the mean is taken before tanh, as σ is (the source takes it after); FLOOR on the mean over rows, not on each row;
    no 1e-6 beside σ², which is at least e⁻¹⁰ here; one output head for all tasks.
    """

    def __init__(self, weight: float = 1e4, critic: bool = False):
        super().__init__()
        if weight < 0:
            raise ValueError(f"weight: {weight} must be >= 0, or the pull becomes a push")
        self.weight, self.pulled = weight, ("actor", "critic") if critic else ("actor",)

    def start(self, agent, settings):
        for name in self.pulled:
            for kind in ("fisher", "anchor"):
                self.state |= {f"{name}.{kind}.{k}": torch.zeros_like(p) for k, p in getattr(agent, name).params.items()}

    def penalty(self, net, params, old):
        if net.name not in self.pulled:
            return 0.0
        return self.weight * pull(params, self.state, f"{net.name}.fisher", f"{net.name}.anchor")

    def after_task(self, agent, task, world):
        """Add the Fisher of what was just learned and move the anchor here."""
        batch = world.sample(ROWS)
        for name in self.pulled:
            net = getattr(agent, name)
            for k, values in fisher(self, net, batch).items():
                self.state[f"{name}.fisher.{k}"].add_(values)
                self.state[f"{name}.anchor.{k}"].copy_(net.params[k])


def pull(params, state, fisher, anchor):
    """Σ F (θ − θ*)² over all parameters, [P]; `fisher` and `anchor`: how the names of F and θ* in `state` begin."""
    return sum((state[f"{fisher}.{k}"] * (p - state[f"{anchor}.{k}"]) ** 2).flatten(1).sum(1) for k, p in params.items())


def fisher(method, net, batch):
    """Diagonal Fisher {parameter: like it} of an actor or of critics, mean over the rows of a batch, at least FLOOR.

    Actor: of the Gaussian before tanh, E Σ_a [(∂μ_a)² + 2 (∂σ_a)²] / σ_a² with ∂σ/σ = ∂ log σ; tanh, the same whatever θ
    is, changes no Fisher. Critics: of a Gaussian of width 1 around Q(s, a), E (∂Q)², for executed actions.
    """
    actor = net.name == "actor"
    x = batch["obs"] if actor else torch.cat([batch["obs"], batch["action"]], -1)
    weigh = of_gaussian if actor else torch.ones_like
    return {k: v.clamp_(min=FLOOR) for k, v in diagonal_fisher(net, method.forward, x[:, None], weigh).items()}


def of_gaussian(out):
    """Fisher of N(μ, σ²) by the actor's raw outputs [P, C, B, 2A]: 1/σ² by μ and 2 (∂ log σ/∂ raw)², see sac.policy."""
    bent, half = torch.tanh(out.chunk(2, -1)[1]), 0.5 * (LOG_STD_MAX - LOG_STD_MIN)
    log_std = LOG_STD_MIN + half * (bent + 1)
    return torch.cat([(-2 * log_std).exp(), 2 * (half * (1 - bent ** 2)) ** 2], -1)


def diagonal_fisher(net, forward, x, weigh):
    """Mean over the batch of Σ_k c_bk (∂out_bk/∂θ)², {parameter: like it}, for a multi-layer perceptron with ReLU.

    x [P, 1 or C, B, in]; forward as Method.forward; weigh(out [P, C, B, K]) -> c, the Fisher by the outputs themselves.
    A sample's ∂out_k/∂W is h ⊗ δ_k, so the sum of squares is (h²)ᵀ (Σ_k c_k δ_k²): K backward passes, no Jacobians."""
    probe = [zeros.requires_grad_() for zeros in probes_of(net, x.shape[2])]
    with torch.enable_grad():
        out, hidden = forward(net, net.params, x, probe)
        outputs = [one.sum() for one in out.unbind(-1)]
    c, inputs = weigh(out.detach()), [x, *(h.detach() for h in hidden)]
    squares = [*map(torch.zeros_like, inputs[1:]), c]                                       # Σ_k c_k δ_k² of each layer
    for k, output in enumerate(outputs):
        for square, h, blame in zip(squares, inputs[1:], torch.autograd.grad(output, probe, retain_graph=True)):
            square += (blame * (h > 0)) ** 2 * c[..., k:k + 1]
    # one column is summed: such a product is not the same in the last bit whatever P is
    product = lambda h, s: (h ** 2).mT @ s if s.shape[-1] > 1 else (h ** 2 * s).sum(2)[..., None]
    return ({f"w{i}": product(h, s) / x.shape[2] for i, (h, s) in enumerate(zip(inputs, squares))}
            | {f"b{i}": s.mean(2, keepdim=True) for i, s in enumerate(squares)})
