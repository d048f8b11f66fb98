"""Atari: updates of the discrete learner against plain modules, and steps of games against gymnasium's wrappers in a loop."""

from __future__ import annotations

import sys
from dataclasses import replace

import ale_py
import gymnasium
import numpy as np
import torch
from torch import nn

from benchmarks import common
from nbsp_lib.envs.atari import Atari
from nbsp_lib.envs.emulator import Protocol
from nbsp_lib.methods import METHODS
from nbsp_lib.training.trainer import Trainer

sys.path.insert(0, str(common.ROOT / "tests"))
from plain_sac_discrete import PlainDiscreteSAC

SEQUENCE, TASK, ACTIONS = "boxing-road-runner", "boxing", 18
SEEDS, ENVS = (1, 4), (1, 4)
SIZES = {"ram": (256, 256), "pixels": (512,)}  # layers, or dense ones behind the convolutions of Mnih et al. 2015
PLAIN_UPDATE, PLAIN_STEP = "plain modules, 1 seed", "gymnasium, 1 environment"
ROWS, BATCH, PORTION = 2000, 64, 4


def make_ours(P, observation):
    common.as_in_training()
    train = replace(
        common.profile("laptop").atari,
        observation=observation,
        layers=SIZES[observation],
        batch=BATCH,
        steps=ROWS,
        random_steps=0,
    )
    trainer, generator = Trainer(train, SEQUENCE, METHODS["sac"](), range(P)), torch.Generator().manual_seed(0)
    replay = trainer.replay
    replay.data.uniform_(generator=generator)
    replay.seen = ROWS
    if observation == "pixels":
        replay.frames.random_(256, generator=generator)
        replay.data[..., replay.columns["cut"]] = replay.data[..., replay.columns["done"]] = 0.0

    def work():
        trainer.update(trainer.draws(PORTION))
        return PORTION * P

    return work


def network(observation):
    """The same layers as plain modules."""
    if observation == "ram":
        sizes, first = [128, *SIZES["ram"]], []
    else:
        first = [
            nn.Conv2d(4, 32, 8, 4),
            nn.ReLU(),
            nn.Conv2d(32, 64, 4, 2),
            nn.ReLU(),
            nn.Conv2d(64, 64, 3, 1),
            nn.ReLU(),
            nn.Flatten(),
        ]
        sizes = [3136, *SIZES["pixels"]]
    dense = [layer for a, b in zip(sizes, sizes[1:]) for layer in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*first, *dense, nn.Linear(sizes[-1], ACTIONS))


def make_plain(observation):
    agent = PlainDiscreteSAC(*(network(observation) for _ in range(3)), 3e-4, 3e-4, 3e-4, 0.99, 0.005, 0.7)
    shape = (128,) if observation == "ram" else (4, 84, 84)
    chance = np.random.default_rng(0)
    obs, after = (chance.integers(256, size=(ROWS, *shape)).astype(np.uint8) for _ in range(2))
    action, reward = chance.integers(ACTIONS, size=ROWS), chance.random(ROWS, np.float32)

    def work():
        rows = chance.integers(ROWS, size=BATCH)
        pictures = (torch.from_numpy(some[rows]).float() / 255 for some in (obs, after))
        agent.update(*pictures, torch.from_numpy(action[rows]), torch.from_numpy(reward[rows]), torch.zeros(BATCH))
        return 1

    return work


def make_games(envs, observation):
    common.as_in_training()
    env, chance = Atari(TASK, (0,), envs, Protocol(observation)), np.random.default_rng(0)
    env.reset(chance.integers(100, size=(1, envs)))

    def work():
        for _ in range(20):
            env.step(chance.integers(ACTIONS, size=(1, envs)))
        return 20 * envs

    return work


def make_wrapped(observation):
    gymnasium.register_envs(ale_py)
    env = gymnasium.make(
        "ALE/Boxing-v5",
        frameskip=1 if observation == "pixels" else 4,
        full_action_space=True,
        obs_type="ram" if observation == "ram" else "rgb",
    )
    if observation == "pixels":
        env = gymnasium.wrappers.AtariPreprocessing(env, noop_max=30, frame_skip=4)
    chance = np.random.default_rng(0)
    env.reset(seed=0)

    def work():
        for _ in range(20):
            *_, over, cut, _ = env.step(chance.integers(ACTIONS))
            if over or cut:
                env.reset()
        return 20

    return work


def main(argv=None):
    options = common.options("atari", __doc__, argv)
    updates, steps, cores = [], [], []
    for observation in SIZES:
        several = lambda n: "s" * (n > 1)
        learning = {f"ours, {P} seed{several(P)}": (make_ours, P, observation) for P in SEEDS}
        playing = {f"ours, {n} environment{several(n)}": (make_games, n, observation) for n in ENVS}
        for rows, plain, make, ours in (
            (updates, PLAIN_UPDATE, make_plain, learning),
            (steps, PLAIN_STEP, make_wrapped, playing),
        ):
            rates, core = common.contest({plain: (make, observation)} | ours, options)
            cores.append(core)
            rows += [
                {"observation": observation, "what": name, **common.against(rates, name, plain)}
                for name in (plain, *ours)
            ]
    columns = {
        "observation": "observation",
        "what": "who",
        "rate": "rate",
        "ratio": "against plain",
        "lowest": "lowest",
        "highest": "highest",
    }
    titles = (
        f"Seed-updates per second of discrete SAC, batch {BATCH}, {options.processes} process(es), cpu",
        f"Steps per second of {TASK}, 4 frames each, {options.processes} process(es)",
    )
    common.publish(
        "atari",
        options,
        common.median(cores),
        [common.table(title, columns, rows) for title, rows in zip(titles, (updates, steps))],
    )


if __name__ == "__main__":
    sys.exit(main())
