"""How far training is: a bar on the terminal of whoever trains, a file for everybody else, and a line drawn from such files."""
from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from pathlib import Path

from tqdm import tqdm

from nbsp_lib.files import write_atomic


class Bar:
    """Progress of a cycle: on the terminal (unless TQDM_DISABLE is set), and in each state's progress.json."""

    def __init__(self, cycle, states, last, label):
        self.total, self.states, self.label = last * cycle.rounds, states, label
        self.began, self.first = time.monotonic(), self.done(cycle)
        self.updates = int(cycle.agent.updates[0])
        self.tqdm = tqdm(total=self.total, initial=self.first, desc=label, unit="round", dynamic_ncols=True, mininterval=1.0,
                         disable=bool(os.environ.get("TQDM_DISABLE")) or None)

    def done(self, cycle):
        return cycle.position * cycle.rounds + cycle.round

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.tqdm.close()

    def __call__(self, cycle):
        done, spent = self.done(cycle), time.monotonic() - self.began
        rate = (int(cycle.agent.updates[0]) - self.updates) / spent
        left = spent / max(done - self.first, 1) * (self.total - done)
        newest = {row["task"]: row["success"] for row in cycle.tables["curves"][0][-len(cycle.tasks):]}
        ret = cycle.tables["curves"][0][-1]["return"] if cycle.tables["curves"][0] else 0.0
        self.tqdm.set_postfix_str(f"{' '.join(f'{t} {s:.2f}' for t, s in newest.items())} return {ret:.0f} {rate:.0f} updates/s",
                                  refresh=False)
        self.tqdm.update(done - self.tqdm.n)
        report = {"label": self.label, "done": done, "total": self.total, "success": newest, "return": ret,
                  "updates_per_s": round(rate, 1), "seconds_left": round(left), "time": time.time(), "pid": os.getpid()}
        for state in self.states:
            write_atomic(state.folder / "progress.json", json.dumps(report))


def line(report):
    """One report of a progress.json as a line of text."""
    success = " ".join(f"{task} {share:.2f}" for task, share in report["success"].items())
    return (f"{report['label']}: {report['done']} of {report['total']} rounds, {success}, return {report['return']:.0f}, "
            f"{report['updates_per_s']:.0f} updates/s, {report['seconds_left'] / 60:.0f} min left")


@contextlib.contextmanager
def watching(root=".state", every=2.0):
    """Meanwhile, on a terminal, draw the newest progress.json below `root`: the trainer may sit in a notebook's kernel."""
    done, began = threading.Event(), time.time()

    def draw():
        while not done.wait(every):
            reports = [path for path in Path(root).glob("*/*/progress.json") if path.stat().st_mtime > began]
            if reports:
                newest = max(reports, key=lambda path: path.stat().st_mtime)
                print("\r\x1b[K" + line(json.loads(newest.read_text())), end="", file=sys.stderr, flush=True)

    thread = threading.Thread(target=draw, daemon=True)
    if sys.stderr.isatty():
        thread.start()
    try:
        yield
    finally:
        done.set()
        if thread.is_alive():
            thread.join()
            print(file=sys.stderr)
