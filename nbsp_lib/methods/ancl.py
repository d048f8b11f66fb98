"""ANCL: a pull to the network at the last task end, and a second pull to an agent that learns only the new task."""

from __future__ import annotations

import copy

import torch

from nbsp_lib.core.method import Method
from nbsp_lib.core.sac import update
from nbsp_lib.methods.ewc import ROWS, fisher, pull


class ANCL(Method):
    """Auxiliary network continual learning, A-EWC (Kim et al. 2023), with the auxiliary agent trained beside the main one.

    Loss of the pulled networks: + λ Σ F_old (θ − θ_old)² + λ_a Σ F_aux (θ − θ_aux)². The auxiliary agent is a whole SAC
    agent (actor, critics, target, α, Adam), copied from the main one when a position begins; it then learns without any
    pull from the same minibatches and noise. Only the main agent acts. θ_old: parameters at the last task end; F: the
    Fisher of methods.ewc, F_old ← ½ F_old + ½ new (new alone at the first task end), F_aux of the auxiliary networks on the
    recent rows, anew every `refresh` updates; it is 0 until the first round of the position has been played.
    weight: λ, weight_aux: λ_a, per unit of squared weight and Fisher. refresh: updates, counted in whole rounds.
    At λ = 1e4, the published value, the policy freezes here, see docs/methods.md.
    critic: pull the critics too, to those of the auxiliary agent.
    Neutral: all F are 0 until the first task end. The auxiliary agent learns then too, for nothing, because one graph serves
    every task; a forked position 1 skips that, and the copy at position 2 makes both the same. An update costs two.
    The target network is not pulled: it follows the critics; the auxiliary agent has its own.
    Ours: the source trains the auxiliary network to the end first, which would double the environment steps; no ½; Adam's
    moments are copied with the networks, so that the auxiliary agent is what fine-tuning makes of the main one; actor only.
    """

    images = False  # see EWC

    def __init__(self, weight: float = 1e4, weight_aux: float = 10.0, refresh: int = 10000, critic: bool = False):
        super().__init__()
        if min(weight, weight_aux) < 0 or refresh < 1:
            raise ValueError(f"weights must be >= 0 and refresh >= 1, not {weight}, {weight_aux} and {refresh}")
        self.weight, self.weight_aux, self.refresh = weight, weight_aux, refresh
        self.pulled, self.plain = ("actor", "critic") if critic else ("actor",), Method()

    def start(self, agent, settings):
        self.settings, self.aux = settings, copy.deepcopy(agent)
        self.state |= {f"aux.{k}": t for k, t in self.aux.tensors().items()}
        self.state["finished"] = torch.zeros_like(agent.updates)  # [P, 1] 1 after a task end
        self.state["refreshed"] = torch.zeros_like(agent.updates)  # [P, 1] update of F_aux
        for name in self.pulled:
            for kind in ("fisher", "anchor", "fisher_aux"):
                self.state |= {
                    f"{name}.{kind}.{k}": torch.zeros_like(p) for k, p in getattr(agent, name).params.items()
                }

    def penalty(self, net, params, old):
        if net.name not in self.pulled:
            return 0.0
        return self.weight * pull(
            params, self.state, f"{net.name}.fisher", f"{net.name}.anchor"
        ) + self.weight_aux * pull(params, self.state, f"{net.name}.fisher_aux", f"aux.{net.name}.params")

    def after_update(self, agent, batch, noise, hidden, blame):
        update(self.aux, batch, None, noise, self.plain, self.settings)

    def before_task(self, agent, task, purpose):
        """Restarts the auxiliary agent from the main one when a position begins; its Fisher is then due."""
        if purpose != "train":
            return
        for k, t in agent.tensors().items():
            self.state[f"aux.{k}"].copy_(t)
        self.state["refreshed"].copy_(agent.updates - self.refresh)
        for name in self.pulled:
            for k in getattr(agent, name).params:
                self.state[f"{name}.fisher_aux.{k}"].zero_()

    def periodic(self, agent, context):
        """Renews F_aux if it is due; before the first task end it stays 0, and no row is drawn for it."""
        due = (agent.updates - self.state["refreshed"] >= self.refresh) & (self.state["finished"] > 0)
        if not due.any():  # all seeds are at the same update: all are due or none
            return
        self.state["refreshed"].copy_(agent.updates)
        for name, k, new in self.fishers(self.aux, context):
            self.state[f"{name}.fisher_aux.{k}"].copy_(new)

    def after_task(self, agent, task, context):
        """Consolidates what was just learned into the pull to the old: half of its Fisher, all of its parameters."""
        share = torch.where(self.state["finished"] > 0, 0.5, 1.0)[..., None, None]  # [P, 1, 1, 1]
        for name, k, new in self.fishers(agent, context):
            self.state[f"{name}.fisher.{k}"].lerp_(new, share)
            self.state[f"{name}.anchor.{k}"].copy_(getattr(agent, name).params[k])
        self.state["finished"].fill_(1)

    def fishers(self, agent, context):
        """Returns (network, parameter, its Fisher) for every pulled parameter, on recent rows."""
        batch = context.sample(ROWS)
        of = lambda net: fisher(self, net, batch, agent.head).items()
        return [(name, k, new) for name in self.pulled for k, new in of(getattr(agent, name))]
