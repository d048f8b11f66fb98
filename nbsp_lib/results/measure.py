"""The performance of networks in new rollouts of which nothing else is asked."""

from __future__ import annotations

from nbsp_lib.envs.metaworld import MetaWorld
from nbsp_lib.envs.performance import SUCCESS, performance, unit
from nbsp_lib.training.rollout import play


class UntilSuccess(MetaWorld):
    """MetaWorld that simulates each episode up to its first success: after it the environment stands still, with reward 0.

    Success at any step is that of MetaWorld; returns are not.
    """

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.reached = [None] * len(self.episodes)  # the observation of the first success of this episode

    def begin(self, i, seed, goal):
        self.reached[i] = None
        return super().begin(i, seed, goal)

    def advance(self, i, action):
        if self.reached[i] is not None:
            return self.reached[i], 0.0, 1.0
        observation, reward, success = super().advance(i, action)
        if success:
            self.reached[i] = observation
        return observation, reward, success


def measure(agent, task, seeds, episodes, train, **options):
    """Returns the performance of each seed of an agent on a task, a list of P floats, see performance.py.

    episodes: so many, the first ones of each seed; train, options: those of `play`. Where performance is success, episodes are
    not simulated beyond it.
    """
    make = UntilSuccess if unit(task) == SUCCESS else None
    success, _, gained = play(agent, task, seeds, episodes, train, make=make, **options).outcome()
    return [performance(task, s, g, train["episode"]) for s, g in zip(success.tolist(), gained.tolist(), strict=True)]
