"""The plain way: textbook SAC for one seed in eager torch, in the manner of CleanRL's sac_continuous_action, without its logging.

Two critics as two modules, called one after the other; torch.optim.Adam as it comes; a learned temperature; the targets
moved by a loop over parameters; a replay of numpy arrays, sampled for every update and copied to torch. Delayed actor
updates, two at every second update, as there. Nothing is shared with nbsp_lib.
"""

from __future__ import annotations

import functools

import gymnasium
import metaworld
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

LOG_STD_MIN, LOG_STD_MAX = -5.0, 2.0
ACTOR_EVERY = 2  # updates; then as many actor updates at once


class Critic(nn.Module):
    def __init__(self, obs_dim, act_dim, width):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(obs_dim + act_dim, width), nn.Linear(width, width), nn.Linear(width, 1)

    def forward(self, obs, action):
        x = F.relu(self.fc1(torch.cat([obs, action], 1)))
        return self.fc3(F.relu(self.fc2(x)))


class Actor(nn.Module):
    def __init__(self, obs_dim, act_dim, width):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(obs_dim, width), nn.Linear(width, width)
        self.mean, self.log_std = nn.Linear(width, act_dim), nn.Linear(width, act_dim)
        self.register_buffer("scale", torch.ones(act_dim))
        self.register_buffer("shift", torch.zeros(act_dim))

    def get_action(self, obs):
        """Sampled actions [B, A] and their log-probabilities [B, 1]."""
        x = F.relu(self.fc2(F.relu(self.fc1(obs))))
        log_std = LOG_STD_MIN + 0.5 * (LOG_STD_MAX - LOG_STD_MIN) * (torch.tanh(self.log_std(x)) + 1)
        normal = torch.distributions.Normal(self.mean(x), log_std.exp())
        raw = normal.rsample()
        squashed = torch.tanh(raw)
        log_prob = normal.log_prob(raw) - torch.log(self.scale * (1 - squashed.pow(2)) + 1e-6)
        return squashed * self.scale + self.shift, log_prob.sum(1, keepdim=True)


class Buffer:
    """A ring of `size` transitions in numpy arrays, one array a column."""

    def __init__(self, size, obs_dim, act_dim, device):
        zeros = lambda width: np.zeros((size, width), np.float32)
        self.columns = [zeros(obs_dim), zeros(obs_dim), zeros(act_dim), zeros(1), zeros(1)]
        self.size, self.added, self.device = size, 0, device

    def add(self, obs, next_obs, action, reward, done):
        for column, value in zip(self.columns, (obs, next_obs, action, reward, done)):
            column[self.added % self.size] = value
        self.added += 1

    def sample(self, batch):
        rows = np.random.randint(0, min(self.added, self.size), batch)
        return [torch.tensor(column[rows]).to(self.device) for column in self.columns]


class PlainSAC:
    """Agent, buffer and one update; learning rates, discount and target rate as in CleanRL."""

    def __init__(self, obs_dim, act_dim, width, batch, rows, device="cpu"):
        make = functools.partial(Critic, obs_dim, act_dim, width)
        self.actor = Actor(obs_dim, act_dim, width).to(device)
        self.qf1, self.qf2, self.qf1_target, self.qf2_target = (make().to(device) for _ in range(4))
        self.qf1_target.load_state_dict(self.qf1.state_dict())
        self.qf2_target.load_state_dict(self.qf2.state_dict())
        self.q_optimizer = torch.optim.Adam([*self.qf1.parameters(), *self.qf2.parameters()], lr=1e-3)
        self.actor_optimizer = torch.optim.Adam(self.actor.parameters(), lr=3e-4)
        self.target_entropy, self.log_alpha = -float(act_dim), torch.zeros(1, requires_grad=True, device=device)
        self.alpha, self.a_optimizer = 1.0, torch.optim.Adam([self.log_alpha], lr=1e-3)
        self.buffer, self.batch, self.updates = Buffer(rows, obs_dim, act_dim, device), batch, 0

    def update(self, gamma=0.99, tau=0.005):
        """One update from a fresh sample; the actor's and the temperature's part is made up for at every second one."""
        obs, next_obs, action, reward, done = self.buffer.sample(self.batch)
        with torch.no_grad():
            next_action, next_log_prob = self.actor.get_action(next_obs)
            next_q = torch.min(self.qf1_target(next_obs, next_action), self.qf2_target(next_obs, next_action))
            target = reward + (1 - done) * gamma * (next_q - self.alpha * next_log_prob)
        q_loss = F.mse_loss(self.qf1(obs, action), target) + F.mse_loss(self.qf2(obs, action), target)
        self.q_optimizer.zero_grad()
        q_loss.backward()
        self.q_optimizer.step()
        self.updates += 1
        if self.updates % ACTOR_EVERY == 0:
            for _ in range(ACTOR_EVERY):
                self.update_actor(obs)
        for net, slow_net in ((self.qf1, self.qf1_target), (self.qf2, self.qf2_target)):
            for param, slow in zip(net.parameters(), slow_net.parameters()):
                slow.data.copy_(tau * param.data + (1 - tau) * slow.data)

    def update_actor(self, obs):
        new_action, log_prob = self.actor.get_action(obs)
        q = torch.min(self.qf1(obs, new_action), self.qf2(obs, new_action))
        actor_loss = (self.alpha * log_prob - q).mean()
        self.actor_optimizer.zero_grad()
        actor_loss.backward()
        self.actor_optimizer.step()
        with torch.no_grad():
            _, log_prob = self.actor.get_action(obs)
        alpha_loss = (-self.log_alpha.exp() * (log_prob + self.target_entropy)).mean()
        self.a_optimizer.zero_grad()
        alpha_loss.backward()
        self.a_optimizer.step()
        self.alpha = self.log_alpha.exp().item()


class Script:
    """The whole script on a Meta-World task, its loop cut into pieces: act, step, store, and an update every `every` steps."""

    def __init__(self, task, width, batch, every, rows, device="cpu"):
        one = functools.partial(metaworld.make_mt_envs, f"{task}-v3", seed=0)
        self.envs = gymnasium.vector.SyncVectorEnv([one], autoreset_mode=gymnasium.vector.AutoresetMode.SAME_STEP)
        self.obs, _ = self.envs.reset(seed=0)
        self.agent = PlainSAC(self.obs.shape[1], self.envs.single_action_space.shape[0], width, batch, rows, device)
        self.every, self.steps = every, 0

    def go(self, steps):
        """So many more environment steps, with their updates."""
        agent = self.agent
        for _ in range(steps):
            action, _ = agent.actor.get_action(torch.Tensor(self.obs).to(agent.buffer.device))
            action = action.detach().cpu().numpy()
            next_obs, reward, terminated, truncated, infos = self.envs.step(action)
            last = next_obs.copy()
            if truncated[0]:
                last[0] = infos["final_obs"][0]
            agent.buffer.add(self.obs, last, action, reward, terminated)
            self.obs, self.steps = next_obs, self.steps + 1
            if self.steps % self.every == 0:
                agent.update()
