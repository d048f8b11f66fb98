"""Rows of the csv files that a run writes while it trains: each a dict with its seed. They change nothing that learns."""
from __future__ import annotations

import numpy as np
import torch

from nbsp_lib.evaluate import play, snapshot
from nbsp_lib.plasticity import network_health
from nbsp_lib.streams import generators

TABLES = ("curves", "R", "scores", "plasticity")
HEALTH_ROWS, HEALTH_IMAGES = 2048, 256          # of the recent rows, for what is measured on networks


def clock(cycle):
    """Where a cycle stands: steps in this position, steps in all."""
    steps = cycle.round * cycle.train.envs * cycle.train.episode
    return {"step": steps, "total_step": cycle.position * cycle.train.steps + steps}


def curve_rows(cycle, number):
    """The evaluation `number` of a position on every distinct task; 10 episodes, 50 in the last three evaluations."""
    train, shipped, made = cycle.train, snapshot(cycle.agent), []
    episodes = train.final_episodes if number > train.evaluations - 3 else train.episodes
    for task in cycle.tasks:
        played = play(shipped, task, cycle.seeds, episodes, train, cycle.make, method=cycle.method)
        success, last, total = played.outcome()
        made += [{"seed": seed, **clock(cycle), "updates": int(cycle.agent.updates[p]), "task": task,
                  "success": success[p].item(), "success_last": last[p].item(), "return": total[p].item(),
                  "alpha": cycle.agent.alpha[p].item(), "episodes": episodes} for p, seed in enumerate(cycle.seeds)]
    return made


def result_rows(cycle):
    """R: the mean of the last three evaluations of the position that ends, on every distinct task."""
    made = []
    for seed, rows in zip(cycle.seeds, cycle.tables["curves"]):
        for task in cycle.tasks:
            last = [row for row in rows if row["position"] == cycle.position + 1 and row["task"] == task][-3:]
            mean = {name: float(np.mean([row[name] for row in last])) for name in ("success", "success_last", "return")}
            made.append({"seed": seed, "task": task, **mean, "status": "ok"})
    return made


def plasticity_rows(cycle):
    """How able to learn each network is, on a batch of recent rows: plasticity.network_health.

    The batch is drawn afresh from the same stream each time: the same shares of what has been collected by then.
    """
    own = [generators(seed)["plasticity"] for seed in cycle.seeds]
    draw = lambda kind, *shape: torch.stack([kind(shape, generator=g) for g in own]).to(cycle.device)
    rows = HEALTH_IMAGES if isinstance(cycle.kind.obs, tuple) else HEALTH_ROWS
    batch = cycle.replay.gather(cycle.replay.recent(draw(torch.rand, rows)))
    noise = draw(torch.randn, 2, rows, batch["action"].shape[-1]).transpose(0, 1)            # [2, P, B, A]
    found = network_health(cycle.agent, batch, noise, cycle.method, cycle.train)
    return [{"seed": seed, **clock(cycle), "network": name, **{k: v[p].item() for k, v in numbers.items()}}
            for name, numbers in found.items() for p, seed in enumerate(cycle.seeds)]
