"""Reads the recorded results of one sequence for tables and figures.

What is missing is named, never left out: an arm without a run, a seed that stopped early or diverged, a rollout that
could not be scored. Runs trained under two profiles, or with two sets of training settings, are refused.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from nbsp_lib.envs.performance import performed, unit
from nbsp_lib.envs.sequences import distinct, tasks_of
from nbsp_lib.results import metrics
from nbsp_lib.results.positions import completed
from nbsp_lib.runs.files import enter_repository, read_csv
from nbsp_lib.runs.settings import Profile, load_profile
from nbsp_lib.runs.state import read_run
from nbsp_lib.training.columns import COLUMNS as RECORDED

REFERENCE_ARM = "fine-tuning"  # a single task trained alone is plain SAC under this arm's name
COLUMNS = {name: ["sequence", "arm", *columns] for name, columns in RECORDED.items()}


@dataclass(frozen=True)
class Result:
    """The results of one arm: run.json (verified) and its tables, each row with the columns sequence and arm."""

    arm: str
    folder: Path
    run: dict
    curves: pd.DataFrame
    R: pd.DataFrame
    scores: pd.DataFrame
    plasticity: pd.DataFrame  # empty for runs shipped before it was recorded

    @property
    def tables(self):
        return {name: getattr(self, name) for name in COLUMNS}

    def finished(self, seed):
        """How many positions this seed has finished without diverging."""
        ok = self.R[(self.R.seed == seed) & (self.R.status == "ok")]
        return int(ok.position.nunique())

    def networks(self, seed):
        """Positions whose networks are shipped, sorted."""
        positions = range(1, len(self.run["config"]["tasks"]) + 1)
        return [k for k in positions if f"position{k}.seed{seed}.safetensors" in self.run["files"]]


@dataclass(frozen=True)
class Study:
    """All arms of one sequence: results by arm (only those that exist), references by task, and the arms asked for."""

    sequence: str
    tasks: tuple  # one name per position [K]
    arms: tuple  # asked for, in the order of the tables
    seeds: tuple  # asked for, and any more that were trained
    results: dict  # {arm: Result}
    references: dict  # {task: Result}: that task trained alone, see read_alone
    trained: str  # the profile the runs were trained under
    profile: Profile  # that asks for them
    unit = property(
        lambda study: unit(study.tasks[0]), doc="What the column `success` of its tables is, see performance.py."
    )

    @property
    def names(self):
        """The distinct tasks, in order of first visit."""
        return distinct(self.tasks)

    @property
    def missing(self):
        return [arm for arm in self.arms if arm not in self.results]

    def table(self, name):
        """The rows of one of COLUMNS of every arm in one DataFrame; empty, but with its columns, if there are none."""
        frames = [getattr(result, name) for result in self.results.values()]
        frames = [frame for frame in frames if len(frame)] or frames[:1]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=COLUMNS[name])

    def title(self, text):
        """A figure's title: what it shows, the sequence, the profile of the training, how many seeds."""
        started = {sum(result.finished(seed) > 0 for seed in self.seeds) for result in self.results.values()} or {0}
        n = "-".join(str(count) for count in sorted({min(started), max(started)}))
        seeds = f"n = {n} of {len(self.seeds)} seeds"
        return f"{text}\nsequence {self.sequence}, trained under profile {self.trained}, {seeds}"


def read_result(folder, sequence, arm):
    """The Result in a folder, or None if no run is there. read_run refuses a file that does not match run.json."""
    if not (Path(folder) / "run.json").exists():
        return None
    folder, run = Path(folder), read_run(folder)
    train, paths = run["config"]["train"], {name: folder / f"{name}.csv" for name in COLUMNS}
    tables = {name: read_csv(p) if p.exists() else pd.DataFrame(columns=COLUMNS[name][2:]) for name, p in paths.items()}
    tables["scores"] = tables["scores"].reindex(columns=COLUMNS["scores"][2:])  # null_score is younger than some runs
    tables["R"] = completed(tables["R"], tables["curves"], train)
    marked = {
        name: performed(frame, train["episode"]).assign(sequence=sequence, arm=arm) for name, frame in tables.items()
    }
    return Result(arm, folder, run, **{name: frame[COLUMNS[name]] for name, frame in marked.items()})


def read_alone(profile, task):
    """The Result of plain SAC on one task alone, or None if there is neither a run on that task nor on a sequence of
    the profile that begins with it: position 1 of fine-tuning is the same training, and the Result then holds only that.
    """
    folder, arm = Path(profile.checkpoints), REFERENCE_ARM
    for sequence in (task, *profile.grid.sequences):
        result = read_result(folder / sequence / arm, sequence, arm) if tasks_of(sequence)[0] == task else None
        if result:
            first = {name: frame[frame.position == 1] for name, frame in result.tables.items()}
            return replace(result, **first)
    return None


def open_study(params_file, sequence, arms=None):
    """The Study of a profile's file, read from the root of the repository, which becomes the current folder; see read_study."""
    enter_repository()
    return read_study(load_profile(params_file), sequence, arms)


def read_study(profile, sequence, arms=None):
    """Every arm of the profile's grid on this sequence, and the single-task references of its tasks, as a Study.

    ValueError if the runs were trained under two profiles or with two sets of training settings.
    """
    tasks, arms = tasks_of(sequence), tuple(arms or profile.grid.arms)
    folder = Path(profile.checkpoints)
    results = {arm: read_result(folder / sequence / arm, sequence, arm) for arm in arms}
    references = {task: read_alone(profile, task) for task in distinct(tasks)}
    results = {arm: result for arm, result in results.items() if result}
    references = {task: result for task, result in references.items() if result}
    trained = trained_profile([*results.values(), *references.values()])
    more = sorted({seed for result in results.values() for seed in result.run["seeds"]} - set(profile.seeds))
    return Study(sequence, tasks, arms, (*profile.seeds, *more), results, references, trained, profile)


def recorded(study):
    """All arms that have a run of the study's sequence, in the order in which the profile defines arms."""
    folder = Path(study.profile.checkpoints) / study.sequence
    return [arm for arm in study.profile.arms if (folder / arm / "run.json").is_file()]


def trained_profile(results):
    """The profile all runs were trained under, "none" without runs; ValueError for two, or two settings of a benchmark."""
    kinds = {}
    for result in results:
        settings = json.dumps(result.run["config"]["train"], sort_keys=True)
        kind = (result.run["profile"], unit(result.run["config"]["tasks"][0]), settings)
        kinds.setdefault(kind, []).append(f"{result.folder.parent.name}/{result.arm}")
    if len(kinds) > len({measured for _, measured, _ in kinds}) or len({profile for profile, *_ in kinds}) > 1:
        listed = "; ".join(f"{profile}: {', '.join(names)}" for (profile, *_), names in kinds.items())
        raise ValueError(f"runs trained under different profiles or settings are not mixed: {listed}")
    return next(iter(kinds))[0] if kinds else "none"


def performances(study, column="success"):
    """{arm: R [P, K, M]} of the arms that exist and order [K]; NaN where a seed has not finished or diverged."""
    R_of = lambda result: metrics.R_array(result.R, study.seeds, study.tasks, column)[0]
    order = np.array([study.names.index(task) for task in study.tasks])
    return {arm: R_of(result) for arm, result in study.results.items()}, order


def common_positions(study):
    """The largest number of positions that at least one seed of every arm present has finished; 0 without arms."""
    return min((max(r.finished(seed) for seed in study.seeds) for r in study.results.values()), default=0)
