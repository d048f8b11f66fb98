"""NBSP: hold back the updates of the neurons that carry a skill, and replay a little of the earlier tasks."""
from __future__ import annotations

from typing import Literal

import torch

from nbsp_lib import neurons, selectors
from nbsp_lib.method import Method

NEVER = 2 ** 62             # a replay period that no run reaches
Score = Literal["paper", "balanced", "accuracy", "random", "activation", "weight", "importance", "dormant"]


class NBSP(Method):
    """Neuron-level balance between stability and plasticity (arXiv 2504.08000; reconstructed, see docs/protocol.md).

    share: m, share of a network's hidden neurons that are skill neurons. alpha: α of Eq. 7. replay_every: k, every k-th
    update learns from stored experience. Neutral values: share 0 masks nothing, replay_every 0 replays nothing, both
    together are fine-tuning; alpha 0 freezes.
    score: see neurons.skill_scores; it chooses the neurons and says how strongly each is held. Or how neurons are chosen
    (ours), all hidden neurons of a network compared, while the paper's score says how strongly: "random"; "activation", mean
    |h| in the rollout; "weight", norm of incoming weights and bias; "importance", mean |h · dL/dh| on 1024 recent rows over
    its layer's root mean square; "dormant", mean |h| over its layer's mean, the least dormant (Sokar et al. 2023).
    mask: scale the step after Adam (Eq. 5–6), or the gradient before it, which Adam nearly undoes. actor, critic: whether
    that network is masked; replay does not ask.
    A mask holds the incoming weights and the bias of its neuron. The target network is not masked: it follows the critics.
    """

    needs_rollout = True

    def __init__(self, share: float = 0.2, alpha: float = 0.2, replay_every: int = 10,
                 score: Score = "paper", mask: Literal["step", "gradient"] = "step", actor: bool = True, critic: bool = True):
        super().__init__()
        self.share, self.alpha, self.replay_every, self.score, self.mask = share, alpha, replay_every, score, mask
        self.masked = {"actor": actor, "critic": critic}

    def start(self, agent, settings):
        P, tasks = len(agent.updates), len(agent.tasks)
        self.state["period"] = torch.full_like(agent.updates, NEVER)                        # [P, 1]
        for net in agent.networks:
            for i in range(net.depth - 1):
                unit = torch.ones_like(net.params[f"b{i}"])                                 # [P, C, 1, W]
                self.state[f"{net.name}.union{i}"] = unit
                self.state[f"{net.name}.masks{i}"] = unit[:, None].expand(P, tasks, -1, -1, -1).clone()   # [P, M, C, 1, W]

    def rows(self, step, recent, stored):
        return torch.where(step % self.state["period"] == 0, stored, recent)

    def hold(self, net, changes):
        """Eq. 5–6: the change of a skill neuron's incoming weights and bias, times its mask."""
        masks = {i: self.state[f"{net.name}.union{i}"] for i in range(net.depth - 1)}
        return changes | {f"{kind}{i}": changes[f"{kind}{i}"] * mask for i, mask in masks.items() for kind in "wb"}

    def shape_grad(self, net, grads):
        return self.hold(net, grads) if self.mask == "gradient" and self.masked[net.name] else grads

    def shape_step(self, net, steps, noise):
        return self.hold(net, steps) if self.mask == "step" and self.masked[net.name] else steps

    def after_task(self, agent, task, world):
        """Score every hidden neuron on a rollout of what was just learned, renew this task's mask, start to replay."""
        if self.replay_every:
            self.state["period"].fill_(self.replay_every)
        hidden, goal = world.rollout(task)                       # {network: [P, C, T, W] per layer}, [P, T]
        scored = (~neurons.constant_goal(goal)).nonzero().flatten()
        ranks, report = selectors.ranks(self.score, agent, hidden, world), []
        for net in agent.networks:
            for c in range(hidden[net.name][0].shape[1]):
                activity = torch.cat([layer[:, c] for layer in hidden[net.name]], -1)       # [P, T, all hidden neurons]
                rank = None if ranks[net.name] is None else ranks[net.name][:, c]           # [P, N]
                self.renew(net, c, task, activity, goal, rank, scored)
                name = net.name if hidden[net.name][0].shape[1] == 1 else f"{net.name}{c}"
                report += self.describe(net, c, name, activity, goal, rank, scored, world.seeds)
        return report

    def choose(self, activity, goal, rank, rows):
        """Scores [P', N] of the seeds `rows`, and which neurons are chosen, by `rank` if there is one."""
        scores = neurons.skill_scores(activity[rows], goal[rows], "paper" if rank is not None else self.score)
        return scores, neurons.top_neurons(scores if rank is None else rank[rows], self.share)

    def renew(self, net, c, task, activity, goal, rank, scored):
        """New masks of one network for `task` in the seeds `scored`; the union over tasks takes the smallest."""
        mask = neurons.neuron_mask(*self.choose(activity, goal, rank, scored), self.alpha)  # [P', N]
        widths = [net.params[f"b{i}"].shape[-1] for i in range(net.depth - 1)]
        for i, part in enumerate(mask.split(widths, 1)):
            masks = self.state[f"{net.name}.masks{i}"]
            masks[scored, task, c, 0] = part
            self.state[f"{net.name}.union{i}"].copy_(masks.amin(1))

    def describe(self, net, c, name, activity, goal, rank, scored, seeds):
        """Rows for scores.csv: what the base rate and silent neurons did to the choice, per seed."""
        union = torch.cat([self.state[f"{net.name}.union{i}"][:, c, 0] for i in range(net.depth - 1)], -1)   # [P, N]
        rows = []
        for p, seed in enumerate(seeds):
            row = {"seed": seed, "network": name, "neurons": union.shape[1], "goal_mean": goal[p].mean().item(),
                   "silent": neurons.silent(activity[p:p + 1]).float().mean().item(),
                   "masked": (union[p] < 1).float().mean().item() * self.masked[net.name], "status": "unscored"}
            if p in scored:
                one = slice(p, p + 1)
                scores, chosen = (found[0] for found in self.choose(activity, goal, rank, one))     # [N]
                row |= {"status": "scored"} | neurons.choice(scores, chosen, neurons.base_rate(goal[one]).item())
            rows.append(row)
        return rows
