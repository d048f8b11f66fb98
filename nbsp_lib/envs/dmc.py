"""Tasks of the DeepMind Control Suite as one batched step over seeds and environments.

Axes: P population (seed), E environments of a seed. All environments run in this process, in lock-step, in one thread. Nothing
is drawn, so no renderer is needed.

Pairs, each within one domain, because networks are shared and so need inputs and outputs of one size:
  (cartpole-balance, cartpole-swingup)   keep a pole up; swing it up from hanging first, which includes keeping it up
  (reacher-easy, reacher-hard)           a large and a small target for the tip of a two-link arm: nearly the same skill
  (walker-stand, walker-walk)            stand; and walk, which includes standing
"""

from __future__ import annotations

import difflib
import os

import numpy as np

from nbsp_lib.envs.batched import Episodes

# obs_dim, act_dim and the time between two actions as a multiple of the suite's own (an action repeat; PlaNet, Hafner et al.
# 2019, has 8, 4 and 2). Known without building anything; tests/envs/test_dmc.py holds it to the suite.
DOMAINS = {"cartpole": (5, 1, 4), "reacher": (6, 2, 4), "walker": (24, 6, 2)}
TASKS = (
    "cartpole-balance",
    "cartpole-swingup",
    "reacher-easy",
    "reacher-hard",
    "walker-stand",
    "walker-walk",
    "walker-run",
)
STEPS = 1000  # of the suite in an episode


def sizes(task):
    """Returns (obs_dim, act_dim) of a task. ValueError with the nearest name if there is none."""
    return domain(task)[:2]


def domain(task):
    """Returns the entry of DOMAINS of a task."""
    if task not in TASKS:
        near = difflib.get_close_matches(str(task), TASKS, n=1, cutoff=0.0)[0]
        raise ValueError(f"unknown task of the DeepMind Control Suite {task!r}: did you mean {near!r}?")
    return DOMAINS[task.split("-")[0]]


def build(task):
    """Makes the suite's own environment with a longer time between actions."""
    os.environ.setdefault("MUJOCO_GL", "disable")  # or it looks for a display, and complains that there is none
    from dm_control import suite  # here, because importing it takes a second
    from dm_control.rl.control import Environment

    made = suite.load(*task.split("-", 1))
    return Environment(made.physics, made.task, control_timestep=made.control_timestep() * domain(task)[2])


def flat(observation):
    """Flattens the suite's dictionary of arrays in its order into one vector."""
    return np.concatenate([np.ravel(value) for value in observation.values()]).astype(np.float32)


class DMC(Episodes):
    """Steps P x E environments of one task. A trajectory depends on (task, seed, goal, actions) only.

    A "goal" is the start of an episode: what the suite draws from a generator of (seed, goal). The reward lies in [0, 1]; the
    suite has no success: NaN. ValueError for an unknown task, an empty population or too long an episode.
    """

    goals = 50  # as many starts of a seed as Meta-World has goals

    def __init__(self, task, seeds, envs, episode):
        self.obs_dim, self.act_dim, repeat = domain(task)
        super().__init__(task, seeds, envs, episode, STEPS // repeat)
        self.envs = [build(task) for _ in range(len(seeds) * envs)]  # row-major over [P, E]

    def begin(self, i, seed, goal):
        self.envs[i].task.random.seed(np.random.SeedSequence([seed, goal]).generate_state(4))
        return flat(self.envs[i].reset().observation)

    def advance(self, i, action):
        played = self.envs[i].step(action)
        return flat(played.observation), played.reward, np.nan


class CartPole(DMC):
    """The same for the cart-pole, bit for bit and several times as fast: starts and physics are the suite's, but observation and
    reward are read from all environments at once, where the suite looks them up by name in each. RuntimeError where MuJoCo warns.
    """

    def __init__(self, task, seeds, envs, episode):
        super().__init__(task, seeds, envs, episode)
        import mujoco
        from dm_control.utils.rewards import tolerance

        self.mujoco, self.tolerance, self.substeps = mujoco, tolerance, domain(task)[2]
        at = [one.physics.data for one in self.envs]
        self.pointers = [(one.physics.model.ptr, one.physics.data.ptr) for one in self.envs]
        # views of memory that MuJoCo reads and writes
        self.ctrl, self.warnings = [data.ctrl for data in at], [data.warning.number for data in at]
        self.qpos, self.qvel, self.pole = (
            [data.qpos for data in at],
            [data.qvel for data in at],
            [data.xmat[2] for data in at],
        )

    def advance_all(self, actions):
        for (model, data), ctrl, action in zip(self.pointers, self.ctrl, actions, strict=True):
            ctrl[:] = action
            self.mujoco.mj_step(model, data, self.substeps)
            self.mujoco.mj_step1(model, data)  # after a step of RK4, as dm_control.mujoco.Physics.step does
        if np.any(self.warnings):
            raise RuntimeError(f"{self.task}: the state of the physics is invalid")
        # [N], [N, 2], [N, 9]
        cart, velocity, pole = np.array(self.qpos)[:, 0], np.array(self.qvel), np.array(self.pole)
        cosine, sine, force = pole[:, 8], pole[:, 2], actions[:, 0].astype(np.float64)
        centred = (1 + self.tolerance(cart, margin=2)) / 2  # dm_control.suite.cartpole, Balance._get_reward
        gentle = (4 + self.tolerance(force, margin=1, value_at_margin=0, sigmoid="quadratic")) / 5
        slow = (1 + self.tolerance(velocity[:, 1], margin=5)) / 2
        reward = (cosine + 1) / 2 * gentle * slow * centred
        return np.column_stack([cart, cosine, sine, velocity]), reward, np.full(len(actions), np.nan)


def maker(task):
    """Returns the class that steps a task."""
    return CartPole if domain(task) is DOMAINS["cartpole"] else DMC
