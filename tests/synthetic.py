"""Made-up results in the format of training: small, deterministic, checksums that match. Nothing here was trained."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save_file

from nbsp_lib.runs.export import MASTERY
from nbsp_lib.training import rollout
from nbsp_lib.training.columns import COLUMNS

SEQUENCES = {"window": ("window-open", "window-close") * 2, "window-once": ("window-open", "window-close")}
TRAIN = {
    "steps": 1000,
    "random_steps": 100,
    "envs": 1,
    "episode": 20,
    "layers": [8, 8],
    "batch": 8,
    "actor_lr": 1e-3,
    "critic_lr": 1e-3,
    "alpha_lr": 1e-3,
    "gamma": 0.99,
    "tau": 0.005,
    "updates_per_step": 1.0,
    "store": 0.1,
    "goal": "reward",
    "evaluations": 10,
    "episodes": 6,
    "mastery": None,
    "scoring_episodes": 4,
    "matmul_precision": "highest",
    "reset_adam": True,
}
OLD = {"episodes": 2, "final_episodes": 4}  # of a run shipped before positions could stop at mastery


def skill(arm, tasks, position, task, generator):
    """A success rate that looks like one: high on the task just trained, lower on the other, less so for nbsp."""
    if task not in tasks[:position]:
        return 0.0
    keep = {"nbsp": 0.8, "replay-only": 0.6}.get(arm, 0.15)
    level = 0.95 if tasks[position - 1] == task else keep
    return float(np.clip(level + generator.normal(0, 0.05), 0, 1))


def tables(arm, tasks, seeds, finished, R, train, mastered):
    """curves and R of these seeds; R[seed, position, task] given [P, K, M] or made up; mastered: {(seed, position): step}."""
    names = list(dict.fromkeys(tasks))
    curve_rows, r_rows = [], []
    for p, seed in enumerate(seeds):
        generator = np.random.default_rng([seed, len(arm)])
        before, taken = np.zeros(len(names)), 0
        for position in range(1, finished[seed] + 1):
            goal = [skill(arm, tasks, position, task, generator) for task in names] if R is None else R[p, position - 1]
            steps = np.linspace(0, train["steps"], train["evaluations"] + 1).round().astype(int)
            end = mastered.get((seed, position), train["steps"])
            played = [len(rollout.episodes_of(train, number)) for number in range(len(steps))]
            for number, step in list(enumerate(steps[steps <= end]))[(0 if position == 1 else 1) :]:
                share = min(1.0, step / (0.8 * end))
                for m, task in enumerate(names):
                    value = before[m] + share * (goal[m] - before[m])
                    curve_rows.append(
                        [
                            seed,
                            position,
                            tasks[position - 1],
                            step,
                            taken + step,
                            int(step),
                            task,
                            value,
                            value * 0.9,
                            100 * value,
                            0.1,
                            played[number],
                        ]
                    )
            for m, task in enumerate(names):
                r_rows.append(
                    [
                        seed,
                        position,
                        tasks[position - 1],
                        task,
                        goal[m],
                        goal[m] * 0.9,
                        100 * goal[m],
                        sum(played[-3:]),
                        end,
                        mastered.get((seed, position)),
                        "ok",
                    ]
                )
            before, taken = np.asarray(goal), taken + end
    return pd.DataFrame(curve_rows, columns=COLUMNS["curves"]), pd.DataFrame(r_rows, columns=COLUMNS["R"])


def scores(tasks, seeds, finished, unscored):
    """Rows of scores.csv: seed 0 knows no more than the base rate, the others a little more."""
    rows = []
    for seed in seeds:
        for position in range(1, finished[seed] + 1):
            for network in ("actor", "critic0", "critic1"):
                head = [seed, position, tasks[position - 1], network, 16]
                base = 0.6 + 0.08 * position
                not_above = 1.0 if seed == 0 else 0.3
                numbers = [
                    1 - base,
                    base,
                    0.2,
                    3,
                    not_above,
                    base + 0.04 * seed,
                    base + 0.01,
                    base - 0.05,
                    0.2,
                    "scored",
                ]
                rows.append(head + ([None] * 9 + ["unscored"] if (seed, position) in unscored else numbers))
    return pd.DataFrame(rows, columns=COLUMNS["scores"])


def network(seed, layers):
    """fp16 tensors of one agent, as in the shipped files: actor 39 -> layers -> 8, two critics 43 -> layers -> 1."""
    generator, tensors = torch.Generator().manual_seed(seed), {}
    for name, count, first, last in (("actor", 1, 39, 8), ("critic", 2, 43, 1)):
        sizes = [first, *layers, last]
        for i, (a, b) in enumerate(zip(sizes, sizes[1:], strict=False)):
            tensors[f"{name}.w{i}"] = (torch.randn(count, a, b, generator=generator) / a**0.5).half()
            tensors[f"{name}.b{i}"] = torch.zeros(count, 1, b).half()
    return tensors


def write(
    checkpoints,
    sequence,
    arm,
    seeds=(0, 1, 2),
    finished=None,
    R=None,
    unscored=(),
    diverged=(),
    profile="smoke",
    method="nbsp",
    settings=None,
    train=None,
    every=True,
    mastered=None,
    old=False,
):
    """Write <checkpoints>/<sequence>/<arm>/ and return it.

    finished: {seed: positions}, by default all; R [P, K, M]: the results, else made up; unscored: [(seed, position)];
    diverged: seeds whose last position is marked so; every: networks of all positions, else of the last only. mastered:
    {(seed, position): step at which the position stopped}; old: settings and columns as shipped before that was possible.
    """
    tasks, train = (
        SEQUENCES.get(sequence, (sequence,)),
        TRAIN | ({} if mastered is None else {"mastery": 0.95}) | (train or {}),
    )
    if old:
        train = {name: value for name, value in train.items() if name != "mastery"} | OLD
    finished = {seed: len(tasks) for seed in seeds} | (finished or {})
    folder = Path(checkpoints) / sequence / arm
    folder.mkdir(parents=True, exist_ok=True)
    curves, r_rows = tables(arm, tasks, seeds, finished, R, train, mastered or {})
    if old:
        r_rows = r_rows.drop(columns=sorted(MASTERY))
    for seed in diverged:
        r_rows.loc[(r_rows.seed == seed) & (r_rows.position == finished[seed]), "status"] = "diverged"
    for name, frame in (("curves", curves), ("R", r_rows), ("scores", scores(tasks, seeds, finished, unscored))):
        frame.round(6).to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")
    for seed in seeds:
        for k in range(1 if every else finished[seed], finished[seed] + 1):
            save_file(network(10 * seed + k, train["layers"]), folder / f"position{k}.seed{seed}.safetensors")
    written = [path for path in sorted(folder.iterdir()) if path.name != "run.json"]
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in written}
    config = {
        "sequence": sequence,
        "tasks": list(tasks),
        "arm": arm,
        "method": method,
        "settings": settings or {},
        "train": train,
    }
    run = {
        "config": config,
        "config_hash": "0" * 16,
        "code_hash": "0" * 16,
        "profile": profile,
        "versions": {},
        "files": files,
        "seeds": list(seeds),
        "positions": len(tasks),
        "finished": {str(seed): k for seed, k in finished.items()},
        "diverged": list(diverged),
        "unscored": [list(place) for place in unscored],
    }
    (folder / "run.json").write_text(json.dumps(run, indent=1, sort_keys=True))
    return folder
