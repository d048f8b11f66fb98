"""python killed_run.py FOLDER: the run of tiny_run.train, killed at many moments, always started again, at last left in peace.

FOLDER/chosen: every life is a forked process in which one function of Python or of the library is replaced by one that
kills it with SIGKILL at its n-th call. FOLDER/timed: killed from outside, after ever longer.
Prints how each life ended. A second word, `few`: only a few lives; `compiled`: few others, in compiled mode, of one position
or, with the word `all`, of two.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from pathlib import Path

from tiny_run import train

from nbsp_lib.core.context import Context
from nbsp_lib.core.replay import Replay
from nbsp_lib.envs.metaworld import simulator
from nbsp_lib.training import rollout, trainer
from nbsp_lib.training.trainer import Trainer

PLACES = {
    "fsync": (os, "fsync"),
    "replace": (os, "replace"),
    "unlink": (Path, "unlink"),
    "copy": (shutil, "copyfile"),
    "rmtree": (shutil, "rmtree"),
    "update": (trainer, "update_from_rows"),
    "rollout": (rollout, "rollout"),
    "store": (Replay, "store"),
    "scoring": (Context, "rollout"),
    "evaluate": (Trainer, "evaluate"),
}
# (where, n-th call): killed before it, or with "+" after it; "torn" halves the file that is being written.
LIVES = [
    # the shared position 1 and its fork
    ("fsync", 1),
    ("replace", 1),
    ("fsync+", 3),
    ("torn", 2),
    ("update", 20),
    ("evaluate", 2),
    ("copy", 1),
    ("copy+", 2),
    ("copy+", 4),
    # its switch, up to the moment when one seed is saved beyond it and the other is not
    ("scoring", 1),
    ("scoring+", 1),
    ("evaluate+", 1),
    ("replace+", 1),
    ("store+", 1),
    ("torn", 3),
    ("replace+", 4),
    # the other follows, then position 2 of both, up to the moment when one of them is at the end
    ("unlink+", 1),
    ("fsync", 3),
    ("update", 30),
    ("torn", 1),
    ("scoring", 1),
    ("store", 1),
    ("rollout", 2),
    ("replace+", 4),
    ("scoring+", 1),
    ("store+", 1),
    # shipping
    ("rmtree", 1),
    ("rmtree+", 2),
]

FEW = [("update", 20), ("scoring+", 1), ("replace+", 4), ("update", 30), ("torn", 1)]  # updates, switch, saves
COMPILED = [("replace+", 6), ("scoring+", 1), ("evaluate", 2), ("replace+", 7)]  # there a call of update is its tracing


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def arm(kind, nth):
    """Replace the function that `kind` names by one that kills at its nth call."""
    owner, name = PLACES["fsync" if kind == "torn" else kind.rstrip("+")]
    real, calls = getattr(owner, name), []

    def deadly(*args, **kwargs):
        if kind == "torn":
            path = os.readlink(f"/proc/self/fd/{args[0]}")
            if path.endswith(".part"):
                calls.append(1)
                if len(calls) == nth:
                    os.ftruncate(args[0], os.path.getsize(path) // 2)
                    kill()
            return real(*args, **kwargs)
        calls.append(1)
        if len(calls) == nth and not kind.endswith("+"):
            kill()
        made = real(*args, **kwargs)
        if len(calls) == nth:
            kill()
        return made

    setattr(owner, name, deadly)


def live(folder, kind=None, n=None, seconds=None, **how):
    """One life -> the signal that ended it, negative, or 0."""
    child = os.fork()
    if child == 0:
        if kind:
            arm(kind, n)
        train(folder, seeds=(0, 1), population=2, save_every=0, **how)
        os._exit(0)
    if seconds:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    for task in ("window-open", "window-close"):
        simulator(task)  # built once for all lives
    few, compiled, how = sys.argv[2:] == ["few"], "compiled" in sys.argv, {}
    lives = FEW if few else LIVES
    if compiled:
        whole = "all" in sys.argv
        lives, how = COMPILED if whole else COMPILED[:1], {"compile": True, "positions": 2 if whole else 1}
    for kind, n in [*lives, (None, None)]:
        print(kind, n, live(f"{sys.argv[1]}/chosen", kind, n, **how), flush=True)
    seconds = 0.4
    while not (few or compiled) and live(f"{sys.argv[1]}/timed", seconds=seconds):
        seconds *= 1.6
