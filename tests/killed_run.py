"""python killed_run.py FOLDER: the run of tiny_run.train, killed at many moments and started again, then left in peace.

Every life is a forked process in which one function of Python or of the library is replaced by one that kills it with
SIGKILL at its n-th call, so the moments are chosen, not lucky; some lives are killed from outside after a while. Prints each life.
"""
from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

from tiny_run import train

import nbsp_lib.evaluate
import nbsp_lib.train
from nbsp_lib.replay import Replay

PLACES = {"fsync": (os, "fsync"), "replace": (os, "replace"), "unlink": (Path, "unlink"), "copy": (shutil, "copyfile"),
          "rmtree": (shutil, "rmtree"), "update": (nbsp_lib.train, "update"), "rollout": (nbsp_lib.evaluate, "rollout"),
          "store": (Replay, "store"), "scoring": (nbsp_lib.evaluate.World, "rollout"), "evaluate": (nbsp_lib.train.Cycle, "evaluate")}
# (where, n-th call): killed before it, or with "+" after it; "torn" halves the file that is being written.
LIVES = [("fsync", 1), ("replace", 1), ("fsync+", 3), ("torn", 2), ("update", 20), ("evaluate", 2), ("replace+", 5), ("torn", 3),
         ("unlink", 2), ("fsync", 9), ("copy", 1), ("copy+", 2), ("copy+", 4), ("scoring", 1), ("scoring+", 1), ("store+", 1),
         ("evaluate+", 1), ("replace+", 3), ("update", 30), ("after", 0.6), ("torn", 4), ("after", 0.9), ("unlink+", 1),
         ("scoring", 1), ("rollout", 2), ("store", 1), ("rmtree", 1), ("rmtree+", 2)]


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


def live(folder, kind, n):
    """One life -> the signal that ended it, or 0."""
    child = os.fork()
    if child == 0:
        if kind in ("after", "whole"):
            n = None
        else:
            arm(kind, n)
        train(folder, seeds=(0, 1), population=2, save_every=0)
        os._exit(0)
    if kind == "after":
        time.sleep(n)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    random.seed(0)
    lives = LIVES + [("after", random.uniform(0.3, 1.5)) for _ in range(3)] + [("whole", 0)]
    for kind, n in lives:
        print(kind, n, live(sys.argv[1], kind, n), flush=True)
