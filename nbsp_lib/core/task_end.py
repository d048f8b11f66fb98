"""The end of a task for replay and learner, the same for the pipeline, the learn notebooks and the checks of methods."""

from __future__ import annotations


def end_task(agent, method, replay, task, gens):
    """Stores a part of the recent rows, forgets the others, and resets the part of SAC's own state that does not cross a
    switch.

    task: index of the distinct task that ends; gens: a generator of each seed, for the rows that are stored. Call
    Method.after_task before it, and Method.before_task of the next task after it.
    """
    replay.store(task, gens)
    part = replay.kept(task)
    for name, values in method.kept(agent, part).items():
        part[name].copy_(values)
    replay.clear()
    renew(agent, method)


def renew(agent, method):
    """Resets the part of SAC's own state that does not cross a switch of tasks; see Method.reset_temperature."""
    if method.reset_temperature:
        agent.temperature.reset_adam()
        agent.temperature.params["log_alpha"].fill_(agent.head.log_alpha)
    for net in agent.networks if method.reset_adam else ():
        net.reset_adam()
