"""What an actor did on the first task of a sequence: the states that it met there, what its neurons answered, and its way
back after the second task. For benchmarks whose episodes all have one length.

P population (stacked actors here), E episodes, T moments of all episodes together, W width of a layer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from nbsp_lib.core.sac import Agent
from nbsp_lib.envs.benchmark import benchmark
from nbsp_lib.results.measure import measure
from nbsp_lib.runs.state import load_agent
from nbsp_lib.training.rollout import play


class Watched:
    """Environments that remember every observation they show. shown: one list a wave, of [P, wave, obs] a moment."""

    def __init__(self, env):
        self.env, self.goals, self.shown = env, env.goals, []

    def reset(self, goals):
        self.shown.append([self.env.reset(goals)])
        return self.shown[-1][0]

    def step(self, action):
        found = self.env.step(action)
        self.shown[-1].append(found[0])
        return found

    def observations(self, episodes):
        """Those that an action answered, [P, episodes · steps, obs], episode by episode."""
        waves = [np.stack(wave[:-1], 2) for wave in self.shown]  # [P, wave, steps, obs]
        return torch.from_numpy(np.concatenate(waves, 1)[:, :episodes]).flatten(1, 2)


@dataclass(frozen=True)
class Old:
    """One seed's actor at the end of position 1 on the task of position 1, and at the end of position 2.

    first, second: (agent, method) of both ends; obs [1, T, obs] and goal [1, T] of the rollout of the first one, T = E · steps.
    """

    seed: int
    tasks: tuple
    train: dict
    first: tuple
    second: tuple
    obs: torch.Tensor
    goal: torch.Tensor

    def answers(self, params):
        """Mean actions before tanh [1, T, A] and hidden activations, a list of [1, T, W], of an actor's params on `obs`."""
        agent, method = self.first
        out, hidden = method.forward(agent.actor, params, self.obs[:, None])
        return agent.head.means(out[:, 0]), [h[:, 0] for h in hidden]


def old_rollout(agent, method, task, seed, episodes, train):
    """The observations [1, T, obs] and the goal metric [1, T] of the mean policy of one agent."""
    kept = []

    def make(*arguments):
        kept.append(Watched(benchmark((task,), train).make(*arguments)))
        return kept[-1]

    played = play(agent, task, [seed], episodes, train, make=make, method=method)
    return kept[0].observations(episodes), played.goal(train["goal"])


def read_old(read, episodes):
    """(arm, Old) of every seed of {arm: results.Result} that finished positions 1 and 2 and ships both networks.

    A network of position 1 that several arms share is rolled out once.
    """
    seen = {}
    for arm, result in read.items():
        config = result.run["config"]
        tasks, train = tuple(config["tasks"][:2]), config["train"]
        for seed in result.run["seeds"]:
            if result.finished(seed) < 2 or not {1, 2} <= set(result.networks(seed)):
                continue
            first, second = (load_agent(result.folder, position, [seed], result.run) for position in (1, 2))
            key = seed, result.run["files"][f"position1.seed{seed}.safetensors"]
            if key not in seen:
                seen[key] = old_rollout(*first, tasks[0], seed, episodes, train)
            yield arm, Old(seed, tasks, train, first, second, *seen[key])


def play_actors(old, actors, task, episodes):
    """The performance of several actors on one task, a list of floats, see measure.py.

    actors: parameters as of Net.params, all of the seed of `old`. They play the same episodes side by side.
    """
    agent, method = old.second
    stacked = {name: torch.cat([params[name] for params in actors]) for name in actors[0]}
    net = type(agent.actor)("actor", stacked)
    many = Agent(net, None, {}, agent.temperature, agent.updates.expand(len(actors), -1), agent.tasks, agent.head)
    return measure(many, task, [old.seed] * len(actors), episodes, old.train, method=method)
