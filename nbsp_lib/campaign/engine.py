"""A campaign: jobs on a backend, in order, each retried once, and a report of what came of them. `nbsp run --jobs 2`.

All that is known about a run lies in its state and its result folder. An engine only starts and stops processes, so it may die
at any moment, and several may share the work of one folder: what another process holds is put back and looked at again.
"""
from __future__ import annotations

import math
import os
import signal
import time
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from nbsp_lib.campaign.backends.local import Local
from nbsp_lib.campaign.backends.worker import Task
from nbsp_lib.campaign.dvc_record import recordings
from nbsp_lib.campaign.job import busy, forget_failure, jobs_of, last_lines, note_failure, why
from nbsp_lib.campaign.plan import footprint
from nbsp_lib.campaign.screen import Screen
from nbsp_lib.runs.train_run import OVER, TIME_OVER

TICK, LOOK, DRAW, AGAIN = 0.2, 2.0, 1.0, 5.0    # seconds: a turn; between looks at waiting jobs; drawing; after a lost lock
TRIES, OUTCOMES = 2, ("done", "failed", "stopped", "not begun")
RESERVE = 90.0                      # seconds: before the end of the time no job begins, or a tenth of the time if that is less
STOPPED = {128 + signal.SIGINT, 128 + signal.SIGTERM, -signal.SIGINT, -signal.SIGTERM}


@dataclass
class JobProcess:
    """One process of a job: its handle, when it began, where its part of the log begins, its reports and saves before."""
    handle: object
    began: float
    offset: int
    reports: dict
    saves: int


class Engine:
    """`jobs` (see jobs.Job for what one can be asked) on `backend`, until nothing is left, a signal came or `deadline` (of
    time.monotonic()) passed."""

    def __init__(self, jobs, backend, screen=None, deadline=math.inf):
        self.waiting, self.running, self.ended = list(jobs), {}, {}
        self.backend, self.screen = backend, screen or Screen()
        self.tries, self.later = Counter(), {}
        self.came, self.heard, self.told = [], 0, 0         # signals, of these answered; 1: told to end, 2: killed
        self.looked = self.drawn = -1e9
        self.deadline = deadline
        self.reserve = min(RESERVE, (deadline - time.monotonic()) / 10)
        self.patient = False                        # whether it was said that only others' jobs are left

    def run(self):
        """-> {job: (what came of it, words, last lines)}; what came of it: one of OUTCOMES."""
        order = list(self.waiting)
        with self.signals():
            try:
                while self.waiting or self.running:
                    self.collect()
                    if self.came or self.late():
                        self.halt()
                    else:
                        self.fill()
                    self.draw()
                    if self.running or self.waiting:
                        time.sleep(TICK)
            finally:                                # also when a backend refuses a job: no process is left behind
                while self.running:
                    self.halt()
                    time.sleep(TICK)
                    self.collect()
                self.screen.draw(())
                self.backend.close()
        return {job: self.ended[job] for job in order}

    @contextmanager
    def signals(self):
        kinds = (signal.SIGINT, signal.SIGTERM)
        before = {kind: signal.signal(kind, lambda number, frame: self.came.append(number)) for kind in kinds}
        try:
            yield
        finally:
            for kind, handler in before.items():
                signal.signal(kind, handler)

    def late(self):
        """Whether the time is over, or too little of it is left for what has not begun."""
        left = self.deadline - time.monotonic()
        return left < 0 or (left < self.reserve and not self.running)

    # -- a turn --------------------------------------------------------------------------------------------------------
    def collect(self):
        """Take note of the processes that ended."""
        for job, life in list(self.running.items()):
            code = life.handle.poll()
            if code is None:
                continue
            del self.running[job]
            self.looked = -1e9
            if code == 0:
                forget_failure(job)
                self.end(job, "done", f"{job.result()}, {duration(time.monotonic() - life.began)}")
            elif self.told and (code in STOPPED or self.told > 1):
                self.end(job, "stopped", f"{job.result()}" + ("" if code in STOPPED else ", killed"))
            elif code == os.EX_TEMPFAIL:
                self.put_back(job, "another process was quicker; later")
            elif code in STOPPED and job.saves() > life.saves:
                self.put_back(job, "stopped from outside; goes on")
            else:
                self.failed(job, code, last_lines(job.log, life.offset))

    def put_back(self, job, words):
        self.screen.say(f"{job.title}: {words}")
        self.later[job] = time.monotonic() + AGAIN
        self.waiting.insert(0, job)

    def failed(self, job, code, lines):
        self.tries[job] += 1
        words = why(code, lines)
        try:
            note_failure(job, self.tries[job], code, lines)
        except OSError as error:                    # a full disk must not end the other jobs too
            words += f" (no record of it: {error.strerror})"
        if self.tries[job] < TRIES and not self.told:
            self.screen.say(f"{job.title}: failed, {words}; once more")
            self.waiting.append(job)
        else:
            self.end(job, "failed", words, lines)

    def end(self, job, outcome, words, lines=()):
        self.ended[job] = (outcome, words, lines)
        self.screen.say(f"{job.title}: {outcome}, {words}")

    def fill(self):
        """Start what can be started, in order."""
        if time.monotonic() - self.looked < LOOK or self.deadline - time.monotonic() < self.reserve:
            return
        while self.waiting and self.backend.capacity > 0:
            job = self.next()
            if job is None:
                self.looked = time.monotonic()
                break
            self.waiting.remove(job)
            self.start(job)
        if not self.running and self.waiting and not self.patient:
            self.screen.say("waiting for other processes, which train: " + "; ".join(job.title for job in self.waiting))
        self.patient = bool(self.waiting and not self.running)

    def next(self):
        """The first waiting job that nobody keeps from starting; drops those that others have finished."""
        taken = set().union(*(job.needs() for job in self.running))
        for job in list(self.waiting):
            needs = job.needs()
            free = time.monotonic() >= self.later.get(job, 0) and not needs & taken and not any(map(busy, needs))
            if job.over():                          # asked last: who had the lock may just have finished
                self.waiting.remove(job)
                forget_failure(job)
                self.end(job, "done", f"{job.result()}, by another process")
            elif free:
                return job
        return None

    def start(self, job):
        offset = job.log.stat().st_size if job.log.exists() else 0
        try:
            handle = self.backend.start(Task(job.name, job.command, job.log))
        except OSError as error:                    # no room for a log, no process left
            return self.failed(job, 1, [f"cannot be started: {error}"])
        self.running[job] = JobProcess(handle, time.monotonic(), offset, job.reports(), job.saves())
        if not self.screen.live:
            self.screen.say(f"{job.title}: started")

    def halt(self):
        """Ask every process to save and end; at a second Ctrl-C kill them."""
        for job in self.waiting:
            self.ended[job] = ("not begun", job.result(), ())
        self.waiting.clear()
        if not self.told:
            self.told, self.heard = 1, len(self.came)
            if self.running:
                cause = f"{signal.Signals(self.came[0]).name}: " if self.came else "time is over: " if self.late() else ""
                self.screen.say(f"{cause}{len(self.running)} running jobs save and end; Ctrl-C kills them")
            for life in self.running.values():
                with suppress(ProcessLookupError):
                    life.handle.stop()
        elif self.told == 1 and signal.SIGINT in self.came[self.heard:]:
            self.told = 2
            for life in self.running.values():
                with suppress(ProcessLookupError):
                    life.handle.kill()

    def draw(self):
        if self.screen.live and self.running and time.monotonic() - self.drawn > DRAW:
            self.drawn, counts = time.monotonic(), Counter(outcome for outcome, _, _ in self.ended.values())
            said = ", ".join(f"{n} {outcome}" for outcome, n in [("running", len(self.running)), ("waiting", len(self.waiting)),
                                                                 *counts.items()] if n)
            self.screen.draw([*(job.progress(life.reports) for job, life in self.running.items()), f"jobs: {said}"])


def duration(seconds):
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def campaign(profile, grid, seeds, backend, population=1, positions=None, device="cpu", dvc=True, screen=None, workers=0,
             compile=False, deadline=math.inf):
    """Train what is missing of a grid [(sequence, arm)] on a backend, report, and record finished stages with DVC.

    -> exit code: 0, 1 if a job failed, TIME_OVER if the deadline (of time.monotonic()) left something unfinished, 128 + the
    number of the signal that ended it.
    """
    screen, jobs = screen or Screen(), []
    for sequence, arm in grid:
        mine = jobs_of(profile, sequence, arm, seeds, population, positions, device, workers, compile)
        there = [seed for seed in seeds if not any(seed in job.seeds for job in mine)]
        if there:
            screen.say(f"{sequence} {arm}: seeds {', '.join(map(str, there))} are finished already")
        if mine:
            screen.say(footprint(profile, sequence, arm, min(population, len(mine[0].seeds))))
        jobs += mine
    engine = Engine(jobs, backend, screen, deadline)
    ended, came = engine.run(), engine.came
    if dvc and not came and not engine.told:
        recorder = Engine(recordings(profile, grid), Local(1), screen, deadline)
        ended, came = ended | recorder.run(), recorder.came
    report(ended, screen)
    outcomes = {outcome for outcome, _, _ in ended.values()}
    if came or not outcomes & {"stopped", "not begun"}:
        return 128 + came[0] if came else int("failed" in outcomes)
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
