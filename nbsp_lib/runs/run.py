"""The two objects of training: a Run says what is trained, a Placement says how it is spread over a machine."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from nbsp_lib.envs.sequences import tasks_of
from nbsp_lib.errors import Corrupted
from nbsp_lib.methods import find
from nbsp_lib.runs import fingerprint, settings
from nbsp_lib.runs.state import SeedState

STATE = ".state"  # resumable state, outside everything that DVC owns


@dataclass(frozen=True)
class Placement:
    """How the seeds of a run are trained. Nothing here decides their numbers, but for the last bits of compiled updates."""

    population: int = 1  # seeds trained together as one tensor program
    positions: int | None = None  # of the sequence, after which training stops; None: all
    device: str = "cpu"
    workers: int = 0  # processes that step the environments; 0: the training process does
    compile: bool = False  # the update also on a CPU, see core.compilation


ONE_BY_ONE = Placement()


@dataclass(frozen=True, eq=False)
class Run:
    """One sequence and one arm of a profile; `root` is the folder of the states.

    shared: the part that every arm with a neutral start has in common, position 1 under plain SAC until its first task end.
    """

    profile: settings.Profile
    sequence: str
    arm: str
    root: str | Path = STATE
    shared: bool = False

    @cached_property
    def config(self):
        """What decides the training, as plain JSON, see settings.cell. ConfigError for a wrong name."""
        config = settings.cell(self.profile, self.sequence, self.arm)
        return config | {"method": "sac", "settings": {}, "until": "first task end"} if self.shared else config

    @property
    def config_hash(self):
        return settings.config_hash(self.config)

    @cached_property
    def fingerprint(self):
        """Name of the folder of its states."""
        return fingerprint.fingerprint(self.config)

    @property
    def method_code(self):
        """Hash of the files of a method from outside the library, otherwise None."""
        return fingerprint.method_hash(self.config["method"])

    @property
    def folder(self):
        """The result folder, in the profile's folder of checkpoints."""
        return Path(self.profile.checkpoints) / self.sequence / self.arm

    @property
    def shipped(self):
        """The folder that it is promoted to."""
        return Path(self.profile.shipped) / self.sequence / self.arm

    @property
    def training(self):
        """The TrainSettings of its benchmark."""
        return self.profile.training(self.sequence)

    @property
    def tasks(self):
        """The tasks in their order, one for each position."""
        return tasks_of(self.sequence)

    @property
    def title(self):
        return f"{self.sequence} {'position 1' if self.shared else self.arm}"

    @property
    def forkable(self):
        """Whether its position 1 may be the shared one."""
        return find(self.config["method"]).forkable

    def method(self):
        """Returns a new Method with the settings of the arm."""
        return find(self.config["method"])(**self.config["settings"])

    def trunk(self):
        """Returns the Run of the shared position 1."""
        return replace(self, shared=True)

    def states(self, seeds):
        """Returns {seed: SeedState}."""
        return {seed: SeedState(Path(self.root) / self.fingerprint / f"seed{seed}") for seed in seeds}

    # -- is it finished? -----------------------------------------------------------------------------------------------
    def last(self, positions=None):
        """Number of positions to train, of at most `positions`."""
        return 1 if self.shared else min(positions or len(self.tasks), len(self.tasks))

    def arrived(self, state, positions=None):
        """Whether training leaves this SeedState of the run alone: at the end, or diverged. Corrupted if it is damaged."""
        return state.diverged or state.place[0] >= self.last(positions) or (self.shared and state.over)

    def unlike(self, recorded):
        """Says in what the run of a run.json is another one; None if it is this one.

        Of a method from outside the library, what its files define counts as well: comments, docstrings and imports do not.
        """
        if recorded["config_hash"] != self.config_hash:
            return "other settings"
        if recorded.get("method_code") != self.method_code:
            return f"another version of {self.config['method'].partition(':')[0]}"
        return None

    def recorded(self, folder=None):
        """Returns the run.json of a result folder, by default its own; {} without one, or if it is that of another run."""
        recorded = json_in(Path(folder or self.folder) / "run.json")
        return recorded if recorded and not self.unlike(recorded) else {}

    def finished(self, folders=None):
        """Returns {seed: positions finished}, by default in its own result folder or where it ships."""
        found = {}
        for folder in folders or (self.folder, self.shipped):
            for seed, positions in self.recorded(folder).get("finished", {}).items():
                found[int(seed)] = max(positions, found.get(int(seed), 0))
        return found

    def diverged(self):
        """Returns the seeds that diverged, by its result folder."""
        return set(self.recorded().get("diverged", ()))

    def unfinished(self, seeds, positions=None, folders=None):
        """Returns those of `seeds` of which positions are missing, of at most `positions`. A diverged seed misses none."""
        finished, diverged = self.finished(folders), self.diverged()
        return [seed for seed in seeds if finished.get(seed, 0) < self.last(positions) and seed not in diverged]

    def reached(self, seed):
        """Returns the positions that a seed has finished, in its state or in a result folder. Corrupted."""
        return max(self.states((seed,))[seed].place[0], self.finished().get(seed, 0))


def json_in(path):
    """Returns what a JSON file holds, {} without the file. Corrupted if it is no JSON."""
    try:
        return json.loads(path.read_bytes()) if path.exists() else {}
    except ValueError:
        raise Corrupted(f"{path}: is not JSON; the file was damaged") from None
