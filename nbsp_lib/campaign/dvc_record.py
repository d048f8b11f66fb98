"""Tells DVC of runs that an engine trained.

`python -m nbsp_lib.campaign.dvc_record profiles/smoke/dvc.yaml train@window-nbsp …`

Each stage's own command is run once more, which finds every seed finished and takes seconds, and its outputs are committed. A
later `dvc repro` then trains nothing. `dvc repro` itself would delete the outputs first.
"""
from __future__ import annotations

import logging
import shlex
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nbsp_lib.campaign.job import ENGINE, diverged, last_lines
from nbsp_lib.envs.sequences import tasks_of
from nbsp_lib.errors import Corrupted
from nbsp_lib.runs.disk import lock
from nbsp_lib.runs.export import json_in
from nbsp_lib.runs.settings import Profile, cell, config_hash
from nbsp_lib.runs.train_run import place, states_of


@dataclass(frozen=True, eq=False)
class Recording:
    """A job (see jobs.Job) that records the stages (names) of one dvc.yaml."""
    profile: Profile
    file: str
    stages: tuple
    title = "record with DVC"

    @property
    def name(self):
        return f"{self.profile.profile}-dvc"

    @property
    def log(self):
        return ENGINE / f"{self.name}.log"

    @property
    def command(self):
        return (sys.executable, "-m", "nbsp_lib.campaign.dvc_record", self.file, *self.stages)

    def result(self):
        return (last_lines(self.log, n=1) or ["nothing"])[0]

    def progress(self, before):
        return f"{self.title}: {len(self.stages)} stages"

    over, saves = (lambda self: False), (lambda self: 0)
    needs, reports, about = (lambda self: set()), (lambda self: {}), (lambda self: {})


def recordings(profile, grid):
    """[Recording] of what is complete in grid = [(sequence, arm)]: at most one."""
    stages = [stage_of(profile, *one)[1] for one in grid if stage_of(profile, *one) and complete(profile, *one)]
    return [Recording(profile, str(Path(profile.here).with_name("dvc.yaml")), tuple(stages))] if stages else []


def stage_of(profile, sequence, arm):
    """(dvc.yaml, name) of the stage that trains this run, or None."""
    file, grid = Path(profile.here).with_name("dvc.yaml"), profile.grid
    if file.exists() and sequence in grid.sequences and arm in grid.train:
        return str(file), f"train@{sequence}-{arm}"
    if file.exists() and sequence in grid.references and arm in grid.alone:
        return str(file), f"alone@{sequence}-{arm}"
    return None


def complete(profile, sequence, arm):
    """Whether the stage's command would find every seed of the profile finished, here and in its result folder."""
    run, K, ready = cell(profile, sequence, arm), len(tasks_of(sequence)), True
    kept = json_in(Path(profile.checkpoints) / sequence / arm / "run.json")
    if kept.get("config_hash") != config_hash(run):
        return False
    with suppress(Corrupted):
        for seed, state in states_of(run, profile.seeds).items():
            manifest = state.manifest or {}
            ready &= place(state) >= (K, 0) or bool(manifest.get("diverged"))
            ready &= kept["finished"].get(str(seed), 0) >= K or seed in diverged(profile, sequence, arm)
        return ready
    return False


def main(file, *names):
    """Bring DVC's record of some stages up to date -> exit code, that of the first that failed. A second process waits."""
    ENGINE.mkdir(parents=True, exist_ok=True)
    with open(ENGINE / "record.lock", "w") as held:
        lock(held)
        logging.getLogger("dvc").setLevel(logging.ERROR)
        codes = [record(file, name) for name in names]
    print(f"{codes.count(0)} of {len(names)} stages are recorded in {Path(file).with_name('dvc.lock')}")
    return next((code for code in codes if code), 0)


def record(file, name):
    """The same for one stage; what is recorded already stays as it is."""
    from dvc.cli import main as dvc
    from dvc.repo import Repo
    from dvc.stage.exceptions import StageNotFound

    from nbsp_lib.artifact.notebook import main as run
    with Repo(_wait_for_lock=True) as repo:                 # what the option --wait-for-lock sets
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
