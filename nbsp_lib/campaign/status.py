"""Reads from the files how far runs are: done, running, stalled, failed, stopped, missing. Changes nothing."""

from __future__ import annotations

import json
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass

from nbsp_lib.campaign.failures import failures, why
from nbsp_lib.campaign.job import busy
from nbsp_lib.envs.sequences import tasks_of
from nbsp_lib.errors import Corrupted
from nbsp_lib.runs.progress import words

STALLED = 600.0  # seconds without a report or a save
KINDS = ("done", "diverged", "running", "stalled", "failed", "stopped", "missing")


@dataclass(frozen=True)
class Standing:
    """Of one seed of one run: positions finished, one of KINDS, and what else there is to say."""

    sequence: str
    arm: str
    seed: int
    positions: int
    kind: str
    words: str = ""

    def __str__(self):
        said = [f"{self.positions} of {len(tasks_of(self.sequence))} positions", self.kind, self.words]
        return f"{self.sequence:15} {self.arm:15} seed {self.seed}: {', '.join(filter(None, said))}"


def show(runs, seeds):
    """Prints a line for each seed and how many there are of each kind."""
    found = standings(runs, seeds)
    counts = Counter(each.kind for each in found)
    print(*found, ", ".join(f"{counts[kind]} {kind}" for kind in KINDS if counts[kind]), sep="\n")


def standings(runs, seeds):
    """Returns [Standing] of every seed of every run."""
    records, found = failures(), []
    for run in runs:
        finished, diverged = run.finished(), run.diverged()
        mine, trunks = run.states(seeds), run.trunk().states(seeds)
        failed = {
            seed: record
            for record in records
            if record.get("fingerprint") == run.fingerprint
            for seed in record["seeds"]
        }
        for seed in seeds:
            try:
                positions = run.reached(seed)
                kind, words = standing(mine[seed], trunks[seed], failed.get(seed), seed)
                if positions >= len(run.tasks) and kind not in ("running", "stalled"):
                    kind, words = "done", ""
                elif seed in diverged:
                    kind, words = "diverged", ""
            except Corrupted as error:
                positions, kind, words = finished.get(seed, 0), "failed", str(error)
            found.append(Standing(run.sequence, run.arm, seed, positions, kind, words))
    return found


def standing(state, trunk, record, seed):
    """(kind, words) of one seed by its state, the state of its shared position 1 and the record of a failure, if any."""
    if state.diverged:
        return "diverged", ""
    if busy(state.folder):
        quiet, report = seconds_quiet(state, trunk), last_report(state, trunk)
        return (
            ("stalled", f"no sign of life for {quiet / 60:.0f} min, {report}")
            if quiet > STALLED
            else ("running", report)
        )
    if record and record["serials"].get(str(seed), 0) == state.serial:  # otherwise the seed was saved after the failure
        return "failed", why(record["code"], record["lines"])
    if state.manifest:
        return "stopped", ""
    return "missing", f"position 1 is shared and has {trunk.manifest['round']} rounds" if trunk.manifest else ""


def seconds_quiet(state, trunk):
    """Seconds since the last sign of life: a report, or taking the lock; 0 without any. Timestamps in the future (clock
    changes, other machines) are ignored."""
    now, signs = time.time(), []
    for path in (state.folder / "lock", state.folder / "progress.json", trunk.folder / "progress.json"):
        with suppress(OSError):
            signs.append(path.stat().st_mtime)
    return now - max((when for when in signs if when <= now), default=now)


def last_report(state, trunk):
    """Returns the last report of a seed in training, without the label."""
    for folder, where in ((state.folder, ""), (trunk.folder, "position 1, shared: ")):
        with suppress(OSError, ValueError, KeyError):
            return where + words(json.loads((folder / "progress.json").read_text()))
    return "starting"
