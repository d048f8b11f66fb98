"""The task cycle as one gymnasium environment, for agents of other libraries."""

from __future__ import annotations

import gymnasium
import numpy as np

from nbsp_lib.envs.benchmark import benchmark
from nbsp_lib.envs.sequences import benchmark_of, tasks_of


class TaskCycle(gymnasium.Env):
    """Plays the tasks of a sequence one after another; nothing but the step count says when the next one begins.

    sequence: a name of envs.sequences.SEQUENCES or a single task, of Meta-World or the DeepMind Control Suite.
    steps: of each position, which ends with the first reset after them; episode: steps until an episode is truncated;
    seed: which table of goals. After the last position its task goes on, and `over` is true.
    Observation, action and reward are those of training (envs.metaworld, envs.dmc).
    info: position (from 0), task, goal, and of Meta-World success (0 or 1) after a step.
    ValueError for a game of Atari and for fewer than one step; ConfigError for an unknown name.
    """

    def __init__(self, sequence="window", steps=100_000, episode=200, seed=0):
        self.tasks = tasks_of(sequence)
        if benchmark_of(self.tasks[0]) == "atari":
            raise ValueError(f"{sequence}: games of Atari have gymnasium environments of their own, see ale_py")
        if steps < 1:
            raise ValueError(f"steps must be at least 1, got {steps}")
        self.kind, self.steps, self.episode, self.seed = benchmark(self.tasks, {}), steps, episode, seed
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (self.kind.obs,), np.float32)
        self.action_space = gymnasium.spaces.Box(-1, 1, (self.kind.act_dim,), np.float32)
        self.position, self.taken, self.left, self.envs = 0, 0, 0, {}

    @property
    def task(self):
        return self.tasks[self.position]

    @property
    def over(self):
        """Whether the last position has had all its steps."""
        return self.position == len(self.tasks) - 1 and self.taken >= self.steps

    def reset(self, *, seed=None, options=None):
        """Begins an episode, of the next task if the position has had its steps, with a goal drawn from `np_random`.

        seed: of the goals drawn from now on; the cycle goes on. options: {"position": k} begins position k.
        """
        super().reset(seed=seed)
        if "position" in (options or {}):
            self.position, self.taken = range(len(self.tasks))[options["position"]], 0
        elif self.taken >= self.steps and not self.over:
            self.position, self.taken = self.position + 1, 0
        if self.task not in self.envs:
            self.envs[self.task] = self.kind.make(self.task, (self.seed,), 1, self.episode)
        goal, self.left = self.np_random.integers(self.envs[self.task].goals, size=(1, 1)), self.episode
        self.info = {"position": self.position, "task": self.task, "goal": int(goal[0, 0])}
        return self.envs[self.task].reset(goal)[0, 0], dict(self.info)

    def step(self, action):
        """One step; an episode is never terminated, only truncated."""
        obs, reward, success = self.envs[self.task].step(np.asarray(action, np.float32)[None, None])
        self.taken, self.left = self.taken + 1, self.left - 1
        known = {} if np.isnan(success).any() else {"success": float(success[0, 0])}  # the Control Suite has none
        return obs[0, 0], float(reward[0, 0]), False, self.left == 0, self.info | known
