"""From state to result folder: what a run ships, with the checksum of every file. Finished seeds are never lost by it."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from nbsp_lib.errors import ConfigError
from nbsp_lib.runs.disk import lock
from nbsp_lib.runs.files import checked, read_csv, sha256, write_atomic
from nbsp_lib.runs.fingerprint import code_hash
from nbsp_lib.runs.run import STATE, json_in
from nbsp_lib.runs.state import read_run
from nbsp_lib.training.columns import COLUMNS
from nbsp_lib.training.networks import actor_bytes

YOUNGER = {"plasticity"}  # tables that runs shipped before there were such do not have
MASTERY = {"episodes", "steps", "steps_to_mastery"}  # columns of R that runs of a fixed budget were shipped without


@dataclass(frozen=True)
class Record:
    """One seed of a run: rows of the csv files, networks {file name: bytes}, positions done, its entry of timing.json
    (None if unknown), hash of the code that trained it, versions of what trained it."""

    rows: dict
    networks: dict
    finished: int
    diverged: bool
    timing: dict | None
    code: str
    versions: dict


def record_of(state, code):
    """What a SeedState has finished: its whole positions, nothing of the one in training."""
    manifest = state.manifest
    done, seed, seconds = manifest["position"], manifest["seed"], manifest["seconds"]
    whole = lambda name: [row for row in manifest[name] if row["position"] <= done]
    names = [f"position{k}.seed{seed}.safetensors" for k in range(1, done + 1)]
    updates = max((row["updates"] for row in whole("curves")), default=0)
    timing = {
        "seconds": round(seconds, 1),
        "updates_per_s": round(updates / max(seconds, 1e-9), 1),
        "hardware": manifest["hardware"],
        "mode": "compiled" if manifest.get("compiled") else "eager",
        "population": manifest["population"],
    }
    return Record(
        {name: whole(name) for name in COLUMNS},
        {name: checked(state.folder / name, manifest["networks"][name]) for name in names},
        done,
        bool(manifest.get("diverged")),
        timing,
        code,
        manifest["versions"],
    )


def codes(run):
    """seed -> hash of the code that trained it, from a run.json; before it was kept per seed, the run had one."""
    return {seed: run.get("code", {}).get(str(seed), run["code_hash"]) for seed in run["seeds"]}


def versions_of(run):
    """seed -> versions of the packages that trained it, from a run.json; `versions_of` there holds those unlike `versions`."""
    return {seed: run.get("versions_of", {}).get(str(seed), run["versions"]) for seed in run["seeds"]}


def read_records(folder):
    """seed -> Record of a result folder, checked file by file; empty if there is none. timing.json may be missing, DVC does
    not keep it."""
    folder, files = Path(folder), {}
    if not (folder / "run.json").exists():
        return {}
    run, timing, made = read_run(folder, files.__setitem__), json_in(folder / "timing.json"), {}
    frames = {
        name: pd.DataFrame(columns=columns)
        if name in YOUNGER and f"{name}.csv" not in files
        else read_csv(io.BytesIO(files[f"{name}.csv"]))
        for name, columns in COLUMNS.items()
    }
    for seed in run["seeds"]:
        rows = {name: frame[frame.seed == seed].to_dict("records") for name, frame in frames.items()}
        nets = {name: data for name, data in files.items() if name.endswith(f".seed{seed}.safetensors")}
        made[seed] = Record(
            rows,
            nets,
            run["finished"][str(seed)],
            seed in run["diverged"],
            timing.get(str(seed)),
            codes(run)[seed],
            versions_of(run)[seed],
        )
    return made


def check_same_run(run, out, remedy="move it away first"):
    """ConfigError if the result folder `out` holds another run; see Run.unlike."""
    recorded = json_in(Path(out) / "run.json")
    if recorded and (difference := run.unlike(recorded)):
        raise ConfigError(f"{out}: holds a run with {difference}; {remedy}")


@contextlib.contextmanager
def folder_lock(out, root=STATE):
    """Meanwhile no other process ships into the result folder `out`; waits for one that does. A dead process holds nothing.

    The lock lies in `root`: a result folder is replaced as a whole, and holds nothing that is not shipped.
    """
    out, locks = Path(out).resolve(), Path(root) / "ship"
    locks.mkdir(parents=True, exist_ok=True)
    with open(locks / f"{out.name}-{hashlib.sha256(str(out).encode()).hexdigest()[:8]}.lock", "w") as file:
        lock(file)
        yield


def ship(run, seeds, out, networks="all", replace=False):
    """Writes the result folder `out` of a run from its states; returns {seed: positions finished}.

    A seed that stands further in `out` already (its state may be gone with the machine) keeps what is there; a seed that
    has finished no position is left out unless it diverged. ConfigError if `out` holds another run, unless
    `replace`: then nothing of it is kept. networks: of the seeds that are written anew, see `thinned`.
    """
    out = Path(out)
    with merging(out, run, replace) as records:
        for seed, state in run.states(seeds).items():
            fresh = record_of(state, code_hash(run.config["method"])) if state.manifest else None
            if fresh and (seed not in records or fresh.finished >= records[seed].finished):
                records[seed] = thinned(fresh, networks)
        return settle(out, run, records)


def take(run, seeds, clone, out, networks="all", replace=False):
    """Merges the result folder that a run has in `clone`, another clone of this repository, into the result folder `out`, with
    what was recorded where it was trained; returns {seed: (positions finished here before, now)} of the seeds it took.

    The seed that stands further counts, at a draw the one in `out`. seeds: None takes all. replace, networks: as in `ship`.
    ConfigError if either folder holds another run, Corrupted if a file is not what its run.json says.
    """
    out, taken, source, there = Path(out), {}, Path(clone) / run.folder, Path(clone, STATE)
    with (
        folder_lock(source, there) if os.access(there, os.W_OK) else contextlib.nullcontext()
    ):  # it may be shipping just now
        check_same_run(run, source, f'profile "{run.profile.profile}" is another one there')
        found = read_records(source)
    with merging(out, run, replace) as records:
        for seed, fresh in found.items():
            before = records[seed].finished if seed in records else 0
            if (seeds is None or seed in seeds) and (seed not in records or fresh.finished > before):
                records[seed], taken[seed] = thinned(fresh, networks), (before, fresh.finished)
        if taken:
            settle(out, run, records)
    return taken


@contextlib.contextmanager
def merging(out, run, replace):
    """The records of the result folder `out`, locked meanwhile. Of another run none if `replace`."""
    with folder_lock(out, run.root):
        recover(out)
        if not replace:
            check_same_run(run, out)
        yield read_records(out) if run.recorded(out) else {}


def settle(out, run, records):
    """Writes what there is to ship of `records`, if anything; returns {seed: positions finished}."""
    records = {seed: record for seed, record in sorted(records.items()) if record.finished or record.diverged}
    if records:
        write(out, run, records)
    return {seed: record.finished for seed, record in records.items()}


def write(out, run, records):
    """Puts a folder of `records`, {seed: Record}, in the place of the result folder `out`."""
    part, old = out.with_name(out.name + ".part"), out.with_name(out.name + ".old")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for name, columns in COLUMNS.items():
        rows = [row for record in records.values() for row in record.rows[name]]
        frame = pd.DataFrame(rows, columns=columns).round(6)
        frame = frame.astype(
            {column: "Int64" for column in MASTERY if column in columns and name == "R"}
        )  # may be empty
        write_atomic(part / f"{name}.csv", frame.to_csv(index=False, lineterminator="\n"))
    for record in records.values():
        for name, data in record.networks.items():
            write_atomic(part / name, data)
    timing = {str(seed): record.timing for seed, record in records.items() if record.timing}
    files = {path.name: sha256(path) for path in sorted(part.iterdir())}
    write_atomic(part / "timing.json", json.dumps(timing, indent=1) + "\n")
    write_atomic(part / "run.json", json.dumps(description(run, records, files), indent=1) + "\n")
    if out.exists():
        out.rename(old)
    part.rename(out)
    shutil.rmtree(old, ignore_errors=True)


def thinned(record, networks):
    """Returns the Record with what it shall ship of its networks: "all" as they are, the "actors" of all positions, the "last"
    position's actor, or "none"."""
    first = {"all": "", "actors": "", "last": f"position{record.finished}.", "none": None}[networks]
    files = {name: data for name, data in record.networks.items() if first is not None and name.startswith(first)}
    small = files if networks == "all" else {name: actor_bytes(data) for name, data in files.items()}
    return dataclasses.replace(record, networks=small)


def description(run, records, files):
    """Returns the content of run.json. files: {name: sha256}."""
    first = next(iter(records.values()))
    differing = {str(seed): record.versions for seed, record in records.items() if record.versions != first.versions}
    scores = [row for record in records.values() for row in record.rows["scores"]]
    unscored = {(row["seed"], row["position"]) for row in scores if row["status"] == "unscored"}
    made = {
        "config": run.config | {"arm": run.arm},
        "config_hash": run.config_hash,
        "code_hash": first.code,
        "code": {str(seed): record.code for seed, record in records.items()},
    }
    if run.method_code:
        made["method_code"] = run.method_code
    made |= {"profile": run.profile.profile, "versions": first.versions}
    if differing:
        made["versions_of"] = differing
    return made | {
        "files": files,
        "seeds": list(records),
        "positions": len(run.tasks),
        "finished": {str(seed): record.finished for seed, record in records.items()},
        "diverged": [seed for seed, record in records.items() if record.diverged],
        "unscored": [list(pair) for pair in sorted(unscored)],
    }


def recover(out):
    """A process that died while it put a new folder in the place of the old one may have left the old one aside."""
    old = out.with_name(out.name + ".old")
    if old.exists() and not out.exists():
        old.rename(out)
    shutil.rmtree(old, ignore_errors=True)
