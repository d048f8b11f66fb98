"""Trains seeds of a run: from nothing, from a fork of position 1, or from where they were stopped."""

from __future__ import annotations

import contextlib
import ctypes
import math
import signal
import threading
import time
from multiprocessing import resource_tracker

import torch

from nbsp_lib.envs.sequences import benchmark_of
from nbsp_lib.errors import Diverged
from nbsp_lib.runs.progress import Bar
from nbsp_lib.runs.run import ONE_BY_ONE

TIME_OVER = 75  # exit code: EX_TEMPFAIL, to be tried again
OVER = "the time of --minutes is over: everything is saved, and the same command goes on from there"


class Stopped(KeyboardInterrupt):
    """Ctrl-C, SIGTERM or the end of the time: the state is saved, and the same command goes on from there."""


def train_run(run, seeds, placement=ONE_BY_ONE, fork=True, save_every=20.0, deadline=math.inf):
    """Trains what is missing of `seeds` of a Run -> {seed: SeedState}. Finished seeds are left alone.

    fork: share position 1 with every arm that starts neutral. save_every: seconds between two saves.
    deadline: of time.monotonic(), when to save and end, also while another process trains position 1.
    A seed that diverges keeps its last good state; the others go on. Stopped at the deadline, Ctrl-C or SIGTERM, with all saved.
    """
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # Adam's second moments of silent neurons decay into slow numbers
    keep_memory()
    if placement.workers and benchmark_of(run.tasks[0]) != "metaworld":
        raise ValueError(
            "workers: only Meta-World is stepped by other processes; more seeds at a time use more of a machine"
        )
    from nbsp_lib.envs.env_pool import Pool  # here, because what only asks how far a run is needs no simulator

    states = run.states(seeds)
    with stop_signals(deadline) as stop, contextlib.ExitStack() as locks:
        for state in states.values():
            locks.enter_context(state.lock())
        make_env = None
        if placement.workers:
            with deaf():
                make_env = locks.enter_context(contextlib.closing(Pool(placement.workers)))
        new = {seed: state for seed, state in states.items() if not state.manifest}
        if fork and run.forkable and new:
            trunk = run.trunk().states(new)
            with contextlib.ExitStack() as shared:
                for state in trunk.values():  # another arm may be training it just now
                    try:
                        shared.enter_context(state.lock(giving_up=stop))
                    except BlockingIOError:
                        raise Stopped(
                            "stopped while another process trains position 1; the same command goes on"
                        ) from None
                advance(run.trunk(), trunk, placement, stop, save_every, make_env)
                for seed, state in new.items():
                    state.fork(trunk[seed])
        advance(run, states, placement, stop, save_every, make_env)
        if stop():  # it came during the last switch: a loop over runs must not go on
            raise Stopped("stopped; everything is saved")
    return states


def keep_memory():
    """Ask glibc to keep freed blocks: an update allocates dozens of 256 KB tensors, and page faults would double its time."""
    with contextlib.suppress(OSError, AttributeError):
        mallopt, trim_threshold, mmap_threshold = ctypes.CDLL("libc.so.6").mallopt, -1, -3  # malloc.h
        mallopt(mmap_threshold, 2**30)
        mallopt(trim_threshold, 2**31 - 1)


def advance(run, states, placement, stop, save_every, make_env=None):
    """Brings every state of a run to its last position, the least advanced seeds first, those at the same place together.

    Seeds whose position is over wait for the others of it, so that all begin the next one together.
    """
    from nbsp_lib.training.saving import load  # likewise
    from nbsp_lib.training.trainer import Trainer

    last, trainer = run.last(placement.positions), None
    while todo := [seed for seed, state in states.items() if not run.arrived(state, placement.positions)]:
        if stop():
            raise Stopped("stopped; everything is saved, the same command goes on from here")
        stands = {seed: (states[seed].place[0], states[seed].over, states[seed].place[1]) for seed in todo}
        lowest = min(stands.values())
        group = tuple(seed for seed in todo if stands[seed] == lowest)[: placement.population]
        if trainer is None or trainer.seeds != group:  # one that goes on keeps what was compiled for it
            trainer = Trainer(
                run.training, run.sequence, run.method(), group, placement.device, make_env, placement.compile
            )
        mine = [states[seed] for seed in group]
        if mine[0].place >= (0, 0):
            load(trainer, mine)
        with Bar(trainer, mine, last, f"{run.title} seed {','.join(map(str, group))}") as bar:
            try:
                if not trainer.run(mine, bar, stop, save_every, not run.shared):
                    raise Stopped("stopped; everything is saved, the same command goes on from here")
            except Diverged as error:
                for seed in error.seeds:
                    states[seed].mark(diverged=True)


@contextlib.contextmanager
def deaf():
    """Processes that are started here never hear SIGINT and SIGTERM, which a terminal, Slurm or `timeout` sends to the whole
    group: those that step environments serve until the training has saved, and end with its pipe."""
    resource_tracker.ensure_running()  # started on demand, it would end the block before the first of them
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def stop_signals(deadline=math.inf):
    """A function that says whether SIGINT or SIGTERM came or the deadline passed; a second signal interrupts at once."""
    came = []

    def note(number, frame):
        if number in came:  # the second of its kind: Slurm sends SIGTERM to all, the runner SIGINT after it
            raise KeyboardInterrupt
        came.append(number)

    kinds = (signal.SIGINT, signal.SIGTERM) if threading.current_thread() is threading.main_thread() else ()
    before = {kind: signal.signal(kind, note) for kind in kinds}
    try:
        yield lambda: bool(came) or time.monotonic() > deadline
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
