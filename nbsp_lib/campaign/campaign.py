"""Trains what is missing of some runs with an engine and reports the outcome of every job: `nbsp run --jobs 2`."""

from __future__ import annotations

import math
from collections import Counter

from nbsp_lib.campaign.backends.local import Local
from nbsp_lib.campaign.dvc_record import recordings
from nbsp_lib.campaign.engine import OUTCOMES, Engine
from nbsp_lib.campaign.job import jobs_of
from nbsp_lib.campaign.memory import footprint
from nbsp_lib.campaign.screen import Screen
from nbsp_lib.runs.run import ONE_BY_ONE
from nbsp_lib.runs.train_run import OVER, TIME_OVER


def campaign(runs, seeds, backend, placement=ONE_BY_ONE, dvc=True, screen=None, deadline=math.inf):
    """Trains what is missing of some runs on a backend, reports, and records finished stages with DVC.

    -> exit code: 0, 1 if a job failed, TIME_OVER if the deadline (of time.monotonic()) left something unfinished, 128 + the
    number of the signal that ended it.
    """
    screen, jobs = screen or Screen(), []
    for run in runs:
        mine = jobs_of(run, seeds, placement)
        there = [seed for seed in seeds if not any(seed in job.seeds for job in mine)]
        if there:
            screen.say(f"{run.title}: seeds {', '.join(map(str, there))} are finished already")
        if mine:
            screen.say(footprint(run, min(placement.population, len(mine[0].seeds))))
        jobs += mine
    engine = Engine(jobs, backend, screen, deadline)
    ended, signals = engine.run(), engine.signals
    if dvc and not engine.stopping:
        recorder = Engine(recordings(runs), Local(1), screen, deadline)
        ended, signals = ended | recorder.run(), recorder.signals
    report(ended, screen)
    outcomes = {outcome for outcome, _, _ in ended.values()}
    if signals:
        return 128 + signals[0]
    if not outcomes & {"stopped", "not begun"}:
        return int("failed" in outcomes)
    screen.say(OVER)
    return 1 if "failed" in outcomes else TIME_OVER


def report(ended, screen):
    """A line for each job, the last lines of those that failed, and a summary."""
    if len(ended) > 1:
        screen.say()
        for job, (outcome, words, _) in ended.items():
            screen.say(f"{job.title:40} {outcome:9} {words}")
    for job, (outcome, _, lines) in ended.items():
        if outcome == "failed":
            screen.say(f"\n{job.title} failed, the end of {job.log}:")
            for line in lines:
                screen.say(f"    {line}")
    counts = Counter(outcome for outcome, _, _ in ended.values())
    screen.say(", ".join(f"{counts[outcome]} {outcome}" for outcome in OUTCOMES if counts[outcome]) or "nothing to do")
