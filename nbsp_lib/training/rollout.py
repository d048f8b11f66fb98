"""Rollouts of a policy, and what is measured on them: success, return, hidden activations. `play` decides between episodes and
games.

P population (seed), C parallel networks, E episodes, T steps of an episode, W width.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import torch

from nbsp_lib.core.budgets import at_position, longest
from nbsp_lib.core.method import Method
from nbsp_lib.envs.benchmark import benchmark
from nbsp_lib.envs.metaworld import MetaWorld
from nbsp_lib.training import games
from nbsp_lib.training.playing import environments, silenced, tell_task

WAVE = 10  # episodes stepped at once, at most: the size of a batch may change the last bit of a product
ROUND = 3  # evaluations in a row that play every episode once between them


def episodes_of(train, number):
    """Returns the episodes that evaluation `number` of a position plays: those e < train.episodes with e ≡ number modulo 3.

    So any three in a row play each once; of Meta-World an episode is a goal. train: TrainSettings, or the dict in a run.json;
    runs before 2026-11-27 played the first `episodes`, and the first `final_episodes` in the last three evaluations.
    """
    train = train if isinstance(train, dict) else vars(train)
    if "final_episodes" in train:
        return list(range(train["final_episodes" if number > train["evaluations"] - 3 else "episodes"]))
    return list(range(number % ROUND, train["episodes"], ROUND))


def evaluations_of(train, position):
    """Returns the number of evaluations of a position with its full budget: `evaluations` in the longest, as dense in others."""
    steps = at_position(train.steps, position)
    return max(ROUND, round(train.evaluations * steps / longest(train.steps)))


def milestones(rounds, evaluations):
    """Returns {round: number of the evaluation that is due after it}: evenly spread, the last at the end."""
    return {-(-j * rounds // evaluations): j for j in range(1, evaluations + 1)}


def schedule(train, position):
    """Returns the `milestones` of a position (from 0) with its full budget."""
    return milestones(
        at_position(train.steps, position) // (train.envs * train.episode), evaluations_of(train, position)
    )


def waves(episodes):
    """Returns (number, size) of the waves in which so many episodes are played, all of one size, at most WAVE."""
    count = -(-episodes // WAVE)
    return count, -(-episodes // count)


@dataclass(frozen=True)
class EpisodeRollout:
    """Holds success and reward [P, E, T]; hidden: {network: [P, C, E·T, W] for each layer}, index e·T + t, or None."""

    success: torch.Tensor
    reward: torch.Tensor
    hidden: dict | None

    def goal(self, metric):
        """Returns the goal metric [P, E·T] of each moment: "success" or "reward"."""
        return (self.success if metric == "success" else self.reward).flatten(1)

    def outcome(self):
        """Returns success at any step, success at the last step, and mean return: three tensors [P]."""
        return self.success.amax(2).mean(1), self.success[:, :, -1].mean(1), self.reward.sum(2).mean(1)

    @property
    def half(self):
        """Number of moments of one seed in the first half of the episodes."""
        return self.success.shape[1] // 2 * self.success.shape[2]

    @property
    def episode(self):
        """Episode of each moment, [P, E·T]."""
        P, E, T = self.success.shape
        return torch.arange(E).repeat_interleave(T).repeat(P, 1)


@torch.no_grad()
def rollout(agent, task, seeds, episodes, episode, hidden=False, silence=None, method=None, goals=None, make=MetaWorld):
    """Plays `episodes` episodes of `episode` steps with the mean action, not stopped at success -> EpisodeRollout.

    Episode e plays goals[e], by default goal e modulo 50. The critics see the executed actions. silence: {"actor": …} as in
    `silenced`. make: MetaWorld or an env_pool.Pool. Independent of earlier rollouts; no random number is drawn.
    """
    method = method or Method()
    goals = list(range(episodes)) if goals is None else list(goals)
    tell_task(method, agent, task)
    P, (_, wave), device = len(seeds), waves(episodes), agent.updates.device
    env = environments(make, task, tuple(seeds), wave, episode)
    actor = silenced(agent.actor, silence["actor"]) if silence else agent.actor.params
    success, reward, kept = torch.zeros(P, episodes, episode), torch.zeros(P, episodes, episode), None
    for first in range(0, episodes, wave):
        last = min(first + wave, episodes)
        # An incomplete last wave is filled up, so that every batch has one size; what is filled in is not kept.
        played = torch.tensor([goals[e % len(goals)] % env.goals for e in range(first, first + wave)]).expand(P, -1)
        obs = torch.from_numpy(env.reset(played.numpy())).to(device)  # [P, wave, obs]
        for t in range(episode):
            action, _, activity = agent.head.act(method, agent.actor, actor, obs, None)  # [P, wave, A]
            if hidden:
                values = agent.head.q_values(method, agent.critic, agent.critic.params, obs, action)
                layers = {"actor": activity, "critic": values[1]}
                kept = kept or {
                    name: [h.new_empty(*h.shape[:2], episodes, episode, h.shape[3]) for h in hs]
                    for name, hs in layers.items()
                }
                for name, hs in layers.items():
                    for keep, h in zip(kept[name], hs):
                        keep[:, :, first:last, t] = h[:, :, : last - first]
            next_obs, r, s = env.step(torch.nan_to_num(action).cpu().numpy())
            reward[:, first:last, t] = torch.from_numpy(r)[:, : last - first]
            success[:, first:last, t] = torch.from_numpy(s)[:, : last - first]
            obs = torch.from_numpy(next_obs).to(device)
    flat = kept and {name: [h.flatten(2, 3) for h in hs] for name, hs in kept.items()}
    return EpisodeRollout(success, reward, flat)


def play(agent, task, seeds, episodes, train, make=None, **options):
    """Plays `episodes` episodes of a task under the settings `train` -> EpisodeRollout, or games.GameRollout.

    train: TrainSettings, or the dict in run.json; options: hidden, silence, method; make: environments, by default those of
    the benchmark.
    """
    train = SimpleNamespace(**train) if isinstance(train, dict) else train
    kind = benchmark((task,), train)
    make = make or kind.make
    if kind.whole_games:
        return games.rollout(agent, task, seeds, episodes, train, make=make, **options)
    return rollout(agent, task, seeds, episodes, train.episode, make=make, **options)
