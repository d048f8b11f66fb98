"""What an environment's step becomes in the replay: of episodes that begin and end together, or of games that end when they end.

P population (seed), E environments of a seed. A collector's first(env, starts) gives what the first action of a round is
chosen from, keep(…) stores a step and gives what the next one is chosen from.
"""
from __future__ import annotations

import torch

from nbsp_lib.core.budgets import longest
from nbsp_lib.core.frame_replay import Frames
from nbsp_lib.core.replay import Replay


def make_replay(kind, train, tasks, P, columns, device="cpu"):
    """The replay of P seeds on `tasks` distinct tasks: of numbers, or of pictures. kind: Benchmark, columns: the method's."""
    rows = longest(train.steps)
    part = int(train.store * rows)
    if isinstance(kind.obs, tuple):
        return Frames(P, rows, tasks, part, train.envs, device, columns, kind.obs[1:], kind.obs[0])
    return Replay(P, rows, tasks, part, kind.obs, kind.head.action_width, device, columns)


class EpisodeCollector:
    """One episode in every environment is a round. Its end is the limit on steps, truncation: no row is `done`."""

    def __init__(self, replay, device):
        self.replay, self.device = replay, device

    def first(self, env, starts):
        """Observation [P, E, obs_dim] of new episodes. starts() -> [P, E], drawn where it is needed."""
        return torch.from_numpy(env.reset(starts())).to(self.device)

    def ask(self, env, action):
        env.step_async(torch.nan_to_num(action).cpu().numpy())

    def keep(self, obs, action, stepped, more):
        """Store what `action` made of `obs`; stepped: what step_wait gave; more: the method's columns."""
        next_obs, reward, _ = stepped
        next_obs, reward = torch.from_numpy(next_obs).to(self.device), torch.from_numpy(reward).to(self.device)
        self.replay.add(obs, action, reward, next_obs, torch.zeros_like(reward), **more)
        return next_obs

    def states(self):
        """What must be saved of the environments at the end of a round, bytes of each seed: here nothing, they begin anew."""
        return None

    def forget(self):
        """The next position has environments of its own."""


class GameCollector:
    """A round is a number of steps, and games go on from round to round until a position ends."""

    def __init__(self, replay, device):
        self.replay, self.device = replay, device
        self.env = self.obs = self.resume = None            # resume: states to go on from, when the environments are made

    def first(self, env, starts):
        """Observation [P, E, …] where the games stand: new games in new environments."""
        if env is not self.env:
            now = env.restore(self.resume) if self.resume else env.reset(starts())
            self.env, self.resume, self.obs = env, None, self.shown(now, env.fresh)
        return self.obs

    def shown(self, now, began):
        """What is acted on: the observation, or a stack of pictures."""
        now = torch.from_numpy(now).to(self.device)
        return self.replay.see(now, torch.from_numpy(began).to(self.device)) if isinstance(self.replay, Frames) else now

    def ask(self, env, action):
        env.step_async(action[..., 0].cpu().numpy())

    def keep(self, obs, action, stepped, more):
        move = lambda array: torch.from_numpy(array).to(self.device)
        reward, done, last = move(stepped.reward), move(stepped.terminated).float(), move(stepped.last)
        if isinstance(self.replay, Frames):
            self.replay.add(action, reward, last, done, move(stepped.began & ~stepped.terminated).float(), **more)
        else:
            self.replay.add(obs, action.float(), reward, last, done, **more)
        self.obs = self.shown(stepped.observation, stepped.began)
        return self.obs

    def states(self):
        return self.env.state() if self.env else self.resume

    def forget(self):
        self.env = self.obs = self.resume = None
