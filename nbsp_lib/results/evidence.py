"""What the rules of 2026-11-27 (data/verdict_rules.md) look at: a row a seed and number of positions, from a results.Study.

Beside the measures: how well each task was learned where it was first trained, what a seed shares with other arms, and the
replay dose.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd

from nbsp_lib.envs.performance import NORMALISED
from nbsp_lib.methods import find
from nbsp_lib.results import metrics
from nbsp_lib.results.study import performances

GATE = 0.25  # of the way from random play to a human tester: what a game trained alone must reach
COLUMNS = [
    "sequence",
    "arm",
    "seed",
    "positions",
    "whole",
    "asr",
    "fm",
    "plasticity",
    "learned",
    "diverged",
    "network",
    "curve",
    "dose",
]
BENCHMARKS = "benchmarks/results.json"


def dose(run):
    """Returns the replay dose of a run.json: the share of trained rows that come from the store, 0 without a store."""
    return float(find(run["config"]["method"])(**run["config"]["settings"]).dose)


def start(result, seed):
    """Returns (network, curve): sha256 of the network that a seed shipped after position 1, "" if none, and of its recorded
    evaluations there, without the names of sequence and arm."""
    rows = result.curves[(result.curves.seed == seed) & (result.curves.position == 1)].drop(columns=["sequence", "arm"])
    return (
        result.run["files"].get(f"position1.seed{seed}.safetensors", ""),
        hashlib.sha256(rows.to_csv(index=False).encode()).hexdigest(),
    )


def same(starts):
    """Whether these are one start: the recorded curves of position 1, and the network after it where it ships. starts: of
    `start`."""
    networks, curves = zip(*starts)
    return len(set(curves)) == 1 and len({network for network in networks if network}) <= 1


def alike(a, b):
    """Whether two arms left position 1 bit-equal in every seed. a, b: columns seed, network, curve, the same seeds in the
    same order."""
    both = a.merge(b, on="seed", suffixes=("_a", "_b"))
    pairs = ([(row.network_a, row.curve_a), (row.network_b, row.curve_b)] for row in both.itertuples())
    return bool(len(both)) and all(map(same, pairs))


def judged(study):
    """Returns ({arm: R [P, K, M]}, order [K], whether the tasks pass): performances; of Atari as a share of the same task
    trained alone, cut to [0, 1], and whether every game has a run alone that reaches GATE."""
    tables, order = performances(study)
    if study.unit != NORMALISED:
        return tables, order, True
    alone = [study.references.get(task) for task in study.names]
    reached = np.array(
        [
            one.R[(one.R.task == task) & (one.R.status == "ok")].success.mean() if one else np.nan
            for one, task in zip(alone, study.names, strict=True)
        ]
    )  # [M]
    passed = bool((reached >= GATE).all())
    return {arm: np.clip(R / reached, 0, 1) if passed else R for arm, R in tables.items()}, order, passed


def seed_rows(study):
    """Returns a row an arm, seed and number of positions k = 2 … K, columns COLUMNS.

    asr, fm, plasticity: of the first k positions and the tasks seen there, NaN where not finished; learned: a tuple, R[i, τ]
    at the first visit of each of these tasks, NaN if a game does not pass `judged`.
    """
    (tables, order, passed), rows = judged(study), []
    for arm, R in tables.items():
        result = study.results[arm]
        starts = [start(result, seed) for seed in study.seeds]
        for k in range(2, len(order) + 1):
            visits, seen = order[:k], R[:, :k, : max(order[:k]) + 1]  # tasks are numbered by first visit
            first = [int(np.argmax(visits == task)) for task in range(seen.shape[2])]
            learned = seen[:, first, range(seen.shape[2])] if passed else np.full((len(R), seen.shape[2]), np.nan)
            measures = metrics.asr(seen, visits), metrics.forgetting(seen, visits), metrics.plasticity(seen, visits)
            rows += [
                [
                    study.sequence,
                    arm,
                    seed,
                    k,
                    k == len(order),
                    *(float(x[p]) for x in measures),
                    tuple(learned[p]),
                    seed in result.run["diverged"],
                    *starts[p],
                    dose(result.run),
                ]
                for p, seed in enumerate(study.seeds)
            ]
    return pd.DataFrame(rows, columns=COLUMNS)


def gather(studies):
    """Returns seed_rows of all studies below each other."""
    return pd.concat([seed_rows(study) for study in studies] or [pd.DataFrame(columns=COLUMNS)], ignore_index=True)


def benchmarked(path=BENCHMARKS):
    """Returns ([overhead of an update of nbsp over fine-tuning], [share of a position that a task end takes]), a number a
    process.

    From the records of benchmarks.methods and benchmarks.scoring in a JSON file: no --quick, CPU, one process, one seed.
    """
    records = json.loads(Path(path).read_text(encoding="utf-8"))
    once = [
        record
        for record in records
        if not record["quick"]
        and record["device"] == "cpu"
        and record["processes"] == 1
        and "--population" not in record["command"]
    ]
    rows = lambda name: [
        row
        for record in once
        if record["benchmark"] == name
        for row in record["tables"][0]["rows"]
        if row["arm"] == "nbsp"
    ]
    return [row["neutral"] - 1 for row in rows("methods")], [row["share"] for row in rows("scoring")]
