"""The switch of tasks: the end of a position, in the order of the protocol (docs/protocol.md)."""

from __future__ import annotations

from nbsp_lib.core.task_end import end_task
from nbsp_lib.training import measure
from nbsp_lib.training.networks import network_bytes
from nbsp_lib.training.rollout import schedule


def finish(trainer, states):
    """Scores, measures and ships, then calls `pass_on`. trainer: at the end of its position; states: a SeedState of each seed."""
    networks = lambda: [network_bytes(trainer.agent, trainer.method, p) for p in range(len(trainer.seeds))]
    before = networks()
    trainer.note("scores", trainer.method.after_task(trainer.agent, trainer.task, trainer.context) or [])
    shipped = networks()
    if shipped != before:  # a method that prunes: what counts is the network that ships
        trainer.evaluate(schedule(trainer.train, trainer.position)[trainer.round])
    trainer.note("R", measure.result_rows(trainer))
    for p, (state, data) in enumerate(zip(states, shipped)):
        state.keep_networks(f"position{trainer.position + 1}.seed{trainer.seeds[p]}.safetensors", data)
    pass_on(trainer)


def pass_on(trainer):
    """Ends the task (task_end.end_task) and turns to the next position."""
    end_task(trainer.agent, trainer.method, trainer.replay, trainer.task, trainer.streams["store"])
    trainer.collector.forget()
    trainer.taken = [taken + trainer.step for taken in trainer.taken]
    trainer.position, trainer.round = trainer.position + 1, 0
    if trainer.position < len(trainer.positions):
        trainer.method.before_task(trainer.agent, trainer.task, "train")
