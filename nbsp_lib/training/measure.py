"""Rows of the csv files that a run writes while it trains: each a dict with its seed. Measuring changes nothing that learns."""

from __future__ import annotations

import numpy as np
import torch

from nbsp_lib.core.plasticity import network_health
from nbsp_lib.core.rng import generators
from nbsp_lib.training.networks import snapshot
from nbsp_lib.training.rollout import ROUND, episodes_of, play

HEALTH_ROWS, HEALTH_IMAGES = 2048, 256  # of the recent rows, for what is measured on networks


def clock(trainer, p):
    """Returns the position of seed number p of a trainer in time: steps in this position, steps taken in all."""
    return {"step": trainer.step, "total_step": trainer.taken[p] + trainer.step}


def curve_rows(trainer, number):
    """Plays evaluation `number` of a position on every distinct task -> rows of curves.csv."""
    train, shipped, made = trainer.train, snapshot(trainer.agent), []
    goals = episodes_of(train, number)
    episodes = len(goals)
    for task in trainer.tasks:
        played = play(shipped, task, trainer.seeds, episodes, train, trainer.make, method=trainer.method, goals=goals)
        success, last, total = played.outcome()
        made += [
            {
                "seed": seed,
                **clock(trainer, p),
                "updates": int(trainer.agent.updates[p]),
                "task": task,
                "success": success[p].item(),
                "success_last": last[p].item(),
                "return": total[p].item(),
                "alpha": trainer.agent.alpha[p].item(),
                "episodes": episodes,
            }
            for p, seed in enumerate(trainer.seeds)
        ]
    return made


def pooled(trainer, p, task, names):
    """Pools the last three evaluations of this position on a task for seed number p, over all their episodes -> {name: mean}
    with the number of episodes, or None before there are three. The evaluation before the first step does not count."""
    rows = [
        row for row in trainer.tables["curves"][p] if row["position"] == trainer.position + 1 and row["task"] == task
    ]
    last = [row for row in rows if row["step"] > 0][-ROUND:]
    if len(last) < ROUND:
        return None
    episodes = [row["episodes"] for row in last]
    mean = lambda name: float(np.average([row[name] for row in last], weights=episodes))
    return {name: mean(name) for name in names} | {"episodes": sum(episodes)}


def mastered(trainer, p, rate):
    """Returns whether the last three evaluations of this position reach a success rate on its task; False if rate is None."""
    found = None if rate is None else pooled(trainer, p, trainer.positions[trainer.position], ("success",))
    return found is not None and found["success"] >= rate


def result_rows(trainer):
    """Returns the rows of R: the last three evaluations of the ending position, pooled, on every distinct task; and its
    length."""
    return [
        {
            "seed": seed,
            "task": task,
            **pooled(trainer, p, task, ("success", "success_last", "return")),
            "steps": trainer.step,
            "steps_to_mastery": trainer.step if trainer.mastered(p) else None,
            "status": "ok",
        }
        for p, seed in enumerate(trainer.seeds)
        for task in trainer.tasks
    ]


def plasticity_rows(trainer):
    """Returns plasticity.network_health of every network on a batch of recent rows.

    The batch is drawn afresh from the same stream each time: the same shares of what has been collected by then.
    """
    own = [generators(seed)["plasticity"] for seed in trainer.seeds]
    draw = lambda kind, *shape: torch.stack([kind(shape, generator=g) for g in own]).to(trainer.device)
    rows = HEALTH_IMAGES if isinstance(trainer.kind.obs, tuple) else HEALTH_ROWS
    batch = trainer.replay.gather(trainer.replay.recent(draw(torch.rand, rows)))
    noise = draw(torch.randn, 2, rows, batch["action"].shape[-1]).transpose(0, 1)  # [2, P, B, A]
    found = network_health(trainer.agent, batch, noise, trainer.method, trainer.train)
    return [
        {"seed": seed, **clock(trainer, p), "network": name, **{k: v[p].item() for k, v in numbers.items()}}
        for name, numbers in found.items()
        for p, seed in enumerate(trainer.seeds)
    ]
