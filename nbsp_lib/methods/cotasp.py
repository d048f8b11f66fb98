"""CoTASP: every task switches on its own sparse set of the actor's units, found by sparse coding; units used by a task freeze."""

from __future__ import annotations

import hashlib
import math

import torch
import torch.nn.functional as F

from nbsp_lib.core import nets
from nbsp_lib.core.method import Method

LEAST, RARE = 0.05, 1e-6  # share of a layer that is always on; sum of squared codes below which an atom stays as it is


class CoTASP(Method):
    """Continual task allocation via sparse prompting (Yang et al. 2023), the actor only.

    Task k has an embedding e. For a hidden layer of n units with a dictionary D [n, E],
        α = argmin ½‖e − αD‖² + λ‖α‖₁,  φ = 1[α > 0],  h = φ · ReLU(W h' + b): units that are off put out 0.
    M, the units of all earlier tasks, freezes what those read: steps of W between two layers times 1 − M' ⊗ M, of the first
    layer and of biases times 1 − M, of the means' output weights times 1 − M by row. Means have no bias, log standard
    deviations are not masked, as in the source: an earlier task's mean action stays bit for bit. Of discrete actions, the logits
    are the means: an earlier policy stays.
    α is computed when a task begins, anew at a revisit: the old units mostly, not exactly, as D has moved. At a task end
    M takes in φ, and D learns: A += αᵀα, B += eᵀα, then d_j += (B_j − A_j D) / A_jj, ‖d_j‖ <= 1, atom after atom. When the
    next position begins, critics are drawn afresh, the target network is their copy, and Adam starts anew.
    sparsity: λ. embedding: E, with n it decides how dense φ is: at most E codes of n are not 0, half of those > 0; 96 for 256
    units are as many as the published 384 for 1024. A layer of which less than LEAST would be on takes its highest units: by
    α if positive, then by correlation with e. A task not trained yet is played with the φ of the first D. Ours: e is a random
    unit vector fixed by the task's name, not the sentence embedding of a description, so related tasks are not near each
    other; the project's ReLU networks at their width, without layer normalisation; rare atoms stay; steps are masked, not
    gradients. Left out: updates of α by gradient (10 of 1000), exploring with earlier tasks' policies, distillation to
    N(0, 1) between tasks.
    """

    forkable = images = False  # units of dense layers are off from the start
    needs_task = True

    def __init__(self, sparsity: float = 1e-3, embedding: int = 96):
        super().__init__()
        if sparsity <= 0 or embedding < 1:
            raise ValueError(f"sparsity: {sparsity} must be > 0, embedding: {embedding} >= 1")
        self.sparsity, self.embedding, self.drawn = sparsity, embedding, []

    def build(self, name, C, sizes, gens):
        net = nets.mlp(name, C, sizes, gens)
        if name == "critic":  # after all networks, so that those begin as in other methods
            self.drawn = [torch.stack([torch.randn(n, self.embedding, generator=g) for g in gens]) for n in sizes[1:-1]]
        return net

    def start(self, agent, settings):
        actor, M, self.means = agent.actor, len(agent.tasks), agent.head.means
        self.means(actor.params[f"b{actor.depth - 1}"]).zero_()
        self.state |= {f"actor.free.{k}": torch.ones_like(p) for k, p in actor.params.items()}
        self.means(self.state[f"actor.free.b{actor.depth - 1}"]).zero_()
        for i, drawn in enumerate(self.drawn):
            atoms = drawn.to(agent.updates.device)
            P, n, E = atoms.shape
            self.state[f"actor.dictionary{i}"] = atoms / atoms.norm(dim=2, keepdim=True).clamp_min(1)
            # code: α of the task in training; gates: φ of every task; gate: φ of the task that is played
            shapes = {"A": (P, n, n), "B": (P, E, n), "code": (P, n), "gates": (P, M, 1, 1, n), "gate": (P, 1, 1, n)}
            self.state |= {f"actor.{name}{i}": atoms.new_zeros(shape) for name, shape in shapes.items()}
        self.state |= {f"critic.fresh.{k}": p.clone() for k, p in agent.critic.params.items()}
        for task in range(M):
            self.prompt(agent, task)
        self.acts_from = tuple(k for k in self.state if k.startswith("actor.gate"))

    def forward(self, net, params, x, probe=None):
        if net.name == "actor":  # a unit whose weights and bias are 0 puts out 0
            gates = [(f"{kind}{i}", self.state[f"actor.gate{i}"]) for i in range(net.depth - 1) for kind in "wb"]
            params = params | {k: params[k] * gate for k, gate in gates}
        return nets.mlp_forward(net, params, x, probe)

    def shape_step(self, net, steps, noise):
        return {k: t * self.state[f"actor.free.{k}"] for k, t in steps.items()} if net.name == "actor" else steps

    def prompt(self, agent, task):
        """Computes α and φ of a task from the current dictionaries."""
        e = embed(agent.tasks[task], self.embedding).to(agent.updates.device)
        for i in range(agent.actor.depth - 1):
            D = self.state[f"actor.dictionary{i}"]
            code = self.state[f"actor.code{i}"].copy_(torch.stack([lasso(e, one, self.sparsity) for one in D]))
            self.state[f"actor.gates{i}"][:, task, 0, 0] = gate(code, (D * e).sum(2))

    def before_task(self, agent, task, purpose):
        if purpose == "train":
            self.prompt(agent, task)
            for tensors in (agent.critic.params, agent.target):
                for k, t in tensors.items():
                    t.copy_(self.state[f"critic.fresh.{k}"])
            for net in agent.networks:
                net.reset_adam()
        for i in range(agent.actor.depth - 1):
            self.state[f"actor.gate{i}"].copy_(self.state[f"actor.gates{i}"][:, task])

    def after_task(self, agent, task, context):
        """Freezes what was used, learns the dictionary, draws the critics of the next position."""
        actor, last = agent.actor, agent.actor.depth - 1
        free = {k: self.state[f"actor.free.{k}"] for k in actor.params}
        e = embed(agent.tasks[task], self.embedding).to(agent.updates.device)
        for i in range(last):  # free.b = 1 − M
            free[f"b{i}"].mul_(1 - self.state[f"actor.gates{i}"][:, task])
            free[f"w{i}"].copy_(1 - (1 - free[f"b{i - 1}"]).mT * (1 - free[f"b{i}"]) if i else free["b0"])
            D, code, A, B = (self.state[f"actor.{name}{i}"] for name in ("dictionary", "code", "A", "B"))
            D.copy_(renewed(D, A.add_(code[:, :, None] * code[:, None]), B.add_(e[:, None] * code[:, None])))
        self.means(free[f"w{last}"]).copy_(free[f"b{last - 1}"].mT)
        for k, p in agent.critic.params.items():  # as nets.uniform_linear
            bound = 1 / math.sqrt(agent.critic.params[k.replace("b", "w")].shape[2])
            self.state[f"critic.fresh.{k}"].copy_(context.draw(torch.rand, *p.shape[1:]).mul_(2).sub_(1).mul_(bound))


def embed(name, size):
    """Returns a unit vector [size] that depends on the name of a task only."""
    g = torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(name.encode()).digest()[:7]))
    return F.normalize(torch.randn(size, generator=g), dim=0)


def lasso(e, D, weight):
    """Returns argmin over α [n] of ½‖e − αD‖² + weight ‖α‖₁ for one seed, e [E], D [n, E], in float64 on the CPU: FISTA (Beck
    & Teboulle 2009) with a restart of the momentum where it points uphill (O'Donoghue & Candès 2015)."""
    D, e = D.double().cpu(), e.double().cpu()
    gram, wanted = D @ D.T, D @ e
    rate = 1 / torch.linalg.matrix_norm(gram, 2).item()
    code, ahead, t = torch.zeros_like(wanted), torch.zeros_like(wanted), 1.0
    for _ in range(5000):  # at most: far more than it takes, except among atoms that are alike
        new = F.softshrink(ahead - rate * (gram @ ahead - wanted), rate * weight)
        step = new - code
        t = 1.0 if (ahead - new) @ step > 0 else t
        later = (1 + math.sqrt(1 + 4 * t**2)) / 2
        code, ahead, t = new, new + (t - 1) / later * step, later
        if step.abs().amax() < 1e-12:
            break
    return code


def gate(code, correlation):
    """Returns φ [P, n]: 1 for positive codes, and for the most correlated others if fewer than LEAST of the n are positive."""
    on = code > 0  # and |correlation| <= 1
    rank = torch.where(on, 2 + code, correlation).argsort(dim=1, descending=True, stable=True).argsort(1)
    return (rank < on.sum(1, keepdim=True).clamp_min(math.ceil(LEAST * code.shape[1]))).float()


def renewed(D, A, B):
    """Returns D [P, n, E] after a pass of block-coordinate descent (Mairal et al. 2009), in float64; A [P, n, n], B [P, E, n]."""
    D, A, B = D.double(), A.double(), B.double()
    for j in range(D.shape[1]):
        size = A[:, j, j, None]  # [P, 1]
        d = D[:, j] + (B[:, :, j] - (A[:, j, :, None] * D).sum(1)) / size.clamp_min(RARE)
        D[:, j] = torch.where(size > RARE, d / d.norm(dim=1, keepdim=True).clamp_min(1), D[:, j])
    return D
