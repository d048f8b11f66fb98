"""The process of one task, on whatever machine it runs, and how it comes to an end.

No worker outlives the process that started it: Linux sends the worker SIGTERM when that process dies, however it dies.
On other systems the workers of a killed engine finish their job, and their locks keep other processes away.
Call a backend's `start` from the main thread: Linux sends the signal when the thread that started the worker ends. It may
send it again for every other thread, so workers act on the first signal and ignore repeats, as artifact.notebook does.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

PARENT_DEATH = 1  # PR_SET_PDEATHSIG of linux/prctl.h
ASKED = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)  # Slurm and submitit announce the end by the last two


@dataclass(frozen=True)
class Task:
    name: str
    command: tuple[str, ...]
    log: Path  # stdout and stderr are appended
    env: dict = field(default_factory=dict)  # added to the environment of the starting process


def spawn(task, folder=None, **env):
    """Starts a task in a session of its own -> Popen. Ctrl-C reaches the engine only; it asks each worker once."""
    Path(folder or ".", task.log).parent.mkdir(parents=True, exist_ok=True)
    with open(Path(folder or ".", task.log), "ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "nbsp_lib.campaign.worker", str(os.getpid()), *task.command],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **task.env, **env},
            start_new_session=True,
        )


def kill_tree(pid):
    """Sends SIGKILL to a process and its descendants; ignores those that have ended."""
    import psutil

    with suppress(psutil.NoSuchProcess):
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()


def call(task, folder):
    """Runs a task in `folder` -> its exit code. Ray and Slurm call this on the machine that they chose.

    The first of the signals ASKED is passed on as SIGTERM; a second SIGINT kills.
    """
    came = []
    before = {number: signal.signal(number, lambda number, frame: came.append(number)) for number in ASKED}
    child, told = spawn(task, folder), False
    while child.poll() is None:
        if came and not told:
            child.terminate()
            told = True
        if came.count(signal.SIGINT) > 1:
            kill_tree(child.pid)
        time.sleep(0.1)
    for number, handler in before.items():
        signal.signal(number, handler)
    return child.returncode


def main(argv):
    """Becomes the command argv[1:] and gets SIGTERM when process argv[0] dies. Returns an exit code on failure."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PARENT_DEATH, signal.SIGTERM)
        if os.getppid() != int(argv[0]):  # the starter died before prctl was called
            return 128 + signal.SIGTERM
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # Ray blocks SIGINT, a shell's & ignores it; kernels need it
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for number in (signal.SIGUSR1, signal.SIGUSR2):  # Slurm sends them to every process of a job; they would kill it
        signal.signal(number, signal.SIG_IGN)
    try:
        os.execvp(argv[1], argv[1:])
    except OSError as error:
        print(f"{argv[1]}: {error.strerror}", file=sys.stderr)
        return 127


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
