"""Soft actor-critic for one seed, written from its formulas in the ordinary way: the oracle for the library.

Sources: Haarnoja et al. 2018, "Soft Actor-Critic Algorithms and Applications" (arXiv 1812.05905), with the log-std
squash and the automatic temperature of CleanRL's sac_continuous_action.py. Nothing is shared with nbsp_lib, on purpose.
Axes: B batch. Layout of exchanged weights: critics stacked in front, `x @ w + b`, so w is the transpose of nn.Linear's.
"""

from __future__ import annotations

import copy
import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

LOG_STD_MIN, LOG_STD_MAX = -5.0, 2.0


def mlp(sizes):
    """A network with ReLU between its linear layers and none after the last one; sizes = (inputs, hidden…, outputs)."""
    layers = []
    for i, o in pairwise(sizes):
        layers += [nn.Linear(i, o), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def linears(net):
    return [layer for layer in net if isinstance(layer, nn.Linear)]


def put(net, weights):
    """Copies weights {w0 [in, out], b0 [1, out], …} into `net`, in place: an optimiser keeps its parameters."""
    with torch.no_grad():
        for i, layer in enumerate(linears(net)):
            layer.weight.copy_(weights[f"w{i}"].T)
            layer.bias.copy_(weights[f"b{i}"].reshape(-1))


def take(net):
    """Copies of the weights of `net` as {w0 [in, out], b0 [1, out], …}."""
    out = {}
    for i, layer in enumerate(linears(net)):
        out[f"w{i}"] = layer.weight.detach().T.clone()
        out[f"b{i}"] = layer.bias.detach()[None].clone()
    return out


class PlainSAC:
    """Two critics, two targets, a tanh-Gaussian actor and a learned temperature, each network with its own Adam.

    layers = widths of the hidden layers; gamma = discount; tau = share of the critic that the target takes per update.
    """

    def __init__(self, obs_dim, act_dim, layers, actor_lr, critic_lr, alpha_lr, gamma, tau):
        self.gamma, self.tau, self.target_entropy = gamma, tau, -float(act_dim)
        self.actor = mlp((obs_dim, *layers, 2 * act_dim))
        self.q1, self.q2 = (mlp((obs_dim + act_dim, *layers, 1)) for _ in range(2))
        self.target1, self.target2 = copy.deepcopy(self.q1), copy.deepcopy(self.q2)
        self.log_alpha = torch.zeros(1, requires_grad=True)
        self.actor_adam = torch.optim.Adam(self.actor.parameters(), lr=actor_lr)
        self.critic_adam = torch.optim.Adam([*self.q1.parameters(), *self.q2.parameters()], lr=critic_lr)
        self.alpha_adam = torch.optim.Adam([self.log_alpha], lr=alpha_lr)

    def load(self, actor, critic):
        """Takes over weights: actor {w0 [in, out], b0 [1, out], …}, critic {w0 [2, in, out], b0 [2, 1, out], …}.

        The targets become equal to the critics; the optimisers' moments and the temperature are left as they are.
        """
        put(self.actor, actor)
        for i, (q, target) in enumerate(((self.q1, self.target1), (self.q2, self.target2))):
            put(q, {name: value[i] for name, value in critic.items()})
            target.load_state_dict(q.state_dict())

    def export(self):
        """{"actor": …, "critic": …, "target": …} as copies in the layout of `load`."""
        stack = lambda a, b: {name: torch.stack((value, take(b)[name])) for name, value in take(a).items()}
        critic, target = stack(self.q1, self.q2), stack(self.target1, self.target2)
        return {"actor": take(self.actor), "critic": critic, "target": target}

    def sample(self, obs, noise):
        """Action [B, act] and its log-probability [B, 1]: obs [B, obs], noise [B, act] standard normal.

        log pi(a) = sum over dimensions of log N(u; mean, std) - log(1 - tanh(u)^2), and log(1 - tanh(u)^2) =
        2 (log 2 - u - softplus(-2u)), which does not lose digits for large |u| (arXiv 1812.05905, appendix C).
        """
        mean, raw = self.actor(obs).chunk(2, dim=-1)  # [B, act] each
        log_std = LOG_STD_MIN + 0.5 * (LOG_STD_MAX - LOG_STD_MIN) * (torch.tanh(raw) + 1)
        u = mean + log_std.exp() * noise  # [B, act]
        log_normal = -0.5 * noise**2 - log_std - 0.5 * math.log(2 * math.pi)  # (u - mean) / std is the noise
        log_slope = 2 * (math.log(2) - u - F.softplus(-2 * u))
        return torch.tanh(u), (log_normal - log_slope).sum(-1, keepdim=True)  # [B, act], [B, 1]

    def update(self, batch):
        """One update of everything; returns the losses and the temperature used, as floats.

        batch: obs, next_obs [B, obs], action, noise_next, noise_actor [B, act], reward, done [B, 1]. Order: critics,
        actor (with the updated critics), temperature (with the log-probability of the actor's loss), targets.
        """
        alpha = self.log_alpha.detach().exp()
        obs, next_obs, action = batch["obs"], batch["next_obs"], batch["action"]

        with torch.no_grad():
            next_action, next_log_pi = self.sample(next_obs, batch["noise_next"])
            next_input = torch.cat((next_obs, next_action), -1)
            next_q = torch.minimum(self.target1(next_input), self.target2(next_input)) - alpha * next_log_pi
            y = batch["reward"] + self.gamma * (1 - batch["done"]) * next_q  # [B, 1]
        here = torch.cat((obs, action), -1)
        critic_loss = F.mse_loss(self.q1(here), y) + F.mse_loss(self.q2(here), y)
        self.critic_adam.zero_grad()
        critic_loss.backward()
        self.critic_adam.step()

        new_action, log_pi = self.sample(obs, batch["noise_actor"])
        new_input = torch.cat((obs, new_action), -1)
        actor_loss = (alpha * log_pi - torch.minimum(self.q1(new_input), self.q2(new_input))).mean()
        self.actor_adam.zero_grad()
        actor_loss.backward()  # reaches the critics too, whose gradients are cleared above
        self.actor_adam.step()

        alpha_loss = (-self.log_alpha.exp() * (log_pi.detach() + self.target_entropy)).mean()
        self.alpha_adam.zero_grad()
        alpha_loss.backward()
        self.alpha_adam.step()

        with torch.no_grad():
            for q, target in ((self.q1, self.target1), (self.q2, self.target2)):
                for new, old in zip(q.parameters(), target.parameters(), strict=True):
                    old.mul_(1 - self.tau).add_(self.tau * new)
        losses = {"critic_loss": critic_loss, "actor_loss": actor_loss, "alpha_loss": alpha_loss, "alpha": alpha}
        return {name: value.item() for name, value in losses.items()}
