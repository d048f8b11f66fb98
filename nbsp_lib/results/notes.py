"""Notes beside a table: how far each arm and seed is, and what limits its numbers."""

from __future__ import annotations

import pandas as pd

from nbsp_lib.envs.performance import EDITED, NOTES
from nbsp_lib.methods import find
from nbsp_lib.runs.export import codes
from nbsp_lib.runs.fingerprint import numbers_of


def reached(counts, n):
    """How far n seeds got, as text, from how many of them finished each position [K]."""
    counts = [int(count) for count in counts]
    there = [count for count in counts if count]
    if len(set(there)) > 1:
        return f"{'/'.join(map(str, counts))} of {n} seeds after position 1/…/{len(counts)}"
    positions = f", {len(there)} of {len(counts)} positions" if 0 < len(there) < len(counts) else ""
    return f"{max(counts, default=0)} of {n} seeds{positions}"


def accounting(study):
    """One row an arm: k of n seeds finished every position; how far the seeds are, seeds diverged, rollouts unscored."""
    rows, K = [], len(study.tasks)
    for arm in study.arms:
        result = study.results.get(arm)
        if result is None:
            rows.append(
                {
                    "arm": arm,
                    "k": 0,
                    "n": len(study.seeds),
                    "reached": "missing: no run here",
                    "finished": "",
                    "diverged": "",
                    "unscored": 0,
                }
            )
            continue
        done = {seed: result.finished(seed) for seed in study.seeds}
        counts = [sum(d >= k for d in done.values()) for k in range(1, K + 1)]
        rows.append(
            {
                "arm": arm,
                "k": counts[-1],
                "n": len(study.seeds),
                "reached": reached(counts, len(study.seeds)),
                "finished": ", ".join(f"seed {seed}: {d}/{K}" for seed, d in done.items()),
                "diverged": " ".join(map(str, result.run["diverged"])),
                "unscored": len(result.run["unscored"]),
            }
        )
    return pd.DataFrame(rows, columns=["arm", "k", "n", "reached", "finished", "diverged", "unscored"])


def footnotes(study):
    """Sentences below a table: arms missing, seeds unfinished or diverged, rollouts unscored, references missing, seeds
    trained by different versions of the code."""
    notes = [f"{', '.join(study.missing)}: missing, no run here."] if study.missing else []
    for arm, result in study.results.items():
        short = [
            f"{seed} ({result.finished(seed)} of {len(study.tasks)})"
            for seed in study.seeds
            if result.finished(seed) < len(study.tasks) and seed not in result.run["diverged"]
        ]
        if short:
            notes.append(f"{arm}: seeds that have not finished every position: {', '.join(short)}.")
        if result.run["diverged"]:
            notes.append(f"{arm}: diverged seeds: {', '.join(map(str, result.run['diverged']))}.")
        if result.run["unscored"]:
            places = ", ".join(f"seed {seed} position {position}" for seed, position in result.run["unscored"])
            notes.append(f"{arm}: unscored (goal metric constant, masks kept as they were): {places}.")
    methods = {arm: find(result.run["config"]["method"]) for arm, result in study.results.items()}
    if told := [arm for arm, method in methods.items() if method.needs_task]:
        notes.append(f"{', '.join(told)}: told which task is played also when evaluated; no other arm is.")
    notes += [f"{arm}: {EDITED}" for arm, method in methods.items() if method.edits_at_end]
    notes += [
        f"{t}: no run on this task alone, so no forward transfer." for t in study.names if t not in study.references
    ]
    return notes + NOTES.get(study.unit, []) + code_notes(study)


def code_notes(study):
    """A sentence for each method whose seeds were trained by different versions of the code that decides training, within
    an arm or between arms. The hash of a method's code says nothing about another method's."""
    kinds = {}
    for arm, result in study.results.items():
        for seed, code in codes(result.run).items():
            code = numbers_of(code)
            kinds.setdefault(result.run["config"]["method"], {}).setdefault(code, {}).setdefault(arm, []).append(
                str(seed)
            )
    listed = lambda arms: ", ".join(f"{arm} seed {' '.join(seeds)}" for arm, seeds in arms.items())
    return [
        f"Method {method}: seeds trained by {len(found)} versions of the library, so arms and seeds may also differ by that: "
        + "; ".join(f"{code[:8]} {listed(arms)}" for code, arms in found.items())
        + "."
        for method, found in kinds.items()
        if len(found) > 1
    ]
