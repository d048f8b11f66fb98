"""Soft actor-critic for continuous actions, as the head of an agent: what differs from categorical.py.

P population, C critics (2), B batch, A action dimensions. A policy is a Gaussian squashed by tanh.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

LOG_STD_MIN, LOG_STD_MAX = -5.0, 2.0  # CleanRL


@dataclass(frozen=True)
class Gaussian:
    """The head for continuous actions. Every head has all names below, with these arguments.

    act_dim: number of action dimensions A. action_width: columns of an action in the replay. noisy: whether an update draws
    actions. log_alpha: log of the temperature at the beginning of a position.
    """

    act_dim: int
    noisy, log_alpha = True, 0.0

    @property
    def action_width(self):
        return self.act_dim

    def sizes(self, obs, layers):
        """Returns [in, *layers, out] of the actor and of a critic."""
        return [obs, *layers, 2 * self.act_dim], [obs + self.act_dim, *layers, 1]

    # acting
    def policy(self, method, net, params, obs, probe=None):
        """Returns mean and log standard deviation [P, B, A] of the Gaussian before tanh, and hidden activations.

        obs [P, B, obs_dim].
        """
        out, hidden = method.forward(net, params, obs[:, None], probe)
        mean, raw = out[:, 0].chunk(2, -1)
        return mean, LOG_STD_MIN + 0.5 * (LOG_STD_MAX - LOG_STD_MIN) * (torch.tanh(raw) + 1), hidden

    def act(self, method, net, params, obs, noise, probe=None):
        """Returns an action [P, B, A] in (−1, 1), its log-probability [P, B, 1], and hidden activations.

        obs [P, B, obs_dim]; noise [P, B, A] standard normal, or None for the mean action. u = μ + σ·noise, a = tanh(u), and
        log π = log N(u) − Σ 2(log 2 − u − softplus(−2u)): the change of variables in the form that cannot overflow.
        """
        mean, log_std, hidden = self.policy(method, net, params, obs, probe)
        if noise is None:
            return torch.tanh(mean), None, hidden
        u = mean + log_std.exp() * noise
        # F.softplus treats whole vectors and the elements left over differently: a last bit would depend on the other seeds
        softplus = F.relu(-2 * u) + torch.log1p(torch.exp(-2 * u.abs()))
        normal = -0.5 * noise**2 - log_std - 0.5 * math.log(2 * math.pi)  # log N(u)
        log_p = (normal - 2 * (math.log(2) - u - softplus)).sum(-1, keepdim=True)
        return torch.tanh(u), log_p, hidden

    def explore(self, u):
        """Turns uniform numbers in [0, 1), [..., A], into uniform actions, in place."""
        return u.mul_(2).sub_(1)

    # learning
    def q_values(self, method, net, params, obs, action, probe=None):
        """Returns Q [P, C, B, 1] of both critics, and their hidden activations, lists of [P, C, B, W]."""
        return method.forward(net, params, torch.cat([obs, action], -1)[:, None], probe)

    def critic_loss(self, agent, batch, noise, method, settings):
        """Returns the loss of both critics for `sac.gradients`, with the hidden activations as aux.

        It is the squared distance to y = r + γ (1 − done) (min_c Q̄_c(s', a') − α log π(a'|s')). noise [P, B, A] is for a'.
        """
        next_action, next_log_p, _ = self.act(method, agent.actor, agent.actor.params, batch["next_obs"], noise)
        next_q = self.q_values(method, agent.critic, agent.target, batch["next_obs"], next_action)[0].amin(1)
        y = batch["reward"] + settings.gamma * (1 - batch["done"]) * (next_q - agent.alpha * next_log_p)  # [P, B, 1]

        def loss(params, probe):
            q, hidden = self.q_values(method, agent.critic, params, batch["obs"], batch["action"], probe)
            return (q - y[:, None]).pow(2).mean((2, 3)).sum(1), hidden

        return loss

    def actor_loss(self, agent, batch, noise, method):
        """Returns the loss of the actor, α log π(a|s) − min_c Q_c(s, a), for `sac.gradients`.

        aux: the entropy, estimated by −log π, minus its target −A, [P, 1, 1], and the hidden activations.
        """

        def loss(params, probe):
            action, log_p, hidden = self.act(method, agent.actor, params, batch["obs"], noise, probe)
            q = self.q_values(method, agent.critic, agent.critic.params, batch["obs"], action)[0].amin(1)
            surplus = action.shape[-1] - log_p.detach().mean((1, 2), keepdim=True)  # [P, 1, 1]
            return (agent.alpha * log_p - q).mean((1, 2)), (surplus, hidden)

        return loss

    # what methods ask for
    def inputs(self, batch):
        """Returns {network: its input [P, 1, B, in]} on a batch: the actor sees obs, a critic (obs, action)."""
        return {"actor": batch["obs"][:, None], "critic": torch.cat([batch["obs"], batch["action"]], -1)[:, None]}

    @property
    def recorded(self):
        """{column: width} of a policy in a state: its Gaussian before tanh."""
        return {"policy_mean": self.act_dim, "policy_log_std": self.act_dim}

    def record(self, method, params, net, obs):
        """Returns the policy at obs [P, B, …] in the columns of `recorded`, [P, B, A] each."""
        return dict(zip(self.recorded, self.policy(method, net, params, obs)))

    def divergence(self, old, new):
        """Returns KL(old ‖ new), [P, B], of two policies of `record`. Before tanh, which changes no KL."""
        (mean, log_std), (other, other_log_std) = ([one[k] for k in self.recorded] for one in (old, new))
        square = (2 * log_std).exp() + (mean - other).pow(2)
        return (other_log_std - log_std + 0.5 * square * (-2 * other_log_std).exp() - 0.5).sum(-1)

    def fisher(self, name, out, batch):
        """Returns (outputs, c, last) for methods.ewc, from the raw output [P, C, B, K] of the network `name`.

        The Fisher is E Σ_k c_k (∂outputs_k)², and `last` is Σ_k c_k (∂outputs_k/∂out)². Actor: N(μ, σ²) has 1/σ² by μ and
        2 (∂ log σ/∂ raw)² by log σ. Critic: a Gaussian of width 1.
        """
        if name != "actor":
            return out, torch.ones_like(out), torch.ones_like(out)
        bent, half = torch.tanh(out.detach().chunk(2, -1)[1]), 0.5 * (LOG_STD_MAX - LOG_STD_MIN)
        log_std = LOG_STD_MIN + half * (bent + 1)
        c = torch.cat([(-2 * log_std).exp(), 2 * (half * (1 - bent**2)) ** 2], -1)
        return out, c, c

    def means(self, out):
        """Returns those of the actor's outputs that are means of actions, as a view."""
        return out.chunk(2, -1)[0]
