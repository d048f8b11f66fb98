"""PackNet: every position keeps its own share of the actor's weights, which no later position changes."""

from __future__ import annotations

from itertools import pairwise

import torch

from nbsp_lib.core import budgets, nets
from nbsp_lib.core.method import Method

CHUNK = 500  # updates of retraining whose chance is drawn at once: memory
ROWS = 1000  # of recent experience on which a weight is in use or not


class PackNet(Method):
    """PackNet (Mallya & Lazebnik 2018) for the actor, as in Continual World (Wołczyk et al. 2021).

    Every weight has an owner, the position it serves; at position k = 0, 1, … only weights with owner k learn, and biases
    only at position 0. At its end it keeps, of the weights of each kernel that it owns and that are in use, the 1/(K − k)
    largest in size; all others become 0 and pass to owner k + 1. So each position has an equal share of every kernel, the
    output layer included. The kept ones are then retrained on the recent rows, and never move again. Adam of the actor is
    reset before and after. A weight is in use if, on recent rows, its input and the unit that it leads to are not always 0.
    A policy is played with the weights whose owner is not later than a view, so it stays bit for bit what it was.
    K is the length of the sequence; behind it the actor is full and does not learn any more. retrain: share of a position's
    updates that retraining takes, on top of them; critics and temperature learn along. 0: none.
    A revisited task owns new weights, like a new task: it is played as of the last position that trained it (the one in
    training, if it is trained now), and a task not trained yet with all weights. The task must be known at test time.
    Critics and target network are those of plain SAC. Ours: weights out of use do not count, for they have no gradient, and
    in the source, which counts them, they are what is left for the last positions; no clipping of the gradient's norm, which
    in Adam acts through ε only; only the actor's Adam is reset. Retraining of 10 % is the published share (100k of 1M steps).
    """

    needs_task = edits_at_end = True
    images = False  # owners are those of a multi-layer perceptron's weights

    def __init__(self, retrain: float = 0.1):
        super().__init__()
        if retrain < 0:
            raise ValueError(f"retrain: {retrain} must be >= 0")
        self.retrain = retrain

    def start(self, agent, settings):
        self.positions = len(agent.positions)
        one = torch.zeros_like(agent.actor.params["b0"][..., :1])  # [P, 1, 1, 1]
        self.state["actor.current"], self.state["actor.view"] = one, one.clone()
        self.state["actor.trained"] = one[:, 0, 0].expand(-1, len(agent.tasks)) - 1  # [P, M] last position; −1: never
        for i in range(agent.actor.depth):
            self.state[f"actor.owner{i}"] = torch.zeros_like(agent.actor.params[f"w{i}"])
        self.acts_from = tuple(self.state)

    def forward(self, net, params, x, probe=None):
        if net.name == "actor":
            seen = {f"w{i}": self.state[f"actor.owner{i}"] <= self.state["actor.view"] for i in range(net.depth)}
            params = params | {k: params[k] * mask for k, mask in seen.items()}
        return nets.mlp_forward(net, params, x, probe)

    def shape_step(self, net, steps, noise):
        if net.name != "actor":
            return steps
        current = self.state["actor.current"]
        learns = lambda i: {f"w{i}": self.state[f"actor.owner{i}"] == current, f"b{i}": current == 0}
        return {k: steps[k] * mask for i in range(net.depth) for k, mask in learns(i).items()}

    def before_task(self, agent, task, purpose):
        current, trained = self.state["actor.current"], self.state["actor.trained"]
        if purpose == "train":
            trained[:, task] = current[:, 0, 0, 0]
        last = trained[:, task, None, None, None]
        self.state["actor.view"].copy_(torch.where(last < 0, current, last) if purpose == "evaluate" else current)

    def after_task(self, agent, task, context):
        """Prunes, retrains what is kept, and passes on to the next position."""
        current, k = self.state["actor.current"], int(self.state["actor.current"][0])
        self.before_task(agent, task, "train")  # a run that was forked from plain SAC was not told
        if k < self.positions - 1:
            for i, used in enumerate(self.in_use(agent, context)):
                prune(agent.actor.params[f"w{i}"], self.state[f"actor.owner{i}"], used, k, self.positions - k)
            agent.actor.reset_adam()
            s = context.settings
            updates = round(self.retrain * (budgets.longest(s.steps) - s.random_steps) * s.updates_per_step)
            for first in range(0, updates, CHUNK):
                context.train(min(CHUNK, updates - first))
            agent.actor.reset_adam()
        current.clamp_(max=self.positions - 1).add_(1)
        self.before_task(agent, task, "resume")

    def in_use(self, agent, context):
        """Returns which weights of each kernel are in use, a list of bool [P, 1, in, out]."""
        obs = agent.head.inputs(context.sample(ROWS))["actor"]
        out, hidden = self.forward(agent.actor, agent.actor.params, obs)
        awake = [(x != 0).any(2) for x in (obs, *hidden)]  # [P, 1, units]
        awake.append(torch.ones_like(out[:, :, 0], dtype=torch.bool))  # an output is never out of use
        return [before[..., :, None] & after[..., None, :] for before, after in pairwise(awake)]


def prune(w, owner, used, k, left):
    """Keeps the largest 1/left, rounded up, of the weights w [P, C, in, out] of owner k that are `used`, bool of that shape;
    sets its others to 0 and owner k + 1."""
    mine = owner == k
    size = torch.where(mine, torch.where(used, w.abs(), -1.0), torch.inf).flatten(1)  # [P, N]
    rank = size.argsort(dim=1, stable=True).argsort(1)
    kept = ((mine & used).flatten(1).sum(1, keepdim=True) + left - 1) // left  # [P, 1]
    drop = (rank < mine.flatten(1).sum(1, keepdim=True) - kept).view_as(w)
    w.masked_fill_(drop, 0.0)
    owner.masked_fill_(drop, k + 1)
