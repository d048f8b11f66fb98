"""ClonEx without its exploration: the policy is held, on stored states, to what it was when their task ended."""
from __future__ import annotations

import torch

from nbsp_lib.method import Method
from nbsp_lib.sac import policy, q_values

PIECE = 4096            # rows cloned at once: the activations of a whole stored part may not fit in memory


def gaussian_kl(mean, log_std, other_mean, other_log_std):
    """KL(N(mean, std) ‖ N(other_mean, other_std)) of diagonal Gaussians [..., A], summed over A: [...]."""
    square = (2 * log_std).exp() + (mean - other_mean).pow(2)
    return (other_log_std - log_std + 0.5 * square * (-2 * other_log_std).exp() - 0.5).sum(-1)


def policy_columns(method, agent, obs):
    """{column: [P, n, A]} of the policy's Gaussian before tanh at obs [P, n, obs_dim], as it is now."""
    pieces = [policy(method, agent.actor, agent.actor.params, part)[:2] for part in obs.split(PIECE, 1)]
    mean, log_std = (torch.cat(parts, 1) for parts in zip(*pieces))
    return {"policy_mean": mean, "policy_log_std": log_std}


def value_columns(method, agent, batch):
    """{"q": [P, n, 2]}: both critics' values of the rows' obs and action, as they are now."""
    pairs = zip(batch["obs"].split(PIECE, 1), batch["action"].split(PIECE, 1))
    pieces = [q_values(method, agent.critic, agent.critic.params, *pair)[0] for pair in pairs]   # [P, 2, piece, 1]
    return {"q": torch.cat(pieces, 2).squeeze(-1).mT}


def policy_distance(method, net, params, old):
    """KL(recorded ‖ π) of a batch with policy_columns, averaged over it, [P]. net: the actor."""
    mean, log_std, _ = policy(method, net, params, old["obs"])
    return gaussian_kl(old["policy_mean"], old["policy_log_std"], mean, log_std).mean(1)


def value_distance(method, net, params, old):
    """Σ_j (Q_j − recorded Q_j)² of a batch with value_columns, averaged over it, [P]. net: the critic."""
    q = q_values(method, net, params, old["obs"], old["action"])[0].squeeze(-1).mT                # [P, B, 2]
    return (q - old["q"]).pow(2).sum(2).mean(1)


class ClonEx(Method):
    """Behaviour cloning of the actor, "BC-SAC" (Wołczyk et al. 2022, ClonEx-SAC without the exploration by earlier heads).

    Loss of the actor: SAC's + weight · KL(recorded ‖ π), Gaussians before tanh, summed over action dimensions and averaged
    over a batch of stored rows; recorded means: by the actor as it was when the rows' task ended. critic: clone the critics
    too, + weight · Σ_j (Q_j − recorded Q_j)². weight: of the cloning, 1 per nat (or per squared value).
    Before the first task end the weight counts as 0. The target network is left alone: it follows the critics.
    Departures (ours): one head for all tasks, so no earlier head explores; the loss is the plain sum, the source halves
    the sum of both gradients; means before tanh, the source's after it; the store is train.store of a task's rows, not
    10,000; a revisit replaces the task's part, so no state has two targets, but until then its old targets hold.
    """

    def __init__(self, weight: float = 100.0, critic: bool = False):
        super().__init__()
        if weight < 0:
            raise ValueError(f"weight of the cloning must be >= 0, not {weight}")
        self.weight, self.critic = weight, critic

    def start(self, agent, settings):
        self.state["on"] = torch.zeros(len(agent.updates), device=agent.updates.device)           # [P]

    def columns(self, act_dim):
        return {"policy_mean": act_dim, "policy_log_std": act_dim} | ({"q": 2} if self.critic else {})

    def kept(self, agent, batch):
        return policy_columns(self, agent, batch["obs"]) | (value_columns(self, agent, batch) if self.critic else {})

    def penalty(self, net, params, old):
        if net.name == "actor":
            return self.weight * self.state["on"] * policy_distance(self, net, params, old)
        return self.weight * self.state["on"] * value_distance(self, net, params, old) if self.critic else 0.0

    def after_task(self, agent, task, world):
        self.state["on"].fill_(1.0)
