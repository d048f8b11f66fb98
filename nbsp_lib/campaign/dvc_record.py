"""Records runs that an engine trained as finished stages of DVC.

`python -m nbsp_lib.campaign.dvc_record profiles/smoke/dvc.yaml train@window-nbsp …`

Runs each stage's own command once more and commits its outputs. It takes seconds, because every seed is finished.
A later `dvc repro` trains nothing. Without this record it would delete the outputs and train again.
"""

from __future__ import annotations

import logging
import shlex
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nbsp_lib.campaign.failures import ENGINE
from nbsp_lib.campaign.job import BaseJob
from nbsp_lib.errors import Corrupted
from nbsp_lib.runs.disk import lock
from nbsp_lib.runs.settings import Profile


@dataclass(frozen=True, eq=False)
class Recording(BaseJob):
    """A job that records stages (their names) of one dvc.yaml."""

    profile: Profile
    file: str
    stages: tuple

    @property
    def name(self):
        return f"{self.profile.profile}-dvc"

    @property
    def title(self):
        return f"record {len(self.stages)} stages with DVC"

    @property
    def command(self):
        return (sys.executable, "-m", "nbsp_lib.campaign.dvc_record", self.file, *self.stages)


def recordings(runs):
    """Returns [Recording] of the runs that are complete; empty if none is."""
    stages = [stage_of(run)[1] for run in runs if stage_of(run) and complete(run)]
    file = Path(runs[0].profile.here).with_name("dvc.yaml") if runs else None
    return [Recording(runs[0].profile, str(file), tuple(stages))] if stages else []


def stage_of(run):
    """(dvc.yaml, name) of the stage that trains a run, or None."""
    file, grid = Path(run.profile.here).with_name("dvc.yaml"), run.profile.grid
    if file.exists() and run.sequence in grid.sequences and run.arm in grid.train:
        return str(file), f"train@{run.sequence}-{run.arm}"
    if file.exists() and run.sequence in grid.references and run.arm in grid.alone:
        return str(file), f"alone@{run.sequence}-{run.arm}"
    return None


def complete(run):
    """Whether every seed of the profile is finished, in its state and in the result folder."""
    seeds = run.profile.seeds
    if not run.recorded() or run.unfinished(seeds, folders=[run.folder]):
        return False
    with suppress(Corrupted):
        return all(run.arrived(state) for state in run.states(seeds).values())
    return False


def main(file, *names):
    """Brings DVC's record of some stages up to date -> exit code, that of the first that failed. A second process waits."""
    ENGINE.mkdir(parents=True, exist_ok=True)
    with open(ENGINE / "record.lock", "w") as file_lock:
        lock(file_lock)
        logging.getLogger("dvc").setLevel(logging.ERROR)
        codes = [record(file, name) for name in names]
    print(f"{codes.count(0)} of {len(names)} stages are recorded in {Path(file).with_name('dvc.lock')}")
    return next((code for code in codes if code), 0)


def record(file, name):
    """Brings the record of one stage up to date; an up-to-date record stays as it is."""
    from dvc.cli import main as dvc
    from dvc.repo import Repo
    from dvc.stage.exceptions import StageNotFound

    from nbsp_lib.artifact.notebook import main as run

    with Repo(_wait_for_lock=True) as repo:  # what the option --wait-for-lock sets
        try:
            stage = repo.stage.load_one(file, name)
        except StageNotFound:
            print(f"{file}: has no stage {name}")
            return 1
        with repo.lock:
            changed = stage.changed()
    words = shlex.split(stage.cmd)
    if changed and words[:3] != ["python", "-m", "nbsp_lib.artifact.notebook"]:
        print(f"{file}: {name} is no command of nbsp_lib.artifact.notebook")
        return 1
    return (run(words[3:]) or dvc(["--wait-for-lock", "commit", "-f", "-q", f"{file}:{name}"])) if changed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
