"""Discrete soft actor-critic for one seed, written from its formulas in the ordinary way: the oracle for the library.

Christodoulou 2019 (arXiv 1910.07207). Nothing is shared with nbsp_lib, on purpose. B batch, A number of actions.
"""

from __future__ import annotations

import copy
import math

import torch
import torch.nn.functional as F


class PlainDiscreteSAC:
    """actor, q1, q2: modules from observations to [B, A]; share: target entropy as a multiple of log A."""

    def __init__(self, actor, q1, q2, actor_lr, critic_lr, alpha_lr, gamma, tau, share):
        self.actor, self.q1, self.q2, self.gamma, self.tau, self.share = actor, q1, q2, gamma, tau, share
        self.target1, self.target2 = copy.deepcopy(q1), copy.deepcopy(q2)
        self.log_alpha = torch.zeros(1, requires_grad=True)
        self.actor_adam = torch.optim.Adam(actor.parameters(), lr=actor_lr)
        self.critic_adam = torch.optim.Adam([*q1.parameters(), *q2.parameters()], lr=critic_lr)
        self.alpha_adam = torch.optim.Adam([self.log_alpha], lr=alpha_lr)

    def update(self, obs, next_obs, action, reward, done):
        """One update of everything: critics, actor with the new critics, temperature with the actor's old policy, targets.

        action, reward, done [B]; the actor's loss is the mean over the batch of the expectation over actions.
        """
        alpha = self.log_alpha.detach().exp()
        with torch.no_grad():
            then = torch.distributions.Categorical(logits=self.actor(next_obs))
            next_q = torch.minimum(self.target1(next_obs), self.target2(next_obs))
            value = (then.probs * next_q).sum(1) + alpha * then.entropy()
            y = reward + self.gamma * (1 - done) * value  # [B]
        rows = torch.arange(len(action))
        critic_loss = sum(F.mse_loss(q(obs)[rows, action], y) for q in (self.q1, self.q2))
        self.critic_adam.zero_grad()
        critic_loss.backward()
        self.critic_adam.step()

        now = torch.distributions.Categorical(logits=self.actor(obs))
        with torch.no_grad():
            q = torch.minimum(self.q1(obs), self.q2(obs))
        actor_loss = -((now.probs * q).sum(1) + alpha * now.entropy()).mean()
        self.actor_adam.zero_grad()
        actor_loss.backward()
        self.actor_adam.step()

        target_entropy = self.share * math.log(q.shape[1])
        alpha_loss = (self.log_alpha.exp() * (now.entropy().detach() - target_entropy)).mean()
        self.alpha_adam.zero_grad()
        alpha_loss.backward()
        self.alpha_adam.step()

        with torch.no_grad():
            for q, target in ((self.q1, self.target1), (self.q2, self.target2)):
                for new, old in zip(q.parameters(), target.parameters(), strict=True):
                    old.mul_(1 - self.tau).add_(self.tau * new)
