"""Environment steps per second of Meta-World: ours against one environment stepped in a plain loop."""

from __future__ import annotations

import sys

import numpy as np
from metaworld.env_dict import ALL_V3_ENVIRONMENTS

from benchmarks import common
from nbsp_lib.envs.metaworld import GOALS, HORIZON, MetaWorld, environment_name, goal_table

ENVS, EPISODES = (1, 4, 12), (200, 500)  # environments of a seed; steps of an episode: profile laptop, Meta-World's own
PLAIN, RAW = "plain loop", "plain loop without resets"
PORTION = 20


def actions(n):
    return np.random.default_rng(0).uniform(-1, 1, (1000, n, 4)).astype(np.float32)


def make_ours(envs, episode, goals):
    common.as_in_training()
    env, acts, chance = MetaWorld(common.TASK, (0,), envs, episode), actions(envs), np.random.default_rng(0)
    taken = 0

    def work():
        nonlocal taken
        for _ in range(PORTION):
            if not env.left:
                env.reset(chance.integers(goals, size=(1, envs)))
            env.step(acts[None, taken % len(acts)])
            taken += 1
        return PORTION * envs

    return work


def make_plain(episode, resets):
    """One environment as Meta-World makes it, no wrappers around it. Without resets its count of steps is set back."""
    env, tasks, acts = (
        ALL_V3_ENVIRONMENTS[environment_name(common.TASK)](),
        goal_table(common.TASK, 0),
        actions(1)[:, 0],
    )
    chance = np.random.default_rng(0)
    taken = 0

    def begin():
        env.set_task(tasks[chance.integers(GOALS)])
        env.reset()

    def work():
        nonlocal taken
        for _ in range(PORTION):
            if resets and taken % episode == 0:
                begin()
            env.step(acts[taken % len(acts)])
            taken += 1
        if not resets:
            env.curr_path_length = 0
        return PORTION

    begin()
    return work


def main(argv=None):
    options = common.options("environments", __doc__, argv)
    goals = 1 if options.quick else GOALS
    common.warm_environments(common.TASK, goals)
    rows, cores = [], []
    for episode in EPISODES:
        ours = {f"ours, {envs} environment{'s' * (envs > 1)}": (make_ours, envs, episode, goals) for envs in ENVS}
        rates, core = common.contest(
            {RAW: (make_plain, HORIZON, False), PLAIN: (make_plain, episode, True), **ours}, options
        )
        cores.append(core)
        rows += [
            {
                "episode": episode,
                "what": name,
                **common.against(rates, name, PLAIN),
                "bound": common.median(rates[RAW]),
                "of_bound": common.median(rates[name] / rates[RAW]),
            }
            for name in (PLAIN, *ours)
        ]
    columns = {
        "episode": "episode",
        "what": "who",
        "rate": "steps/s",
        "ratio": "against plain",
        "lowest": "lowest",
        "highest": "highest",
        "bound": "raw steps/s",
        "of_bound": "share of it",
    }
    title = f"Steps of Meta-World's {common.TASK}, {options.processes} process(es)"
    common.publish("environments", options, common.median(cores), [common.table(title, columns, rows)])


if __name__ == "__main__":
    sys.exit(main())
