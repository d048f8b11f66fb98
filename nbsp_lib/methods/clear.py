"""CLEAR: replays stored rows in half of every batch, and keeps policy and values close to those recorded with them."""

from __future__ import annotations

import torch

from nbsp_lib.methods.clonex import policy_columns, policy_distance, value_columns, value_distance
from nbsp_lib.methods.er import ER


class CLEAR(ER):
    """Experience replay with cloning (Rolnick et al. 2019, "Experience replay for continual learning"), ported to SAC.

    Half of every minibatch is stored rows, see ER. To the actor's loss is added policy_weight · KL(recorded ‖ π), Gaussians
    before tanh, summed over action dimensions; to the critics' value_weight · Σ_j (Q_j − recorded Q_j)²; both on stored
    rows only and averaged over them. The policy is recorded when a row is collected, Q when it is stored, and neither is
    renewed. Weights: 1 per nat and 1 per squared value. Before the first task end both count as 0.
    The target network is left alone: it follows the critics. Dose: B/2 stored rows in every batch, and B in every cloning loss.
    Departures (ours): Q_j in place of V, no V-trace. Published losses are sums over their rows, with the cloning over the
    replayed half and the rest over both; ours are means, the cloning's over as many stored rows as a whole minibatch has,
    so the same weights hold twice as tightly. Rows of the random steps record the policy of that moment, not the uniform
    one. The memory is not one reservoir, see ER.
    """

    forkable = False  # the policy is recorded from the first step on

    def __init__(self, policy_weight: float = 0.01, value_weight: float = 0.005):
        super().__init__(share=0.5)
        if min(policy_weight, value_weight) < 0:
            raise ValueError(f"weights must be >= 0, not {policy_weight} and {value_weight}")
        self.weights = {"actor": policy_weight, "critic": value_weight}

    def start(self, agent, settings):
        self.head = agent.head
        self.state["on"] = torch.zeros(len(agent.updates), device=agent.updates.device)  # [P]

    def columns(self, agent):
        return agent.head.recorded | {"q": 2}

    def collected(self, agent, obs):
        return policy_columns(self, agent, obs)

    def kept(self, agent, batch):
        return value_columns(self, agent, batch)

    def penalty(self, net, params, old):
        distance = policy_distance if net.name == "actor" else value_distance
        return self.weights[net.name] * self.state["on"] * distance(self.head, self, net, params, old)

    def after_task(self, agent, task, context):
        self.state["on"].fill_(1.0)
