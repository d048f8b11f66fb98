"""What rollouts of episodes and of games share: the environments, silenced neurons, the task that the method is told."""

from __future__ import annotations

import functools


@functools.lru_cache(maxsize=8)
def environments(make, task, seeds, envs, episode):
    """Makes environments and keeps them for the next evaluation: a trajectory does not depend on earlier ones."""
    return make(task, seeds, envs, episode)


def silenced(net, silence):
    """Returns the parameters of `net` with the neurons in `silence`, a bool [P, C, 1, W] per hidden layer, switched off.

    A neuron whose outgoing weights are zero acts like a neuron whose activation is zero.
    """
    params = dict(net.params)
    for i, off in enumerate(silence):
        params[f"w{i + 1}"] = params[f"w{i + 1}"].masked_fill(off.mT, 0.0)
    return params


def tell_task(method, agent, task):
    """Tells a method which task is played next, if the agent was made for it."""
    if task in agent.tasks:
        method.before_task(agent, agent.tasks.index(task), "evaluate")
