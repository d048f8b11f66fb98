"""Soft actor-critic for discrete actions, as the head of an agent: what differs from gaussian.py.

Christodoulou 2019 (arXiv 1910.07207), as CleanRL's sac_atari.py: a critic gives the values of all actions, so means over the
policy are sums over actions and an update draws no action. P population, C critics (2), B batch, A number of actions.

Departures from CleanRL: the actor's loss is the sum over actions, its expectation (CleanRL takes their mean, A times less;
Adam hardly notices); the target network follows by tau in every update; Adam's ε is 1e-8 (CleanRL 1e-4).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch


def expectation(log_pi, of):
    """Returns Σ_a π(a) of(a), [P, B, 1]. An action whose π rounds to 0 adds 0."""
    return (log_pi.exp() * of).sum(-1, keepdim=True)


@dataclass(frozen=True)
class Categorical:
    """The head for discrete actions, see gaussian.Gaussian. An action is its number, one column of the replay.

    act_dim: number of actions A. target_entropy: target of the policy's entropy as a multiple of log A, the entropy of the
    uniform policy. CleanRL has 0.89; with the paper's 0.98 the temperature grows without bound in some games, for example
    Pong. temperature: at the beginning of a position, 1 in both. ValueError if target_entropy is not in [0, 1] or temperature
    not positive.
    """

    act_dim: int
    target_entropy: float = 0.89
    temperature: float = 1.0
    noisy, action_width = False, 1

    def __post_init__(self):
        if not 0 <= self.target_entropy <= 1:
            raise ValueError(f"target_entropy: {self.target_entropy} must be in [0, 1], a share of log A")
        if not self.temperature > 0:
            raise ValueError(f"temperature: {self.temperature} must be > 0")

    @property
    def log_alpha(self):
        return math.log(self.temperature)

    def sizes(self, obs, layers):
        """Returns [in, *layers, out] of the actor and of a critic; obs: a number, or the (channels, H, W) of an image."""
        return [obs, *layers, self.act_dim], [obs, *layers, self.act_dim]

    # acting
    def policy(self, method, net, params, obs, probe=None):
        """Returns log π(a|s) of every action [P, B, A], finite also where π rounds to 0, and hidden activations.

        obs [P, B, …].
        """
        out, hidden = method.forward(net, params, obs[:, None], probe)
        return out[:, 0].log_softmax(-1), hidden

    def act(self, method, net, params, obs, noise, probe=None):
        """Returns the number of an action [P, B, 1], int64, its log-probability [P, B, 1], and hidden activations.

        obs [P, B, …]; noise [P, B, A] standard normal, or None for the most probable action. The largest log π + g is an action
        drawn from π if every g is Gumbel's, −log(−log u) with u = Φ(noise) uniform.
        """
        log_pi, hidden = self.policy(method, net, params, obs, probe)
        if noise is None:
            return log_pi.argmax(-1, keepdim=True), None, hidden
        action = (log_pi - torch.log(-torch.special.log_ndtr(noise))).argmax(-1, keepdim=True)
        return action, log_pi.gather(-1, action), hidden

    def explore(self, u):
        """Turns uniform numbers in [0, 1), [..., A], into uniform actions [..., 1]; only the first of the A is used."""
        return (u[..., :1] * self.act_dim).long().clamp_(max=self.act_dim - 1)

    # learning
    def q_values(self, method, net, params, obs, action=None, probe=None):
        """Returns Q of every action [P, C, B, A] of both critics, and their hidden activations; neither depends on `action`."""
        return method.forward(net, params, obs[:, None], probe)

    def critic_loss(self, agent, batch, noise, method, settings):
        """Returns the loss of both critics for `sac.gradients`, with the hidden activations as aux.

        It is the squared distance of Q_c(s, a) to y = r + γ (1 − done) Σ_a' π(a'|s') (min_c Q̄_c(s', a') − α log π(a'|s')).
        batch["action"] [P, B, 1]; noise is not used.
        """
        log_pi, _ = self.policy(method, agent.actor, agent.actor.params, batch["next_obs"])
        next_q = self.q_values(method, agent.critic, agent.target, batch["next_obs"])[0].amin(1)  # [P, B, A]
        value = expectation(log_pi, next_q - agent.alpha * log_pi)
        y = batch["reward"] + settings.gamma * (1 - batch["done"]) * value  # [P, B, 1]
        taken = batch["action"].long()[:, None]  # [P, 1, B, 1]

        def loss(params, probe):
            q, hidden = self.q_values(method, agent.critic, params, batch["obs"], None, probe)
            q = q.gather(-1, taken.expand(-1, q.shape[1], -1, -1))
            return (q - y[:, None]).pow(2).mean((2, 3)).sum(1), hidden

        return loss

    def actor_loss(self, agent, batch, noise, method):
        """Returns the loss of the actor, Σ_a π(a|s) (α log π(a|s) − min_c Q_c(s, a)), for `sac.gradients`.

        aux: the entropy minus its target, [P, 1, 1], and the hidden activations. noise is not used.
        """
        q = self.q_values(method, agent.critic, agent.critic.params, batch["obs"])[0].amin(1)  # [P, B, A]

        def loss(params, probe):
            log_pi, hidden = self.policy(method, agent.actor, params, batch["obs"], probe)
            entropy = -expectation(log_pi, log_pi).detach().mean((1, 2), keepdim=True)  # [P, 1, 1]
            surplus = entropy - self.target_entropy * math.log(log_pi.shape[-1])
            return expectation(log_pi, agent.alpha * log_pi - q).mean((1, 2)), (surplus, hidden)

        return loss

    # what methods ask for
    def inputs(self, batch):
        return dict.fromkeys(("actor", "critic"), batch["obs"][:, None])

    @property
    def recorded(self):
        return {"log_policy": self.act_dim}

    def record(self, method, params, net, obs):
        return {"log_policy": self.policy(method, net, params, obs)[0]}

    def divergence(self, old, new):
        return expectation(old["log_policy"], old["log_policy"] - new["log_policy"])[..., 0]

    def fisher(self, name, out, batch):
        """Actor: Σ_a π(a) (∂ log π(a))². Critic: (∂Q(s, a))² of the executed action."""
        if name == "actor":
            log_pi = out.log_softmax(-1)
            pi = log_pi.detach().exp()
            return log_pi, pi, pi * (1 - pi)
        taken = batch["action"].long()[:, None].expand(-1, out.shape[1], -1, -1)  # [P, C, B, 1]
        one = torch.zeros_like(out).scatter_(-1, taken, 1.0)
        return out.gather(-1, taken), torch.ones_like(one[..., :1]), one

    def means(self, out):
        return out
