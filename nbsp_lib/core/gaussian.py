"""Soft actor-critic for continuous actions: what differs from sac_discrete.py, as the head of an agent.

P population, C critics (2), B batch, A action dimensions. A policy is a Gaussian squashed by tanh.
"""
from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

LOG_STD_MIN, LOG_STD_MAX = -5.0, 2.0        # CleanRL


def policy(method, net, params, obs, probe=None):
    """Mean and log standard deviation [P, B, A] of the Gaussian before tanh, and hidden activations. obs [P, B, obs_dim]."""
    out, hidden = method.forward(net, params, obs[:, None], probe)
    mean, raw = out[:, 0].chunk(2, -1)
    return mean, LOG_STD_MIN + 0.5 * (LOG_STD_MAX - LOG_STD_MIN) * (torch.tanh(raw) + 1), hidden


def act(method, net, params, obs, noise, probe=None):
    """Action [P, B, A] in (−1, 1), its log-probability [P, B, 1], hidden activations.

    obs [P, B, obs_dim]; noise [P, B, A] standard normal, or None for the mean action. u = μ + σ·noise, a = tanh(u), and
    log π = log N(u) − Σ 2(log 2 − u − softplus(−2u)): the change of variables in the form that cannot overflow.
    """
    mean, log_std, hidden = policy(method, net, params, obs, probe)
    if noise is None:
        return torch.tanh(mean), None, hidden
    u = mean + log_std.exp() * noise
    # F.softplus treats whole vectors and the elements left over differently: a last bit would depend on the seeds around
    softplus = F.relu(-2 * u) + torch.log1p(torch.exp(-2 * u.abs()))
    log_p = (-0.5 * noise ** 2 - log_std - 0.5 * math.log(2 * math.pi) - 2 * (math.log(2) - u - softplus)).sum(-1, keepdim=True)
    return torch.tanh(u), log_p, hidden


def q_values(method, net, params, obs, action, probe=None):
    """Q [P, C, B, 1] of both critics, and their hidden activations, lists of [P, C, B, W]."""
    return method.forward(net, params, torch.cat([obs, action], -1)[:, None], probe)


def critic_loss(agent, batch, noise, method, settings):
    """Loss of both critics: the squared distance to y = r + γ (1 − done) (min_c Q̄_c(s', a') − α log π(a'|s')), as `gradients`
    takes it, with the hidden activations as aux. noise [P, B, A] for a'."""
    next_action, next_log_p, _ = act(method, agent.actor, agent.actor.params, batch["next_obs"], noise)
    next_q = q_values(method, agent.critic, agent.target, batch["next_obs"], next_action)[0].amin(1)
    y = batch["reward"] + settings.gamma * (1 - batch["done"]) * (next_q - agent.alpha * next_log_p)      # [P, B, 1]

    def loss(params, probe):
        q, hidden = q_values(method, agent.critic, params, batch["obs"], batch["action"], probe)
        return (q - y[:, None]).pow(2).mean((2, 3)).sum(1), hidden

    return loss


def actor_loss(agent, batch, noise, method):
    """Loss of the actor: α log π(a|s) − min_c Q_c(s, a), as `gradients` takes it. aux: how far the entropy, estimated by
    −log π, is above its target −A, [P, 1, 1], and the hidden activations."""
    def loss(params, probe):
        action, log_p, hidden = act(method, agent.actor, params, batch["obs"], noise, probe)
        q = q_values(method, agent.critic, agent.critic.params, batch["obs"], action)[0].amin(1)
        surplus = action.shape[-1] - log_p.detach().mean((1, 2), keepdim=True)                         # [P, 1, 1]
        return (agent.alpha * log_p - q).mean((1, 2)), (surplus, hidden)

    return loss


@dataclass(frozen=True)
class Gaussian:
    """The head for continuous actions, and what a head must provide: all names below, with these arguments.

    act_dim: number of action dimensions A; action_width: columns of an action in the replay; noisy: whether an update draws;
    log_alpha: log of the temperature that a position begins with.
    """
    act_dim: int
    noisy, log_alpha = True, 0.0
    act, q_values, critic_loss, actor_loss = map(staticmethod, (act, q_values, critic_loss, actor_loss))

    @property
    def action_width(self):
        return self.act_dim

    def sizes(self, obs, layers):
        """[in, *layers, out] of the actor and of a critic."""
        return [obs, *layers, 2 * self.act_dim], [obs + self.act_dim, *layers, 1]

    def explore(self, u):
        """Uniform actions from uniform numbers in [0, 1), [..., A]."""
        return u.mul_(2).sub_(1)

    def inputs(self, batch):
        """{network: its input [P, 1, B, in]} on a batch: the actor sees obs, a critic (obs, action)."""
        return {"actor": batch["obs"][:, None], "critic": torch.cat([batch["obs"], batch["action"]], -1)[:, None]}

    @property
    def recorded(self):
        """{column: width} that describes the policy in a state: its Gaussian before tanh."""
        return {"policy_mean": self.act_dim, "policy_log_std": self.act_dim}

    def record(self, method, params, net, obs):
        """The policy at obs [P, B, …] in the columns of `recorded`, [P, B, A] each."""
        return dict(zip(self.recorded, policy(method, net, params, obs)))

    def divergence(self, old, new):
        """KL(old ‖ new), [P, B], of two policies as `record` gives them, before tanh, which changes no KL."""
        (mean, log_std), (other, other_log_std) = ([one[k] for k in self.recorded] for one in (old, new))
        square = (2 * log_std).exp() + (mean - other).pow(2)
        return (other_log_std - log_std + 0.5 * square * (-2 * other_log_std).exp() - 0.5).sum(-1)

    def fisher(self, name, out, batch):
        """What methods.ewc needs of a network's raw output [P, C, B, K]: (outputs, c, last). The Fisher is
        E Σ_k c_k (∂outputs_k)², of which `last` is Σ_k c_k (∂outputs_k/∂out)². Actor: N(μ, σ²) has 1/σ² by μ and
        2 (∂ log σ/∂ raw)²; critic: width 1."""
        if name != "actor":
            return out, torch.ones_like(out), torch.ones_like(out)
        bent, half = torch.tanh(out.detach().chunk(2, -1)[1]), 0.5 * (LOG_STD_MAX - LOG_STD_MIN)
        log_std = LOG_STD_MIN + half * (bent + 1)
        c = torch.cat([(-2 * log_std).exp(), 2 * (half * (1 - bent ** 2)) ** 2], -1)
        return out, c, c

    def means(self, out):
        """Of the actor's outputs, those that are means of actions, a view."""
        return out.chunk(2, -1)[0]
