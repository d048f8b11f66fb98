"""Seconds of scoring and masking at a task end, against the seconds of one position (estimated from measured rates)."""

from __future__ import annotations

import sys
import time
from dataclasses import replace

import numpy as np

from benchmarks import common
from nbsp_lib.campaign.speed import measure
from nbsp_lib.campaign.work import work_from
from nbsp_lib.methods import METHODS


class Watch:
    """A World whose rollouts are timed, in CPU seconds."""

    def __init__(self, context):
        self.context, self.seconds = context, 0.0

    def __getattr__(self, name):
        return getattr(self.context, name)

    def rollout(self, task):
        begun = time.process_time()
        try:
            return self.context.rollout(task)
        finally:
            self.seconds += time.process_time() - begun


def task_end(trainer):
    """(CPU seconds of the whole hook, of the rollout in it)."""
    watch, begun = Watch(trainer.context), time.process_time()
    trainer.method.after_task(trainer.agent, trainer.task, watch)
    return time.process_time() - begun, watch.seconds


def compared(train, arm, options):
    """A row: one task end and one position of an arm, in turns."""
    make = lambda: METHODS[arm.method](**arm.settings)
    shown = replace(train, goal="reward", **({"scoring_episodes": 1, "episode": 20} if options.quick else {}))
    trainer = common.filled(shown, make())
    work = work_from(common.position(train, trainer.method), (0, -1))
    ends, positions, cores = [], [], []
    task_end(trainer)  # warms up
    for _ in range(options.slices):
        rates = measure(train, common.SEQUENCE, make(), 1, options.seconds)
        positions.append(work.updates * rates.update + work.played * rates.play + work.measured * rates.evaluate)
        ends.append(task_end(trainer))
        cores.append(rates.core)
    whole, rollout = np.array(ends).T
    return {
        "arm": arm.name,
        "end": common.median(whole),
        "rollout": common.median(rollout),
        "rest": common.median(whole - rollout),
        "position": common.median(positions),
        "share": common.median(whole / positions),
    }, cores


def main(argv=None):
    options = common.options("scoring", __doc__, argv, slices=3, seconds=2.0, crews=False)
    common.as_in_training()
    profile, rows, cores = common.profile("laptop"), [], []
    for name in ("nbsp", "nbsp-balanced"):
        row, core = compared(profile.train, profile.arms[name], options)
        rows, cores = [*rows, row], cores + core
    columns = {
        "arm": "arm",
        "end": "s at a task end",
        "rollout": "of it the rollout",
        "rest": "scoring and masking",
        "position": "s of a position",
        "share": "share",
    }
    title = "Scoring at a task end, laptop profile, one seed, CPU seconds"
    common.publish("scoring", options, common.median(cores), [common.table(title, columns, rows)])


if __name__ == "__main__":
    sys.exit(main())
