"""Turns an environment's step into a replay row: for episodes that begin and end together, or for games of any length.

P population (seed), E environments of a seed. A collector's first(env, starts) returns the observation for the first action of
a round; keep(…) stores a step and returns the observation for the next action.
"""

from __future__ import annotations

import torch

from nbsp_lib.core.budgets import longest
from nbsp_lib.core.frame_replay import Frames
from nbsp_lib.core.replay import Replay


def make_replay(kind, train, tasks, P, columns, device="cpu"):
    """Makes the replay of P seeds on `tasks` distinct tasks: of vectors, or of pictures. kind: Benchmark, columns: the
    method's."""
    rows = longest(train.steps)
    part = int(train.store * rows)
    if isinstance(kind.obs, tuple):
        return Frames(P, rows, tasks, part, train.envs, device, columns, kind.obs[1:], kind.obs[0])
    return Replay(P, rows, tasks, part, kind.obs, kind.head.action_width, device, columns)


class EpisodeCollector:
    """Plays one episode in every environment as a round. Its end is a truncation by the limit on steps: no row is `done`."""

    def __init__(self, replay, device):
        self.replay, self.device = replay, device

    def first(self, env, starts):
        """Begins episodes -> observation [P, E, obs_dim]. starts() -> [P, E], drawn where it is needed."""
        return torch.from_numpy(env.reset(starts())).to(self.device)

    def ask(self, env, action):
        env.step_async(torch.nan_to_num(action).cpu().numpy())

    def keep(self, obs, action, stepped, more):
        """Stores what `action` led to -> next obs. stepped: what step_wait returned; more: the method's columns."""
        next_obs, reward, _ = stepped
        next_obs, reward = torch.from_numpy(next_obs).to(self.device), torch.from_numpy(reward).to(self.device)
        self.replay.add(obs, action, reward, next_obs, torch.zeros_like(reward), **more)
        return next_obs

    def states(self):
        """Returns what must be saved of the environments between rounds, bytes of each seed: nothing, they begin anew."""
        return None

    def forget(self):
        """Forgets the environments at the end of a position; here there is nothing to forget."""


class GameCollector:
    """Plays a number of steps as a round; games go on from round to round until a position ends."""

    def __init__(self, replay, device):
        self.replay, self.device = replay, device
        self.env = self.obs = self.resume = None  # resume: states to go on from, when the environments are made

    def first(self, env, starts):
        """Returns the current observation [P, E, …]; new environments begin new games."""
        if env is not self.env:
            now = env.restore(self.resume) if self.resume else env.reset(starts())
            self.env, self.resume, self.obs = env, None, self.shown(now, env.fresh)
        return self.obs

    def shown(self, now, began):
        """Returns the observation to act on: the current one, or a stack of pictures."""
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
