"""NBSP: scales down the updates of skill neurons, and replays some experience of earlier tasks."""

from __future__ import annotations

from typing import Literal

import torch

from nbsp_lib.core import neurons
from nbsp_lib.core.method import Method
from nbsp_lib.methods import selection

NEVER = 2**62  # a replay period that no run reaches
Score = Literal[
    "paper",
    "balanced",
    "accuracy",
    "random",
    "activation",
    "active",
    "weight",
    "importance",
    "dormant",
    "time",
    "shuffled",
]


class NBSP(Method):
    """Neuron-level balance between stability and plasticity (arXiv 2504.08000; reconstructed, see docs/protocol.md).

    share: m, share of a network's hidden neurons that are skill neurons; with `pooled` of those of actor and critics together,
    in one ranking. alpha: α of Eq. 7. replay_every: k, every k-th update learns from stored experience. Neutral values: share 0
    masks nothing, replay_every 0 replays nothing, both together are fine-tuning; alpha 0 freezes.
    score: which neurons are chosen, and how strongly each is held, α (1 − Score). "paper", "balanced", "accuracy", see
    neurons.skill_scores, say both. All others, see selectors, only say which; Score is then the paper's, of the true goal metric.
    mask: scale the step after Adam (Eq. 5–6); the gradient before it, which Adam nearly undoes; or what enters Adam's first
    moment, while the second sees the free gradient (arXiv 2604.22407). actor, critic: whether that network is masked; replay
    does not ask. ends: which weights of a chosen neuron are held, see neurons.held_shares. output: "held" multiplies the
    changes of the output layer's weights and bias by alpha from the first task end on, whatever is chosen; 0 freezes it.
    reset_temperature, reset_adam: see Method. The target network is not masked: it follows the critics.
    """

    needs_rollout = True

    def __init__(
        self,
        share: float = 0.2,
        alpha: float = 0.2,
        replay_every: int = 10,
        score: Score = "paper",
        mask: Literal["step", "gradient", "first-moment"] = "step",
        actor: bool = True,
        critic: bool = True,
        pooled: bool = False,
        ends: Literal["incoming", "outgoing", "both"] = "incoming",
        output: Literal["free", "held"] = "free",
        reset_temperature: bool = True,
        reset_adam: bool = False,
    ):
        super().__init__()
        self.share, self.alpha, self.replay_every, self.score, self.mask = share, alpha, replay_every, score, mask
        self.dose = 1 / replay_every if replay_every else 0.0
        self.reset_temperature, self.reset_adam = reset_temperature, reset_adam
        self.masked, self.pooled, self.ends, self.output = {"actor": actor, "critic": critic}, pooled, ends, output

    def start(self, agent, settings):
        P, tasks = len(agent.updates), len(agent.tasks)
        self.state["period"] = torch.full_like(agent.updates, NEVER)  # [P, 1]
        if self.output == "held":
            self.state["output"] = torch.ones_like(agent.actor.params["b0"][..., :1])  # [P, 1, 1, 1]
        for net in agent.networks:
            for i in range(net.depth - 1):
                unit = torch.ones_like(net.params[f"b{i}"])  # [P, C, 1, W]
                self.state[f"{net.name}.union{i}"] = unit
                self.state[f"{net.name}.masks{i}"] = (
                    unit[:, None].expand(P, tasks, -1, -1, -1).clone()
                )  # [P, M, C, 1, W]

    def rows(self, step, recent, stored):
        return torch.where(step % self.state["period"] == 0, stored, recent)

    def hold(self, net, changes, mask):
        """Multiplies changes by the share that is kept of each (Eq. 5–6) if this network's mask acts at `mask`; else returns
        them as they are."""
        if mask != self.mask or not self.masked[net.name]:
            return changes
        units = [self.state[f"{net.name}.union{i}"] for i in range(net.depth - 1)]
        kept = neurons.held_shares(units, net.params, self.ends, self.state.get("output"))
        return changes | {k: changes[k] * share for k, share in kept.items()}

    def shape_grad(self, net, grads):
        return self.hold(net, grads, "gradient")

    def shape_moment(self, net, grads):
        return self.hold(net, grads, "first-moment") if self.mask == "first-moment" else None

    def shape_step(self, net, steps, noise):
        return self.hold(net, steps, "step")

    def after_task(self, agent, task, context):
        """Scores every hidden neuron on a rollout of what was just learned, renews this task's masks, begins to replay."""
        self.state["period"].fill_(self.replay_every or NEVER)
        if self.output == "held":
            self.state["output"].fill_(self.alpha)
        hidden, goal, episode = context.rollout(task)  # {network: [P, C, T, W] per layer}, [P, T] twice
        report = []
        for one in selection.scored(self, agent, hidden, goal, episode, context):
            self.renew(one, task)
            report += self.report(one, goal, context.seeds)
        return report

    def renew(self, one, task):
        """Writes the masks of `task` of one network; the union over tasks takes the smallest."""
        widths = [one.net.params[f"b{i}"].shape[-1] for i in range(one.net.depth - 1)]
        for i, part in enumerate(neurons.neuron_mask(one.scores[:, 0], one.chosen[:, 0], self.alpha).split(widths, 1)):
            masks = self.state[f"{one.net.name}.masks{i}"]
            masks[one.rows, task, one.c, 0] = part
            self.state[f"{one.net.name}.union{i}"].copy_(masks.amin(1))

    def report(self, one, goal, seeds):
        """Returns the rows of one network for scores.csv, one a seed."""
        name = one.net.name
        union = torch.cat([self.state[f"{name}.union{i}"][:, one.c, 0] for i in range(one.net.depth - 1)], -1)  # [P, N]
        held = (union < 1).float().mean(1) * self.masked[name]
        report = [
            {
                "network": name if name == "actor" else f"{name}{one.c}",
                "neurons": one.scores.shape[-1],
                "seed": seed,
                "goal_mean": goal[p].mean().item(),
                "silent": one.silent[p].item(),
                "masked": held[p].item(),
                "status": "unscored",
            }
            for p, seed in enumerate(seeds)
        ]
        for p, scores, chosen in zip(one.rows.tolist(), one.scores, one.chosen):
            report[p] |= neurons.choice(scores, chosen.expand_as(scores), one.base[p].item())
        return report
