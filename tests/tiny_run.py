"""Runs of seconds: the smoke profile made smaller, trained in a folder of its own and shipped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nbsp_lib.runs.export import ship
from nbsp_lib.runs.run import Placement, Run
from nbsp_lib.runs.settings import load_profile
from nbsp_lib.runs.train_run import train_run

SMOKE = Path(__file__).resolve().parent.parent / "profiles" / "smoke" / "params.yaml"
SEQUENCE = "window"
SMALL = {
    "steps": 400,
    "random_steps": 100,
    "envs": 2,
    "episode": 50,
    "layers": (16, 16),
    "batch": 16,
    "store": 0.1,
    "evaluations": 3,
    "episodes": 6,
    "mastery": None,
    "scoring_episodes": 2,
    "updates_per_step": 0.5,
}


def profile(**train):
    """400 steps per position in 4 rounds of 2 episodes; goal metric reward, so that masks and replay really happen."""
    made = load_profile(SMOKE)
    return replace(made, train=replace(made.train, **SMALL | train), dmc=replace(made.dmc, **SMALL))


def games(**train):
    """Atari: 200 steps per position in 4 rounds, games of at most 60 steps that go on from round to round."""
    made = profile()
    small = {
        "steps": 200,
        "random_steps": 50,
        "envs": 2,
        "episode": 25,
        "layers": (16, 16),
        "batch": 16,
        "store": 0.1,
        "evaluations": 3,
        "frames": 240,
        "noops": 4,
        "moments": 40,
        "updates_per_step": 0.5,
    }
    return replace(made, atari=replace(made.atari, **small | train))


def run_in(folder, arm="nbsp", made=None, sequence=SEQUENCE):
    """The Run whose states lie under `folder`."""
    return Run(made or profile(), sequence, arm, Path(folder) / "state")


def train(
    folder,
    seeds=(0,),
    arm="nbsp",
    positions=2,
    made=None,
    sequence=SEQUENCE,
    population=1,
    compile=False,
    device="cpu",
    workers=0,
    **how,
):
    """Train and ship under `folder`; where the results are."""
    run, out = run_in(folder, arm, made, sequence), Path(folder) / "out"
    train_run(run, seeds, Placement(population, positions, device, workers, compile), **how)
    ship(run, seeds, out)
    return out


def contents(out, seed=None):
    """Every shipped file but the clock's, name -> bytes; with a seed, its networks and its lines of the tables."""
    files = {path.name: path.read_bytes() for path in sorted(Path(out).iterdir()) if path.name != "timing.json"}
    if seed is None:
        return files
    tables = {
        name: [line for line in data.splitlines() if line.startswith(f"{seed},".encode())]
        for name, data in files.items()
        if name.endswith(".csv")
    }
    return tables | {name: data for name, data in files.items() if f".seed{seed}." in name}
