"""Rollouts of whole games of any length: points, and hidden activations at moments spread evenly over the games.

P population (seed), C parallel networks, E games, N moments, W units of a layer. The policy is played as it is learned: an
action is drawn from it, with the same random numbers in every rollout of a seed. The greedy policy often gets stuck.
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
    """Holds points [P, E] of each game and steps [P, E] it lasted; the counterpart of rollout.EpisodeRollout.

    hidden: {network: [P, C, N, W] for each layer}, or None; episode [P, N]: the game of each moment, never falling.
    """

    points: torch.Tensor
    steps: torch.Tensor
    hidden: dict | None
    episode: torch.Tensor | None

    def goal(self, metric="return"):
        """Returns the goal metric [P, N] of each moment: the return of its game."""
        return self.points.gather(1, self.episode)

    def outcome(self):
        """Returns success at any step and at the last, which games do not have (NaN), and the mean return: three tensors [P]."""
        nothing = torch.full((len(self.points),), torch.nan)
        return nothing, nothing, self.points.mean(1)

    @property
    def half(self):
        """Number of moments of one seed in the first half of the games."""
        return int((self.episode[0] < self.points.shape[1] // 2).sum())


@torch.no_grad()
def rollout(agent, task, seeds, episodes, train, hidden=False, silence=None, method=None, goals=None, make=None):
    """Plays `episodes` games at once, numbers `goals` (by default 0 …) of each seed -> GameRollout. The counterpart of
    rollout.rollout.

    train: settings.AtariTrain. All games are stepped until the last is over; a finished game is not stepped. Moments are
    taken every few steps; `train.moments` evenly spaced ones of them are kept, in the order of games and time.
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
        action, _, activity = agent.head.act(method, agent.actor, actor, obs, noise)  # [P, E, 1]
        if hidden and t % every == 0:
            values = agent.head.q_values(method, agent.critic, agent.critic.params, obs, action)
            layers = {"actor": activity, "critic": values[1]}
            kept.append({name: [activation(h) for h in hs] for name, hs in layers.items()})  # [P, C, E, W]
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
    """Picks `moments` evenly spaced ones of the activations at K times for each seed, in the order of games and time.

    kept: a list of {network: [P, C, E, W] for each layer}; alive [P, E, K]: whether a game was on -> hidden as in GameRollout,
    and the game of each moment [P, N].
    """
    P, _, K = alive.shape
    picked = []
    for p in range(P):
        places = alive[p].flatten().nonzero().flatten()  # e · K + k
        picked.append(places[torch.arange(moments) * len(places) // moments])
    picked = torch.stack(picked)  # [P, N]
    game, time = picked // K, picked % K
    seeds, device = torch.arange(P)[:, None], kept[0]["actor"][0].device
    # advanced indices around a slice: [P, N, C, W] of the stack [P, K, C, E, W]
    take = lambda name, i: torch.stack([one[name][i] for one in kept], 1)[
        seeds.to(device), time.to(device), :, game.to(device)
    ]
    return {name: [take(name, i).transpose(1, 2) for i in range(len(layers))] for name, layers in kept[0].items()}, game
