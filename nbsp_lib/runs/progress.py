"""How far training is: a bar on the terminal that trains, a file for every other process, and a line drawn from such files."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from pathlib import Path

from tqdm import tqdm

from nbsp_lib.envs.performance import performance
from nbsp_lib.runs.files import write_atomic


class Bar:
    """Progress of a Trainer: on the terminal (unless TQDM_DISABLE is set), and in each state's progress.json."""

    def __init__(self, trainer, states, last, label):
        self.total, self.states, self.label = sum(trainer.budgets[:last]), states, label
        self.began, self.first = time.monotonic(), self.done(trainer)
        self.updates = int(trainer.agent.updates[0])
        self.tqdm = tqdm(
            total=self.total,
            initial=self.first,
            desc=label,
            unit="round",
            dynamic_ncols=True,
            mininterval=1.0,
            disable=bool(os.environ.get("TQDM_DISABLE")) or None,
        )

    def done(self, trainer):
        return sum(trainer.budgets[: trainer.position]) + trainer.round

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.tqdm.close()

    def __call__(self, trainer):
        done, spent = self.done(trainer), time.monotonic() - self.began
        rate = (int(trainer.agent.updates[0]) - self.updates) / spent
        left = spent / max(done - self.first, 1) * (self.total - done)
        rows = trainer.tables["curves"][0][-len(trainer.tasks) :]  # the newest evaluation of the first seed
        report = {
            "label": self.label,
            "done": done,
            "total": self.total,
            "performance": {row["task"]: shown(row, trainer.train.episode) for row in rows},
            "return": next((row["return"] for row in rows if row["task"] == row["training_task"]), 0.0),
            "updates_per_s": round(rate, 1),
            "seconds_left": round(left),
            "time": time.time(),
            "pid": os.getpid(),
        }
        self.tqdm.set_postfix_str(f"{learnt(report)} {rate:.0f} updates/s", refresh=False)
        self.tqdm.update(done - self.tqdm.n)
        for state in self.states:
            write_atomic(state.folder / "progress.json", json.dumps(report), sync=False)  # of a moment


def shown(row, episode):
    """The performance of a row of curves.csv; of a game without published scores, its return."""
    try:
        return float(performance(row["task"], row["success"], row["return"], episode))
    except ValueError:
        return row["return"]


def learnt(report):
    """The performance on every task (see performance.py), and the return on the task in training."""
    return " ".join(
        [*(f"{task} {value:.2f}" for task, value in report["performance"].items()), f"return {report['return']:.0f}"]
    )


def words(report):
    """One report of a progress.json in words, without its label."""
    return (
        f"{report['done']} of {report['total']} rounds, {learnt(report)}, "
        f"{report['updates_per_s']:.0f} updates/s, {report['seconds_left'] / 60:.0f} min left"
    )


def line(report):
    """The same with its label."""
    return f"{report['label']}: {words(report)}"


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
