"""A run: one sequence × one arm × some seeds, from nothing, from a fork of position 1, or from where it was stopped."""
from __future__ import annotations

import contextlib
import ctypes
import math
import signal
import threading
import time
from pathlib import Path

import torch

from nbsp_lib.envs.sequences import benchmark_of, tasks_of
from nbsp_lib.errors import Diverged
from nbsp_lib.methods import find
from nbsp_lib.runs.fingerprint import fingerprint
from nbsp_lib.runs.progress import Bar
from nbsp_lib.runs.settings import cell
from nbsp_lib.runs.state import SeedState

STATE = ".state"            # resumable state, outside everything that DVC owns
TIME_OVER = 75              # exit code: EX_TEMPFAIL, to be tried again
OVER = "the time of --minutes is over: everything is saved, and the same command goes on from there"


class Stopped(KeyboardInterrupt):
    """Ctrl-C, SIGTERM or the end of the time: the state is saved, and the same command goes on from there."""


def trunk_of(run):
    """The cell of the shared position 1: plain SAC until its first task end, whatever the arm."""
    return run | {"method": "sac", "settings": {}, "until": "first task end"}


def states_of(run, seeds, root=STATE):
    """seed -> SeedState of a run (settings.cell)."""
    return {seed: SeedState(Path(root) / fingerprint(run) / f"seed{seed}") for seed in seeds}


def place(state):
    """(positions done, rounds done) of a state; (0, −1) before anything was saved."""
    manifest = state.manifest
    return (manifest["position"], manifest["round"]) if manifest else (0, -1)


def over(state):
    """Whether the position that a state stands at is trained to its end, so that only the switch is missing."""
    return bool((state.manifest or {}).get("over"))


def train_run(profile, sequence, arm, seeds, population=1, positions=None, device="cpu", root=STATE, fork=True, save_every=20.0,
              workers=0, compile=False, deadline=math.inf):
    """Train what is missing of `seeds`, `population` of them at a time -> {seed: SeedState}. Finished seeds are left alone.

    positions: stop after this many (default: all). fork: share position 1 with every arm that starts neutral.
    workers: processes that step the environments (default: this one), with the same trajectories. compile: also on a CPU, see
    compilation.compiled; numbers then differ in their last bits from those of plain calls.
    deadline: of time.monotonic(), when to save and end, also while another process trains position 1.
    A seed that diverges keeps its last good state; the others go on. Stopped at the deadline, Ctrl-C or SIGTERM, with all saved.
    """
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)           # Adam's second moments of silent neurons decay into slow numbers
    keep_memory()
    run, chosen = cell(profile, sequence, arm), profile.arms[arm]
    last = min(positions or len(tasks_of(sequence)), len(tasks_of(sequence)))
    make, train = lambda: find(chosen.method)(**chosen.settings), profile.training(sequence)
    if workers and benchmark_of(tasks_of(sequence)[0]) != "metaworld":
        raise ValueError("workers: only Meta-World is stepped by other processes; more seeds at a time use more of a machine")
    from nbsp_lib.envs.env_pool import Pool  # here, because who asks how far a run is needs no simulator
    states = states_of(run, seeds, root)
    with stop_signals(deadline) as stop, contextlib.ExitStack() as held:
        for state in states.values():
            held.enter_context(state.lock())
        make_env = held.enter_context(contextlib.closing(Pool(workers))) if workers else None
        new = [seed for seed in seeds if not states[seed].manifest]
        if fork and find(chosen.method).forkable and new:
            trunk = states_of(trunk_of(run), new, root)
            with contextlib.ExitStack() as shared:
                for state in trunk.values():                         # another arm may be training it just now
                    try:
                        shared.enter_context(state.lock(giving_up=stop))
                    except BlockingIOError:
                        raise Stopped("stopped while another process trains position 1; the same command goes on") from None
                advance(train, sequence, find("sac"), trunk, 1, False, population, device, stop, save_every,
                        "position 1", make_env, compile)
                for seed in new:
                    states[seed].fork(trunk[seed])
        advance(train, sequence, make, states, last, True, population, device, stop, save_every, arm, make_env, compile)
        if stop():                           # it came during the last switch: whoever loops over runs must not go on
            raise Stopped("stopped; everything is saved")
    return states


def keep_memory():
    """Ask glibc to keep freed blocks: an update allocates dozens of 256 KB tensors, and page faults would double its time."""
    with contextlib.suppress(OSError, AttributeError):
        mallopt, trim_threshold, mmap_threshold = ctypes.CDLL("libc.so.6").mallopt, -1, -3      # malloc.h
        mallopt(mmap_threshold, 2 ** 30)
        mallopt(trim_threshold, 2 ** 31 - 1)


def advance(train, sequence, make, states, last, switch, population, device, stop, save_every, label, make_env=None,
            compile=False):
    """Bring every state to `last` positions, the least advanced seeds first, those at the same place together.

    Seeds whose position is over wait for the others of it, so that all begin the next one together.
    """
    from nbsp_lib.training.saving import load  # likewise
    from nbsp_lib.training.trainer import Trainer
    arrived = lambda s: (s.manifest or {}).get("diverged") or place(s)[0] >= last or (not switch and over(s))
    where = lambda s: (place(s)[0], over(s), place(s)[1])
    trainer = None
    while todo := [seed for seed, state in states.items() if not arrived(state)]:
        if stop():
            raise Stopped("stopped; everything is saved, the same command goes on from here")
        lowest = min(where(states[seed]) for seed in todo)
        group = tuple(seed for seed in todo if where(states[seed]) == lowest)[:population]
        if trainer is None or trainer.seeds != group:               # a cycle that goes on keeps what was compiled for it
            trainer = Trainer(train, sequence, make(), group, device, make_env, compile)
        mine = [states[seed] for seed in group]
        if place(mine[0]) >= (0, 0):
            load(trainer, mine)
        with Bar(trainer, mine, last if switch else 1, f"{sequence} {label} seed {','.join(map(str, group))}") as bar:
            try:
                if not trainer.run(mine, bar, stop, save_every, switch):
                    raise Stopped("stopped; everything is saved, the same command goes on from here")
            except Diverged as error:
                for seed in error.seeds:
                    states[seed].mark(diverged=True)


@contextlib.contextmanager
def stop_signals(deadline=math.inf):
    """A function that says whether SIGINT or SIGTERM came or the deadline passed; a second signal interrupts at once."""
    came = []

    def note(number, frame):
        if number in came:          # the second of its kind: Slurm sends SIGTERM to all, the runner SIGINT after it
            raise KeyboardInterrupt
        came.append(number)

    kinds = (signal.SIGINT, signal.SIGTERM) if threading.current_thread() is threading.main_thread() else ()
    before = {kind: signal.signal(kind, note) for kind in kinds}
    try:
        yield lambda: bool(came) or time.monotonic() > deadline
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
