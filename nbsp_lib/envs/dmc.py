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

# obs_dim, act_dim and the time between two actions as a multiple of the suite's own (an action repeat; PlaNet, Hafner et al.
# 2019, has 8, 4 and 2). Known without building anything; tests/test_dmc.py holds it to the suite.
DOMAINS = {"cartpole": (5, 1, 4), "reacher": (6, 2, 4), "walker": (24, 6, 2)}
TASKS = ("cartpole-balance", "cartpole-swingup", "reacher-easy", "reacher-hard", "walker-stand", "walker-walk", "walker-run")
STEPS = 1000        # of the suite in an episode


def sizes(task):
    """(obs_dim, act_dim) of a task. ValueError with the nearest name if there is none."""
    return domain(task)[:2]


def domain(task):
    """The entry of DOMAINS of a task."""
    if task not in TASKS:
        near = difflib.get_close_matches(str(task), TASKS, n=1, cutoff=0.0)[0]
        raise ValueError(f"unknown task of the DeepMind Control Suite {task!r}: did you mean {near!r}?")
    return DOMAINS[task.split("-")[0]]


def build(task):
    """The suite's own environment, with actions that last longer."""
    os.environ.setdefault("MUJOCO_GL", "disable")      # or it looks for a display, and complains that there is none
    from dm_control import suite  # here, because importing it takes a second
    from dm_control.rl.control import Environment
    made = suite.load(*task.split("-", 1))
    return Environment(made.physics, made.task, control_timestep=made.control_timestep() * domain(task)[2])


def flat(observation):
    """The suite's dictionary of arrays in its order, as one vector."""
    return np.concatenate([np.ravel(value) for value in observation.values()]).astype(np.float32)


class DMC:
    """P x E environments of one task; a trajectory depends on (task, seed, goal, actions) only: not on P, E, or earlier episodes.

    A "goal" is the start of an episode: what the suite draws from a generator of (seed, goal). Episodes are cut after `episode`
    steps: a truncation, never a termination. ValueError for an unknown task, an empty population or too long an episode.
    """

    goals = 50      # as many starts of a seed as Meta-World has goals

    def __init__(self, task, seeds, envs, episode):
        self.obs_dim, self.act_dim, repeat = domain(task)
        if not 1 <= episode <= STEPS // repeat:
            raise ValueError(f"episode must lie in 1..{STEPS // repeat} steps of {task}, got {episode}")
        if not len(seeds) or envs < 1:
            raise ValueError(f"at least one seed and one environment needed, got {len(seeds)} and {envs}")
        self.task, self.seeds, self.episode, self.shape = task, tuple(seeds), episode, (len(seeds), envs)
        self.envs = [build(task) for _ in range(len(seeds) * envs)]                     # row-major over [P, E]
        self.left = 0                                                                   # steps until the episode is cut

    def reset(self, goals):
        """First observation [P, E, obs_dim] of new episodes in every environment. goals [P, E] int in 0..49."""
        goals = np.asarray(goals)
        if goals.shape != self.shape or goals.dtype.kind not in "iu":
            raise ValueError(f"goals must be integers of shape {self.shape}, got {goals.dtype} {goals.shape}")
        if goals.min() < 0 or goals.max() >= self.goals:
            raise ValueError(f"goals must lie in 0..{self.goals - 1}, got {goals.min()}..{goals.max()}")
        first = []
        for i, (env, goal) in enumerate(zip(self.envs, goals.flat)):
            words = np.random.SeedSequence([self.seeds[i // self.shape[1]], int(goal)]).generate_state(4)
            env.task.random.seed(words)
            first.append(flat(env.reset().observation))
        self.left = self.episode
        return np.stack(first).reshape(*self.shape, self.obs_dim)

    def step(self, action):
        """One step everywhere. action [P, E, A], clipped to [-1, 1] -> observation [P, E, obs_dim], reward [P, E] in [0, 1], and
        success [P, E], which the suite does not have: NaN. ValueError for a wrong shape or a value that is not finite;
        RuntimeError past the end of the episode."""
        if not self.left:
            raise RuntimeError(f"no episode is running or its {self.episode} steps are over: reset first")
        action = np.asarray(action, np.float32)
        if action.shape != (*self.shape, self.act_dim):
            raise ValueError(f"action must have shape {(*self.shape, self.act_dim)}, got {action.shape}")
        if not np.isfinite(action).all():
            raise ValueError("action is not finite")
        played = [env.step(one) for env, one in zip(self.envs, np.clip(action, -1, 1).reshape(-1, self.act_dim))]
        self.left -= 1
        observation = np.stack([flat(step.observation) for step in played]).reshape(*self.shape, self.obs_dim)
        reward = np.array([step.reward for step in played], np.float32).reshape(self.shape)
        return observation, reward, np.full(self.shape, np.nan, np.float32)

    def step_async(self, action):
        """Ask for a step; `step_wait` takes and returns it. In one process nothing happens in between."""
        self.asked = action

    def step_wait(self):
        return self.step(self.asked)

    def close(self):
        """Ends the episodes."""
        self.left = 0
