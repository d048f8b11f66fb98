"""A job of a campaign: some seeds of one run for one process, and what the files say about it.

The process is the pipeline's own notebook through its runner, so a batch trains exactly what DVC and a reader train.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from nbsp_lib.campaign.failures import ENGINE, last_lines
from nbsp_lib.errors import Corrupted
from nbsp_lib.runs.disk import lock
from nbsp_lib.runs.run import ONE_BY_ONE, Placement, Run


class BaseJob:
    """The interface of a job: subclasses add `name`, `title`, `command`. Defaults are of a job without state."""

    @property
    def log(self):
        return ENGINE / f"{self.name}.log"

    def needs(self):
        """Returns the folders that the job locks, now or later."""
        return set()

    def over(self):
        """Whether the job is finished, by this process or another one."""
        return False

    def saves(self):
        """Returns how often the states of the job were saved; it grows with every progress that survives a kill."""
        return 0

    def reports(self):
        """{progress.json: when it was written} of its states."""
        return {}

    def progress(self, before):
        """The newest of its reports that was written since `before` (an earlier reports()), or None."""
        fresh = {path: when for path, when in self.reports().items() if before.get(path) != when}
        with suppress(OSError, ValueError):
            return json.loads(max(fresh, key=fresh.get).read_text()) if fresh else None
        return None

    def about(self):
        """What identifies it in a record of its failure."""
        return {}

    def result(self):
        """What came of it, in words."""
        return (last_lines(self.log, n=1) or ["nothing"])[0]


@dataclass(frozen=True, eq=False)
class Job(BaseJob):
    """Trains seeds of a run."""

    run: Run
    seeds: tuple
    placement: Placement = ONE_BY_ONE

    @cached_property
    def name(self):
        seeds = "-".join(map(str, self.seeds))
        if len(seeds) > 40:  # the length of file names is limited
            seeds = f"{self.seeds[0]}to{self.seeds[-1]}-{hashlib.sha256(seeds.encode()).hexdigest()[:6]}"
        return f"{self.run.profile.profile}-{self.run.sequence}-{self.run.arm}-{seeds}"

    @property
    def title(self):
        return f"{self.run.title} seed {','.join(map(str, self.seeds))}"

    @property
    def command(self):
        placed = vars(self.placement) | {"positions": self.placement.positions or 0}
        given = {
            "params_file": self.run.profile.here,
            "sequence": self.run.sequence,
            "arm": self.run.arm,
            "seeds": list(self.seeds),
            **placed,
            "out": self.run.folder,
        }
        notebook = str(ENGINE / f"{self.name}.ipynb")
        parameters = [word for name, value in given.items() for word in ("-p", name, str(value))]
        return (
            sys.executable,
            "-m",
            "nbsp_lib.artifact.notebook",
            "notebooks/pipeline/train.py",
            notebook,
            *parameters,
        )

    def states(self):
        return list(self.run.states(self.seeds).values())

    def every_state(self):
        """Its states and those of the shared position 1."""
        return [*self.states(), *self.run.trunk().states(self.seeds).values()]

    def trunks(self):
        """The states of a shared position 1 that this job has to train first, or to wait for."""
        new = [seed for seed, state in self.run.states(self.seeds).items() if not state.manifest]
        trunk = self.run.trunk()
        return [state for state in trunk.states(new).values() if not trunk.arrived(state)] if self.run.forkable else []

    def needs(self):
        """Returns the folders that this job locks, now or later. The process of the job reports a damaged state."""
        try:
            return {state.folder for state in (*self.states(), *self.trunks())}
        except Corrupted:
            return {state.folder for state in self.states()}

    def over(self):
        with suppress(Corrupted):
            return not self.run.unfinished(self.seeds, self.placement.positions)
        return False

    def saves(self):
        count = 0
        for state in self.every_state():
            with suppress(Corrupted):
                count += state.serial
        return count

    def reports(self):
        found = {}
        for state in self.every_state():
            with suppress(OSError):
                found[state.folder / "progress.json"] = (state.folder / "progress.json").stat().st_mtime_ns
        return found

    def result(self):
        """How far its seeds are, in their states or in a result folder."""
        try:
            done, diverged = [self.run.reached(seed) for seed in self.seeds], self.run.diverged()
        except Corrupted as error:
            return str(error)
        said = f"{'/'.join(map(str, done))} of {len(self.run.tasks)} positions"
        return said + "".join(f", seed {seed} diverged" for seed in self.seeds if seed in diverged)

    def about(self):
        """What identifies this job in a record of its failure, and how far each seed had come."""
        serials = {}
        for seed, state in self.run.states(self.seeds).items():
            with suppress(Corrupted):
                serials[seed] = state.serial
        return {"fingerprint": self.run.fingerprint, "seeds": list(self.seeds), "serials": serials}


def jobs_of(run, seeds, placement=ONE_BY_ONE):
    """Returns [Job] of what is missing of a run, `placement.population` seeds in each."""
    left, size = run.unfinished(seeds, placement.positions), placement.population
    return [Job(run, tuple(left[i : i + size]), placement) for i in range(0, len(left), size)]


def busy(folder):
    """Whether a process trains in this state folder. Creates nothing.

    Takes a shared lock for a moment, so two callers do not disturb each other.
    """
    try:
        with open(Path(folder) / "lock") as file:
            lock(file, fcntl.LOCK_SH, lambda: True)
        return False
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
