"""What a continual-learning method may change. The base class changes nothing: it is plain SAC, fine-tuned task by task.

A method is a subclass that overrides what it needs. Its settings are the keyword arguments of its constructor. All it
remembers is in `self.state`, tensors with a leading P made in `start` at their neutral value and changed in place, so that
one graph serves every task, a run resumes exactly, and "before the first task end" needs no branch.
"""
from __future__ import annotations

from nbsp_lib import nets


class Method:
    # May position 1 be trained once and shared? True if nothing differs from plain SAC before the first task end.
    forkable = True

    def __init__(self):
        self.state = {}

    # network
    def build(self, name, C, sizes, gens):
        """The Net called `name` (actor or critic); once, eager."""
        return nets.mlp(name, C, sizes, gens)

    def forward(self, net, params, x, probe=None):
        """Output and hidden activations, as nets.mlp_forward; in graph."""
        return nets.mlp_forward(net, params, x, probe)

    def start(self, agent):
        """Allocate `self.state` for this agent at the neutral value; once, eager."""

    # data
    def rows(self, step, recent, stored):
        """Which replay rows [P, B] this update learns from. step [P, 1] counts updates from 1; in graph.

        `recent` rows come from the current position, `stored` rows from what was kept of the tasks (before the first
        task end they equal `recent`).
        """
        return recent

    # learning
    def penalty(self, net, params, old):
        """An addition [P] to the loss of `net`; old: a batch of stored experience; in graph."""
        return 0.0

    def shape_grad(self, net, grads):
        """Gradients as Adam shall see them; in graph."""
        return grads

    def shape_step(self, net, steps, noise):
        """Steps as they are added to the parameters, after Adam; in graph."""
        return steps

    def after_update(self, agent, batch, noise, hidden, blame):
        """After critic, actor and temperature moved; blame = dL/d(hidden), like hidden a dict of lists; in graph."""

    def after_target(self, agent):
        """After the target network moved; in graph."""

    # boundaries, eager
    def periodic(self, agent, world):
        """Between updates, once in every round of episodes."""

    def before_task(self, agent, task, purpose):
        """Before `task` (index of a distinct task) is trained or evaluated: purpose "train" or "evaluate"."""

    def after_task(self, agent, task, world):
        """At the end of a position, while its recent rows are still there -> rows for scores.csv, or None."""


def overrides(method, hook):
    """Whether `method` changes `hook`: what no method uses is not computed."""
    return getattr(type(method), hook) is not getattr(Method, hook)
