"""ClonEx without its exploration: holds the policy, on stored states, to the policy at the end of their task."""

from __future__ import annotations

import torch

from nbsp_lib.core.method import Method

PIECE = 4096  # rows cloned at once: the activations of a whole stored part may not fit in memory


def policy_columns(method, agent, obs):
    """Returns {column: [P, n, A]} of the current policy at obs [P, n, …], see the `record` of a head, gaussian.Gaussian."""
    pieces = [agent.head.record(method, agent.actor.params, agent.actor, part) for part in obs.split(PIECE, 1)]
    return {k: torch.cat([piece[k] for piece in pieces], 1) for k in agent.head.recorded}


def values(head, method, net, params, batch):
    """Returns both critics' values of a batch's obs and action, [P, n, 2]."""
    q = head.q_values(method, net, params, batch["obs"], batch["action"])[0]  # [P, 2, n, 1 or A]
    if q.shape[-1] > 1:
        q = q.gather(-1, batch["action"].long()[:, None].expand(-1, q.shape[1], -1, -1))
    return q.squeeze(-1).mT


def value_columns(method, agent, batch):
    """Returns {"q": [P, n, 2]}: both critics' current values of the rows' obs and action."""
    pairs = zip(batch["obs"].split(PIECE, 1), batch["action"].split(PIECE, 1))
    pieces = [
        values(agent.head, method, agent.critic, agent.critic.params, {"obs": obs, "action": action})
        for obs, action in pairs
    ]
    return {"q": torch.cat(pieces, 1)}


def policy_distance(head, method, net, params, old):
    """Returns KL(recorded ‖ π) of a batch with policy_columns, averaged over it, [P]. net: the actor."""
    return head.divergence(old, head.record(method, params, net, old["obs"])).mean(1)


def value_distance(head, method, net, params, old):
    """Returns Σ_j (Q_j − recorded Q_j)² of a batch with value_columns, averaged over it, [P]. net: the critic."""
    return (values(head, method, net, params, old) - old["q"]).pow(2).sum(2).mean(1)


class ClonEx(Method):
    """Behaviour cloning of the actor, "BC-SAC" (Wołczyk et al. 2022, ClonEx-SAC without the exploration by earlier heads).

    Loss of the actor: SAC's + weight · KL(recorded ‖ π), Gaussians before tanh, summed over action dimensions and averaged
    over a batch of stored rows; recorded means: by the actor as it was when the rows' task ended. critic: clone the critics
    too, + weight · Σ_j (Q_j − recorded Q_j)². weight: of the cloning, 1 per nat (or per squared value).
    Dose: none in SAC's own losses, B stored rows in the cloning loss of every update.
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
        self.head = agent.head
        self.state["on"] = torch.zeros(len(agent.updates), device=agent.updates.device)  # [P]

    def columns(self, agent):
        return agent.head.recorded | ({"q": 2} if self.critic else {})

    def kept(self, agent, batch):
        return policy_columns(self, agent, batch["obs"]) | (value_columns(self, agent, batch) if self.critic else {})

    def penalty(self, net, params, old):
        if net.name == "actor":
            return self.weight * self.state["on"] * policy_distance(self.head, self, net, params, old)
        return (
            self.weight * self.state["on"] * value_distance(self.head, self, net, params, old) if self.critic else 0.0
        )

    def after_task(self, agent, task, context):
        self.state["on"].fill_(1.0)
