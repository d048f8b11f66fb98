"""From state to result folder: what a run ships, with the checksum of every file. Finished seeds are never lost by it."""
from __future__ import annotations

import importlib.metadata
import json
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from nbsp_lib.checkpoint import read_run
from nbsp_lib.config import cell, config_hash, tasks_of
from nbsp_lib.files import checked, sha256, write_atomic
from nbsp_lib.runs import STATE, code_hash, states_of

COLUMNS = {
    "curves": ["seed", "position", "training_task", "step", "total_step", "updates", "task", "success", "success_last",
               "return", "alpha", "episodes"],
    "R": ["seed", "position", "training_task", "task", "success", "success_last", "return", "status"],
    "scores": ["seed", "position", "task", "network", "neurons", "goal_mean", "base_rate", "silent", "chosen",
               "chosen_not_above_base", "chosen_score", "all_score", "masked", "status"],
}
VERSIONS = ("torch", "numpy", "mujoco", "metaworld", "gymnasium")


@dataclass(frozen=True)
class Record:
    """One seed of a run: rows of the three csv files, networks {file name: bytes}, positions done, wall seconds."""
    rows: dict
    networks: dict
    finished: int
    diverged: bool
    seconds: float


def record_of(state):
    """What a SeedState has finished: its whole positions, nothing of the one in training."""
    manifest = state.manifest
    done, seed = manifest["position"], manifest["seed"]
    whole = lambda name: [row for row in manifest[name] if row["position"] <= done]
    names = [f"position{k}.seed{seed}.safetensors" for k in range(1, done + 1)]
    return Record({"curves": whole("curves"), "R": whole("results"), "scores": whole("scores")},
                  {name: checked(state.folder / name, manifest["networks"][name]) for name in names}, done,
                  bool(manifest.get("diverged")), manifest["seconds"])


def records_in(folder):
    """seed -> Record of a result folder, checked file by file; empty if there is none."""
    folder = Path(folder)
    if not (folder / "run.json").exists():
        return {}
    run, timing = read_run(folder), json.loads((folder / "timing.json").read_text())
    frames = {name: pd.read_csv(folder / f"{name}.csv") for name in COLUMNS}
    made = {}
    for seed in run["seeds"]:
        rows = {name: frame[frame.seed == seed].to_dict("records") for name, frame in frames.items()}
        nets = {name: checked(folder / name, digest) for name, digest in run["files"].items()
                if name.endswith(f".seed{seed}.safetensors")}
        made[seed] = Record(rows, nets, run["finished"][str(seed)], seed in run["diverged"], timing[str(seed)]["seconds"])
    return made


def ship(profile, sequence, arm, seeds, out, root=STATE, last_only=False):
    """Write the result folder `out` of a run from its states; returns {seed: positions finished}.

    A seed that stands further in `out` already (its state may be gone with the machine) keeps what is there; a seed that
    has finished no position is left out unless it diverged. ValueError if `out` holds a run with other settings.
    last_only: ship only each seed's last network.
    """
    run, out = cell(profile, sequence, arm), Path(out)
    recover(out)
    records = records_in(out)
    if records and read_run(out)["config_hash"] != config_hash(run):
        raise ValueError(f"{out}: holds a run with other settings; move it away first")
    for seed, state in states_of(run, seeds, root).items():
        fresh = record_of(state) if state.manifest else None
        if fresh and (seed not in records or fresh.finished >= records[seed].finished):
            records[seed] = fresh
    records = {seed: record for seed, record in sorted(records.items()) if record.finished or record.diverged}
    if records:
        write(out, run, profile.profile, arm, records, last_only)
    return {seed: record.finished for seed, record in records.items()}


def write(out, run, profile, arm, records, last_only):
    part = out.with_name(out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for name, columns in COLUMNS.items():
        rows = [row for record in records.values() for row in record.rows[name]]
        frame = pd.DataFrame(rows, columns=columns).round(6)
        write_atomic(part / f"{name}.csv", frame.to_csv(index=False, lineterminator="\n"))
    for record in records.values():
        for name, data in record.networks.items():
            if not last_only or name.startswith(f"position{record.finished}."):
                write_atomic(part / name, data)
    scores = [row for record in records.values() for row in record.rows["scores"]]
    unscored = sorted({(row["seed"], row["position"]) for row in scores if row["status"] == "unscored"})
    about = {"config": run | {"arm": arm}, "config_hash": config_hash(run), "code_hash": code_hash(run["method"]),
             "profile": profile, "versions": {name: importlib.metadata.version(name) for name in VERSIONS}
             | {"python": platform.python_version()},
             "files": {path.name: sha256(path) for path in sorted(part.iterdir())}, "seeds": list(records),
             "positions": len(tasks_of(run["sequence"])), "finished": {str(s): r.finished for s, r in records.items()},
             "diverged": [s for s, r in records.items() if r.diverged], "unscored": [list(pair) for pair in unscored]}
    updates = {s: max((row["updates"] for row in r.rows["curves"]), default=0) for s, r in records.items()}
    timing = {str(s): {"seconds": round(r.seconds, 1), "updates_per_s": round(updates[s] / max(r.seconds, 1e-9), 1),
                       "hardware": f"{platform.machine()} {platform.system()}"} for s, r in records.items()}
    write_atomic(part / "timing.json", json.dumps(timing, indent=1) + "\n")
    write_atomic(part / "run.json", json.dumps(about, indent=1) + "\n")
    if out.exists():
        out.rename(out.with_name(out.name + ".old"))
    part.rename(out)
    shutil.rmtree(out.with_name(out.name + ".old"), ignore_errors=True)


def recover(out):
    """A process that died while it put a new folder in the place of the old one may have left the old one aside."""
    old = out.with_name(out.name + ".old")
    if old.exists() and not out.exists():
        old.rename(out)
    shutil.rmtree(old, ignore_errors=True)
