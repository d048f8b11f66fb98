"""Rollouts of whole games, which end when they end: points, and hidden activations at moments spread evenly over the games.

P population (seed), C parallel networks, E games, N moments, W units of a layer. The policy is played as it is learned: an
action is drawn from it, the same chance in every rollout of a seed. Its most probable action alone often stands still.
"""
from __future__ import annotations

from dataclasses import dataclass

import torch

from nbsp_lib.core.frame_replay import FrameStack
from nbsp_lib.core.method import Method
from nbsp_lib.core.neurons import activation
from nbsp_lib.core.rng import generators
from nbsp_lib.training.playing import environments, silenced, tell_task


@dataclass(frozen=True)
class GameRollout:
    """points [P, E] of each game; steps [P, E] it lasted; hidden: {network: [P, C, N, W] for each layer}, or None; episode
    [P, N]: the game of each moment, never falling. The counterpart of rollout.EpisodeRollout."""
    points: torch.Tensor
    steps: torch.Tensor
    hidden: dict | None
    episode: torch.Tensor | None

    def goal(self, metric="return"):
        """The goal metric [P, N] of each moment: the return of its game."""
        return self.points.gather(1, self.episode)

    def outcome(self):
        """Success at any step and at the last, which games do not have (NaN), and the mean return: three tensors [P]."""
        nothing = torch.full((len(self.points),), torch.nan)
        return nothing, nothing, self.points.mean(1)

    @property
    def half(self):
        """How many of the moments of a single seed lie in the first half of the games."""
        return int((self.episode[0] < self.points.shape[1] // 2).sum())


@torch.no_grad()
def rollout(agent, task, seeds, episodes, train, hidden=False, silence=None, method=None, goals=None, make=None):
    """Play `episodes` games at once, numbers `goals` (by default 0 …) of each seed -> Games. The counterpart of evaluate.rollout.

    train: config.AtariTrain. All games are stepped until the last is over, one that is over stands still. Moments are taken
    every few steps, and of those `train.moments` evenly spaced ones in the order of games and time.
    """
    method, P, device = method or Method(), len(seeds), agent.updates.device
    tell_task(method, agent, task)
    env = environments(make, task, tuple(seeds), episodes, train.episode)
    actor = silenced(agent.actor, silence["actor"]) if silence else agent.actor.params
    gens = [generators(seed)["evaluation"] for seed in seeds]
    move = lambda array: torch.from_numpy(array).to(device)
    show = FrameStack() if len(env.obs_shape) == 2 else lambda now, began: now
    alive, points, steps = torch.ones(P, episodes, dtype=torch.bool), torch.zeros(P, episodes), torch.zeros(P, episodes)
    longest = -(-train.frames // env.protocol.skip)
    every, kept, times = max(1, longest * episodes // (4 * train.moments)), [], []
    obs = show(move(env.reset(torch.tensor(range(episodes) if goals is None else goals).expand(P, -1).numpy())), None)
    for t in range(longest):
        noise = torch.stack([torch.randn(episodes, agent.head.act_dim, generator=g) for g in gens]).to(device)
        action, _, activity = agent.head.act(method, agent.actor, actor, obs, noise)            # [P, E, 1]
        if hidden and t % every == 0:
            values = agent.head.q_values(method, agent.critic, agent.critic.params, obs, action)
            layers = {"actor": activity, "critic": values[1]}
            kept.append({name: [activation(h) for h in hs] for name, hs in layers.items()})     # [P, C, E, W]
            times.append(alive.clone())
        stepped = env.step(action[..., 0].cpu().numpy(), alive.numpy())
        points += torch.from_numpy(stepped.score) * alive
        steps += alive
        alive = alive & ~torch.from_numpy(stepped.began)
        if not alive.any():
            break
        obs = show(move(stepped.observation), move(stepped.began))
    return GameRollout(points, steps, *(spread(kept, torch.stack(times, 2), train.moments) if hidden else (None, None)))


def spread(kept, alive, moments):
    """Of the activations kept at K times, `moments` evenly spaced ones of each seed, in the order of games and time.

    kept: a list of {network: [P, C, E, W] for each layer}; alive [P, E, K]: whether a game was on -> hidden as in Games, and
    the game of each moment [P, N]."""
    P, _, K = alive.shape
    picked = []
    for p in range(P):
        places = alive[p].flatten().nonzero().flatten()                                         # e · K + k
        picked.append(places[torch.arange(moments) * len(places) // moments])
    picked = torch.stack(picked)                                                                # [P, N]
    game, time = picked // K, picked % K
    seeds, device = torch.arange(P)[:, None], kept[0]["actor"][0].device
    # advanced indices around a slice: [P, N, C, W] of the stack [P, K, C, E, W]
    take = lambda name, i: torch.stack([one[name][i] for one in kept], 1)[seeds.to(device), time.to(device), :, game.to(device)]
    return {name: [take(name, i).transpose(1, 2) for i in range(len(layers))] for name, layers in kept[0].items()}, game
