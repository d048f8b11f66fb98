"""Environment steps per second of the Control Suite's cart-pole: all environments at once against one after the other."""

from __future__ import annotations

import sys

import numpy as np

from benchmarks import common
from nbsp_lib.envs.dmc import DMC, CartPole

TASK, EPISODE, ENVS = "cartpole-swingup", 250, (4, 20)  # environments of one seed and of five, profile laptop
PORTION = 20


def make(kind, envs):
    common.as_in_training()
    env, acts = kind(TASK, (0,), envs, EPISODE), np.random.default_rng(0).uniform(-1, 1, (1000, 1, envs, 1))
    taken = 0

    def work():
        nonlocal taken
        for _ in range(PORTION):
            if not env.left:
                env.reset(np.zeros((1, envs), int))
            env.step(acts[taken % len(acts)])
            taken += 1
        return PORTION * envs

    return work


def main(argv=None):
    options = common.options("cartpole", __doc__, argv)
    rows, cores = [], []
    for envs in ENVS:
        plain, ours = f"the suite, {envs} one by one", f"ours, {envs} at once"
        rates, core = common.contest({plain: (make, DMC, envs), ours: (make, CartPole, envs)}, options)
        cores.append(core)
        rows += [{"what": name, **common.against(rates, name, plain)} for name in (plain, ours)]
    columns = {"what": "who", "rate": "steps/s", "ratio": "against plain", "lowest": "lowest", "highest": "highest"}
    title = f"Steps of {TASK}, {options.processes} process(es)"
    common.publish("cartpole", options, common.median(cores), [common.table(title, columns, rows)])


if __name__ == "__main__":
    sys.exit(main())
