"""A job of a campaign: some seeds of one sequence and arm for one process, and what the files say about it.

The process is the pipeline's own notebook through its runner, so a batch trains exactly what DVC and a reader train.
"""
from __future__ import annotations

import fcntl
import hashlib
import json
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from nbsp_lib.campaign.plan import shipped
from nbsp_lib.envs.sequences import tasks_of
from nbsp_lib.errors import Corrupted
from nbsp_lib.methods import find
from nbsp_lib.runs.disk import lock
from nbsp_lib.runs.export import json_in, unlike
from nbsp_lib.runs.files import write_atomic
from nbsp_lib.runs.fingerprint import fingerprint
from nbsp_lib.runs.progress import line
from nbsp_lib.runs.settings import Profile, cell
from nbsp_lib.runs.train_run import over, place, states_of, trunk_of

ENGINE = Path(".state/engine")          # logs and notebooks of jobs, and a record of each that failed


@dataclass(frozen=True, eq=False)
class Job:
    """Seeds of a run, `population` of them at a time, up to `positions` (default: all)."""
    profile: Profile
    sequence: str
    arm: str
    seeds: tuple
    population: int = 1
    positions: int | None = None
    device: str = "cpu"
    workers: int = 0
    compile: bool = False

    @cached_property
    def name(self):
        seeds = "-".join(map(str, self.seeds))
        if len(seeds) > 40:                                 # file names end somewhere
            seeds = f"{self.seeds[0]}to{self.seeds[-1]}-{hashlib.sha256(seeds.encode()).hexdigest()[:6]}"
        return f"{self.profile.profile}-{self.sequence}-{self.arm}-{seeds}"

    @property
    def title(self):
        return f"{self.sequence} {self.arm} seed {','.join(map(str, self.seeds))}"

    @property
    def log(self):
        return ENGINE / f"{self.name}.log"

    @property
    def command(self):
        given = {"params_file": self.profile.here, "sequence": self.sequence, "arm": self.arm, "seeds": list(self.seeds),
                 "population": self.population, "positions": self.positions or 0,
                 "device": self.device, "workers": self.workers, "compile": self.compile,
                 "out": f"{self.profile.checkpoints}/{self.sequence}/{self.arm}"}
        return (sys.executable, "-m", "nbsp_lib.artifact.notebook", "notebooks/pipeline/train.py",
                str(ENGINE / f"{self.name}.ipynb"),
                *(word for name, value in given.items() for word in ("-p", name, str(value))))

    @cached_property
    def run(self):
        return cell(self.profile, self.sequence, self.arm)

    def states(self):
        return list(states_of(self.run, self.seeds).values())

    def trunks(self):
        """The states of a shared position 1 that this job has to train first, or to wait for."""
        new = [seed for seed, state in states_of(self.run, self.seeds).items() if not state.manifest]
        if not find(self.run["method"]).forkable:
            return []
        return [state for state in states_of(trunk_of(self.run), new).values()
                if not (state.manifest or {}).get("diverged") and not over(state)]

    def needs(self):
        """The folders that this job locks now, or soon. A damaged state is for the process to refuse, by name."""
        try:
            return {state.folder for state in (*self.states(), *self.trunks())}
        except Corrupted:
            return {state.folder for state in self.states()}

    def over(self):
        """Whether nothing is left to train here, whoever did it."""
        with suppress(Corrupted):
            return not unfinished(self.profile, self.sequence, self.arm, self.seeds, self.positions)
        return False

    def saves(self):
        """How often its states were saved so far; grows with every sign of progress that outlives the process."""
        count = 0
        for state in (*self.states(), *states_of(trunk_of(self.run), self.seeds).values()):
            with suppress(Corrupted):
                count += (state.manifest or {}).get("serial", 0)
        return count

    def reports(self):
        """{progress.json: when it was written} of its states."""
        found = {}
        for state in (*self.states(), *states_of(trunk_of(self.run), self.seeds).values()):
            with suppress(OSError):
                found[state.folder / "progress.json"] = (state.folder / "progress.json").stat().st_mtime_ns
        return found

    def progress(self, before):
        """One line on how far it is, from a report written since `before` (an earlier reports())."""
        fresh = {path: when for path, when in self.reports().items() if before.get(path) != when}
        with suppress(OSError, ValueError, KeyError):
            return line(json.loads(max(fresh, key=fresh.get).read_text())) if fresh else f"{self.title}: starting"
        return self.title

    def result(self):
        """How far its seeds are, in their states or in a result folder."""
        try:
            kept, bad = shipped(self.profile, self.sequence, self.arm), diverged(self.profile, self.sequence, self.arm)
            done = [max(kept.get(seed, 0), place(state)[0]) for seed, state in states_of(self.run, self.seeds).items()]
        except Corrupted as error:
            return str(error)
        said = f"{'/'.join(map(str, done))} of {len(tasks_of(self.sequence))} positions"
        return said + "".join(f", seed {seed} diverged" for seed in self.seeds if seed in bad)

    def about(self):
        """What identifies this job in a record of its failure, and how far each seed had come."""
        serials = {}
        for seed, state in states_of(self.run, self.seeds).items():
            with suppress(Corrupted):
                serials[seed] = (state.manifest or {}).get("serial", 0)
        return {"fingerprint": fingerprint(self.run), "seeds": list(self.seeds), "serials": serials}


def diverged(profile, sequence, arm):
    """Seeds that diverged, by the profile's result folder."""
    run = json_in(Path(profile.checkpoints) / sequence / arm / "run.json")
    return set(run["diverged"]) if run and not unlike(cell(profile, sequence, arm), run) else set()


def unfinished(profile, sequence, arm, seeds, positions=None):
    """Those of `seeds` of which positions are missing; a diverged one has none to come."""
    K, kept, bad = len(tasks_of(sequence)), shipped(profile, sequence, arm), diverged(profile, sequence, arm)
    return [seed for seed in seeds if kept.get(seed, 0) < min(positions or K, K) and seed not in bad]


def jobs_of(profile, sequence, arm, seeds, population=1, positions=None, device="cpu", workers=0, compile=False):
    """[Job] of what is missing, `population` seeds in each."""
    left = unfinished(profile, sequence, arm, seeds, positions)
    return [Job(profile, sequence, arm, tuple(left[i:i + population]), population, positions, device, workers, compile)
            for i in range(0, len(left), population)]


def busy(folder):
    """Whether a process trains in this state folder. The lock is shared and held for no time: two who look do not disturb
    each other, and nothing is created."""
    try:
        with open(Path(folder) / "lock") as file:
            lock(file, fcntl.LOCK_SH, lambda: True)
        return False
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True


# -- what is left of a job that failed ---------------------------------------------------------------------------------
def reason(code):
    """An exit code in words."""
    number = -code if code < 0 else code - 128
    with suppress(ValueError):
        return f"killed by {signal.Signals(number).name}" + (" (out of memory?)" if number == 9 else "")
    return f"exit code {code}"


def last_lines(log, offset=0, n=6):
    """The last lines that were written to `log` after `offset` bytes."""
    with suppress(OSError), open(log, "rb") as file:
        file.seek(offset)
        text = [line.rstrip() for line in file.read()[-20_000:].decode(errors="replace").splitlines()]
        return [line[:500] for line in text if line][-n:]
    return []


def why(code, lines):
    """What went wrong, in a line: the exit code, and of its last lines the one before the runner's pointer to a notebook."""
    said = [line for line in lines if ": failed, see " not in line]
    return f"{reason(code)}: {said[-1]}" if said else reason(code)


def note_failure(job, attempts, code, lines):
    """Leave a record for `nbsp status`."""
    ENGINE.mkdir(parents=True, exist_ok=True)
    record = {"job": job.name, "attempts": attempts, "code": code, "lines": lines, **job.about()}
    write_atomic(ENGINE / f"{job.name}.json", json.dumps(record, indent=1))


def forget_failure(job):
    (ENGINE / f"{job.name}.json").unlink(missing_ok=True)
    with suppress(OSError):
        if not job.log.stat().st_size:
            job.log.unlink()


def failures():
    """The records of failed jobs, oldest first; one that cannot be read is passed over."""
    found = []
    for path in sorted(ENGINE.glob("*.json"), key=lambda path: path.stat().st_mtime):
        with suppress(OSError, ValueError):
            found.append(json.loads(path.read_text()))
    return found
