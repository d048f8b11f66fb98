"""The switch of tasks: the end of a position, in the order of the protocol (docs/protocol.md)."""
from __future__ import annotations

from nbsp_lib.core.sac import renew
from nbsp_lib.training import measure
from nbsp_lib.training.networks import network_bytes
from nbsp_lib.training.rollout import schedule


def finish(cycle, states):
    """Score, measure, ship, then `pass_on`. cycle: train.Cycle at the end of its position; states: a SeedState of each seed."""
    networks = lambda: [network_bytes(cycle.agent, cycle.method, p) for p in range(len(cycle.seeds))]
    before = networks()
    cycle.note("scores", cycle.method.after_task(cycle.agent, cycle.task, cycle.world) or [])
    shipped = networks()
    if shipped != before:                       # a method that prunes: what counts is the network that ships
        cycle.evaluate(schedule(cycle.train, cycle.position)[cycle.round])
    cycle.note("R", measure.result_rows(cycle))
    for p, (state, data) in enumerate(zip(states, shipped)):
        state.keep_networks(f"position{cycle.position + 1}.seed{cycle.seeds[p]}.safetensors", data)
    pass_on(cycle)


def pass_on(cycle):
    """Store a part of the recent rows, forget the others, start anew what does not cross a switch, turn to the next task."""
    cycle.replay.store(cycle.task, cycle.streams["store"])
    part = cycle.replay.kept(cycle.task)
    for name, values in cycle.method.kept(cycle.agent, part).items():
        part[name].copy_(values)
    cycle.replay.clear()
    renew(cycle.agent, cycle.method)
    cycle.collector.forget()
    cycle.taken = [taken + cycle.step for taken in cycle.taken]
    cycle.position, cycle.round = cycle.position + 1, 0
    if cycle.position < len(cycle.positions):
        cycle.method.before_task(cycle.agent, cycle.task, "train")
