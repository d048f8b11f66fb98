"""Copies runs to where their profile ships them, then regenerates what depends on them: dvc.lock, the tables, data/expected."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from nbsp_lib.artifact.compare import MACHINE, accept
from nbsp_lib.errors import ConfigError
from nbsp_lib.runs.export import check_same_run, ship, take
from nbsp_lib.runs.run import Run
from nbsp_lib.runs.settings import load_profile

EXPECTED = "data/expected"
REPRO = ("-m", "nbsp_lib.artifact.reproduce", "dvc.yaml")


def promote(profile, runs, seeds, networks="all", copy_only=False, replace=False, clone=None):
    """Copies the finished positions of runs of a profile into its folder `shipped`, from their states or, where they stand
    further than there, from the result folders of another `clone`; unless copy_only, regenerates every table and takes
    them as the expected ones. Says what it did and what to commit; returns the exit code.

    seeds: None takes all that the clone has. networks: see export.kept. replace: a run with other settings makes way.
    ConfigError before anything is copied if a run cannot stand beside those that are shipped.
    """
    for run in runs:
        if clone:
            check_same_run(run, Path(clone) / run.folder, f'profile "{profile.profile}" is another one there')
        if not replace:
            check_same_run(run, run.shipped, "--replace puts the new run in its place")
    shown = None if copy_only else shown_with(profile)
    for run in runs:
        if clone:
            taken = take(run, seeds, clone, run.shipped, networks=networks, replace=replace)
        else:
            done = ship(run, seeds, run.shipped, networks=networks, replace=replace)
            taken = {seed: (0, positions) for seed, positions in done.items()}
        said = ", ".join(
            f"seed {seed}: {now} of {len(run.tasks)}" + (f", before {before}" if before else "")
            for seed, (before, now) in taken.items()
        )
        print(f"{run.shipped}: {said or ('nothing further' if clone else 'nothing finished')}", flush=True)
    if copy_only:
        return 0
    if code := subprocess.run([sys.executable, *REPRO], env=os.environ | {"PATH": path_with_python()}).returncode:
        print(
            f"the pipeline ended with exit code {code}: {profile.shipped} has the runs, {EXPECTED} is as it was; "
            "the same command goes on when the cause is gone",
            file=sys.stderr,
        )
        return 1
    before = contents(EXPECTED)
    accept(shown.out, EXPECTED)
    say(before, contents(EXPECTED), shown.out, profile.shipped)
    return 0


def runs_of(profile, clone, sequences=None, arms=None):
    """Returns [Run] of the result folders of a profile in another clone, of these sequences and arms if they are given.
    ConfigError if there are none."""
    folder = Path(clone, profile.checkpoints)
    found = [path.parent for path in sorted(folder.glob("*/*/run.json")) if path.parent.suffix not in (".part", ".old")]
    runs = [Run(profile, path.parent.name, path.name) for path in found]
    runs = [run for run in runs if run.sequence in (sequences or [run.sequence]) and run.arm in (arms or [run.arm])]
    if not runs:
        raise ConfigError(f"--from: {folder} holds none of these runs")
    return runs


def shown_with(profile):
    """params.yaml, the profile that shows what is shipped. ConfigError if runs of `profile` would stand in its folder, and were
    trained otherwise."""
    if not Path("dvc.yaml").is_file():
        raise ConfigError("dvc.yaml: not in this folder; nbsp promote belongs into the root of the repository")
    shown = load_profile("params.yaml")
    sections = (
        ("", shown.train, profile.train),
        ("atari.", shown.atari, profile.atari),
        ("dmc.", shown.dmc, profile.dmc),
    )
    if profile.shipped == shown.shipped and any(here != there for _, here, there in sections):
        names = [
            prefix + name
            for prefix, here, there in sections
            for name, value in vars(here).items()
            if value != getattr(there, name)
        ]
        raise ConfigError(
            f'--profile: "{profile.profile}" trains with other settings than params.yaml ({", ".join(names)}); '
            "runs of both are not shown side by side"
        )
    return shown


def path_with_python():
    """PATH with this interpreter first: the stages call `python`."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])


def contents(folder):
    """Returns {name: bytes} of the tables in a folder and of the file that names the machine."""
    paths = [*Path(folder).rglob("*.csv"), *Path(folder).glob(MACHINE)]
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(paths)}


def say(before, after, results, shipped):
    """Print which expected tables changed, which pictures of the documents are behind, and what to commit."""
    for name in sorted({*before, *after} - {MACHINE}):
        if before.get(name) != after.get(name):
            print(
                f"{EXPECTED}/{name}: " + ("new" if name not in before else "gone" if name not in after else "changed")
            )
    if before.get(MACHINE) != after.get(MACHINE):
        print(f"{EXPECTED}/{MACHINE}: this machine is the reference now")
    if before == after:
        print(f"{EXPECTED}: nothing changed")
    for image in sorted(Path("docs/images").glob("*.png")):
        made = [path for path in Path(results).rglob(image.name) if path.read_bytes() != image.read_bytes()]
        print(*(f"{image} shows an older figure: cp {path} {image}\n" for path in made), sep="", end="")
    print(f"to commit: git add {shipped} {EXPECTED} docs/images dvc.lock")
