"""Runs jobs on a backend, in order, each retried once.

All that is known about a run lies in its state and its result folder. An engine only starts and stops processes, so it may die
at any moment. Several engines may share one folder: jobs locked by another process are re-queued.
"""

from __future__ import annotations

import math
import os
import signal
import time
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from nbsp_lib.campaign.failures import forget_failure, last_lines, note_failure, why
from nbsp_lib.campaign.job import busy
from nbsp_lib.campaign.screen import Screen
from nbsp_lib.campaign.worker import Task

TICK, LOOK, DRAW, AGAIN = (
    0.2,
    2.0,
    1.0,
    5.0,
)  # seconds: a turn; between looks at waiting jobs; drawing; after a lost lock
TRIES, OUTCOMES = 2, ("done", "failed", "stopped", "not begun")
RESERVE = 90.0  # seconds: before the end of the time no job begins, or a tenth of the time if that is less
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
    """Runs `jobs` (see job.BaseJob) on `backend` until nothing is left, a signal came or `deadline` (of time.monotonic())
    passed."""

    def __init__(self, jobs, backend, screen=None, deadline=math.inf):
        self.waiting, self.running, self.ended = list(jobs), {}, {}
        self.backend, self.screen = backend, screen or Screen()
        self.tries, self.later = Counter(), {}
        self.signals, self.stopping, self.killing = [], False, False  # received so far; what the workers were asked for
        self.signals_before_stop = 0
        self.looked = self.drawn = -1e9
        self.deadline = deadline
        self.reserve = min(RESERVE, (deadline - time.monotonic()) / 10)
        self.patient = False  # whether a line has said that other processes hold all waiting jobs

    def run(self):
        """-> {job: (what came of it, words, last lines)}; what came of it: one of OUTCOMES."""
        order = list(self.waiting)
        with self.noting_signals():
            try:
                while self.waiting or self.running:
                    self.collect()
                    if self.signals or self.late():
                        self.halt()
                    else:
                        self.fill()
                    self.draw()
                    if self.running or self.waiting:
                        time.sleep(TICK)
            finally:  # also when a backend refuses a job: no process is left behind
                while self.running:
                    self.halt()
                    time.sleep(TICK)
                    self.collect()
                self.screen.clear()
                self.backend.close()
        return {job: self.ended[job] for job in order}

    @contextmanager
    def noting_signals(self):
        kinds = (signal.SIGINT, signal.SIGTERM)
        before = {kind: signal.signal(kind, lambda number, frame: self.signals.append(number)) for kind in kinds}
        try:
            yield
        finally:
            for kind, handler in before.items():
                signal.signal(kind, handler)

    def late(self):
        """Whether the deadline has passed, or is too near for a new job."""
        left = self.deadline - time.monotonic()
        return left < 0 or (left < self.reserve and not self.running)

    # -- a turn --------------------------------------------------------------------------------------------------------
    def collect(self):
        """Takes note of the processes that ended."""
        for job, process in list(self.running.items()):
            code = process.handle.poll()
            if code is None:
                continue
            del self.running[job]
            self.looked = -1e9
            if code == 0:
                forget_failure(job)
                self.end(job, "done", f"{job.result()}, {duration(time.monotonic() - process.began)}")
            elif self.stopping and (code in STOPPED or self.killing):
                self.end(job, "stopped", f"{job.result()}" + ("" if code in STOPPED else ", killed"))
            elif code == os.EX_TEMPFAIL:
                self.put_back(job, "locked by another process, will retry")
            elif code in STOPPED and job.saves() > process.saves:
                self.put_back(job, "stopped from outside; goes on")
            else:
                self.failed(job, code, last_lines(job.log, process.offset))

    def put_back(self, job, words):
        self.screen.say(f"{job.title}: {words}")
        self.later[job] = time.monotonic() + AGAIN
        self.waiting.insert(0, job)

    def failed(self, job, code, lines):
        self.tries[job] += 1
        words = why(code, lines)
        try:
            note_failure(job, self.tries[job], code, lines)
        except OSError as error:  # a full disk must not end the other jobs too
            words += f" (no record of it: {error.strerror})"
        if self.tries[job] < TRIES and not self.stopping:
            self.screen.say(f"{job.title}: failed, {words}; once more")
            self.waiting.append(job)
        else:
            self.end(job, "failed", words, lines)

    def end(self, job, outcome, words, lines=()):
        self.ended[job] = (outcome, words, lines)
        self.screen.say(f"{job.title}: {outcome}, {words}")

    def fill(self):
        """Starts waiting jobs in order while the backend has room."""
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
        """Returns the first waiting job whose folders are free; drops jobs that other processes have finished."""
        taken = set().union(*(job.needs() for job in self.running))
        for job in list(self.waiting):
            needs = job.needs()
            free = time.monotonic() >= self.later.get(job, 0) and not needs & taken and not any(map(busy, needs))
            if job.over():  # asked last: the process that had the lock may just have finished
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
        except OSError as error:  # no room for a log, no process left
            return self.failed(job, 1, [f"cannot be started: {error}"])
        self.running[job] = JobProcess(handle, time.monotonic(), offset, job.reports(), job.saves())
        if not self.screen.live:
            self.screen.say(f"{job.title}: started")

    def halt(self):
        """Asks every process to save and end; at a second Ctrl-C kills them."""
        for job in self.waiting:
            self.ended[job] = ("not begun", job.result(), ())
        self.waiting.clear()
        if not self.stopping:
            self.stopping, self.signals_before_stop = True, len(self.signals)
            if self.running:
                self.screen.say(f"{self.cause()}{len(self.running)} running jobs save and end; Ctrl-C kills them")
            self.tell("stop")
        elif not self.killing and signal.SIGINT in self.signals[self.signals_before_stop :]:
            self.killing = True
            self.tell("kill")

    def cause(self):
        """Returns why the campaign ends early, as the beginning of a line."""
        if self.signals:
            return f"{signal.Signals(self.signals[0]).name}: "
        return "time is over: " if self.late() else ""

    def tell(self, word):
        """Calls `stop` or `kill` of every running process; ignores one that has just ended."""
        for process in self.running.values():
            with suppress(ProcessLookupError):
                getattr(process.handle, word)()

    def draw(self):
        """Draws the running jobs and how many there are of each kind, once in DRAW seconds."""
        if not self.screen.live or not self.running or time.monotonic() - self.drawn < DRAW:
            return
        self.drawn = time.monotonic()
        counts = {"running": len(self.running), "waiting": len(self.waiting)}
        counts |= Counter(outcome for outcome, _, _ in self.ended.values())
        summary = ", ".join(f"{number} {kind}" for kind, number in counts.items() if number)
        self.screen.draw(
            [(job.title, job.progress(process.reports)) for job, process in self.running.items()], f"jobs: {summary}"
        )


def duration(seconds):
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
