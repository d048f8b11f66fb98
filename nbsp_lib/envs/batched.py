"""What the batched environments of all benchmarks share: P x E environments of one task, checked inputs, steps in two halves.

Axes: P population (seed), E environments of a seed, O numbers of an observation, A action dimensions.
"""

from __future__ import annotations

import numpy as np


def integers(name, values, shape, count):
    """Returns `values` as an array of integers in 0..count-1 with this shape. ValueError, beginning with `name`, otherwise."""
    values = np.asarray(values)
    if values.shape != shape or values.dtype.kind not in "iu":
        raise ValueError(f"{name} must be integers of shape {shape}, got {values.dtype} {values.shape}")
    if values.min() < 0 or values.max() >= count:
        raise ValueError(f"{name} must lie in 0..{count - 1}, got {values.min()}..{values.max()}")
    return values


class Batched:
    """Holds P x E environments of one task. Subclasses have `goals`, the number of different starts of a seed.

    ValueError for an empty population, no environment or a negative seed.
    """

    def __init__(self, task, seeds, envs):
        if not len(seeds) or envs < 1 or min(seeds) < 0:
            raise ValueError(
                f"at least one seed, none negative, and one environment needed, got {tuple(seeds)} and {envs}"
            )
        self.task, self.seeds, self.shape = task, tuple(int(seed) for seed in seeds), (len(seeds), envs)

    def step_async(self, action):
        """Asks for a step, which `step_wait` takes and returns. In one process nothing happens in between."""
        self.asked = action

    def step_wait(self):
        """Takes the step that was asked for."""
        return self.step(self.asked)


class Episodes(Batched):
    """Steps environments with continuous actions whose episodes begin together and are truncated together after `episode`
    steps.

    Subclasses have goals, obs_dim, act_dim, begin(i, seed, goal) -> observation [O], and advance(i, action [A]) ->
    (observation [O], reward, success), or advance_all of all at once. i is the row-major index of an environment [p, e].
    ValueError for an episode outside 1..horizon steps.
    """

    def __init__(self, task, seeds, envs, episode, horizon):
        if not 1 <= episode <= horizon:
            raise ValueError(f"episode must lie in 1..{horizon} steps of {task}, got {episode}")
        super().__init__(task, seeds, envs)
        self.episode = episode
        self.left = 0  # steps until the truncation

    def batch(self, observations):
        """Returns a list of observations [O] as one float32 array [P, E, O]."""
        return np.array(observations, np.float32).reshape(*self.shape, self.obs_dim)

    def reset(self, goals):
        """Begins an episode in every environment -> observation [P, E, O]. goals [P, E] int in 0..goals-1."""
        goals = integers("goals", goals, self.shape, self.goals)
        seeds = np.repeat(self.seeds, self.shape[1]).tolist()
        first = [self.begin(i, seed, goal) for i, (seed, goal) in enumerate(zip(seeds, goals.ravel().tolist()))]
        self.left = self.episode
        return self.batch(first)

    def step(self, action):
        """Takes one step everywhere -> observation [P, E, O], reward [P, E], success [P, E], new float32 arrays.

        action [P, E, A], clipped to [-1, 1]. ValueError for a wrong shape or a value that is not finite; RuntimeError past the
        end of the episode.
        """
        if not self.left:
            raise RuntimeError(f"no episode is running or its {self.episode} steps are over: reset first")
        action = np.asarray(action, np.float32)
        if action.shape != (*self.shape, self.act_dim):
            raise ValueError(f"action must have shape {(*self.shape, self.act_dim)}, got {action.shape}")
        if not np.isfinite(action).all():
            raise ValueError("action is not finite")
        actions = np.clip(action, -1, 1).reshape(-1, self.act_dim)
        observation, reward, success = self.advance_all(actions)
        self.left -= 1
        reward, success = np.array(reward, np.float32), np.array(success, np.float32)
        return self.batch(observation), reward.reshape(self.shape), success.reshape(self.shape)

    def advance_all(self, actions):
        """Takes one step everywhere, actions [P E, A] -> observations [P E, O], rewards [P E], successes [P E]."""
        return zip(*[self.advance(i, one) for i, one in enumerate(actions)])

    def close(self):
        """Ends the episodes."""
        self.left = 0
