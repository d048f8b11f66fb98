"""UPGD: perturbs weights of low utility and protects weights of high utility."""

from __future__ import annotations

import torch

from nbsp_lib.core.method import Method


class UPGD(Method):
    """Utility-based perturbed gradient descent on Adam's steps (Elsayed & Mahmood 2024, its form for reinforcement learning).

    Of every weight w of actor and critics, with g = −(Adam's step) / lr: U <- beta U + (1 − beta)(−g w), beta = beta_utility;
    w <- w − 2 lr (g + ξ)(1 − sigmoid(U / max U)) − lr weight_decay w, ξ ~ N(0, sigma²) anew for each weight and update. A weight
    of utility 0 takes Adam's own step (the 2 undoes sigmoid(0) = 1/2), the most useful one 0.54 of it.
    sigma: standard deviation, in units of the gradient direction g. weight_decay: per update, times lr. beta_utility: per update.
    Temperature and target network: plain Adam, plain Polyak; U survives task ends.
    Departures (ours): the source corrects the bias of U but not of max U; with both corrected the corrections cancel, so
    there are none here. max U is that of one network (one per critic), not of one optimiser over both, and at least 1e-12: a
    negative one would turn the sign. Adam's eps is the learner's 1e-8 (source 1e-5).
    """

    forkable = False  # perturbs from the first update on

    def __init__(self, beta_utility: float = 0.999, sigma: float = 1e-3, weight_decay: float = 1e-3):
        super().__init__()
        if not 0 <= beta_utility < 1 or sigma < 0 or weight_decay < 0:
            raise ValueError(
                "upgd needs 0 <= beta_utility < 1, sigma >= 0 and weight_decay >= 0, "
                f"not {beta_utility}, {sigma}, {weight_decay}"
            )
        self.beta, self.sigma, self.decay = beta_utility, sigma, weight_decay

    def start(self, agent, settings):
        self.lr = {"actor": settings.actor_lr, "critic": settings.critic_lr}
        for net in agent.networks:
            self.state |= {f"{net.name}.utility.{k}": torch.zeros_like(p) for k, p in net.params.items()}

    def noise(self, agent):
        return {f"{net.name}.{k}": p.shape[1:] for net in agent.networks for k, p in net.params.items()}

    def shape_step(self, net, steps, noise):
        lr, utility = self.lr[net.name], {k: self.state[f"{net.name}.utility.{k}"] for k in steps}
        for k, u in utility.items():
            u.lerp_(steps[k] * net.params[k] / lr, 1 - self.beta)
        most = torch.stack([u.amax((2, 3), keepdim=True) for u in utility.values()]).amax(0)  # [P, C, 1, 1]
        twice = 2 * most.clamp_min(1e-12)
        shaped = {}
        for k, u in utility.items():
            # 2 (1 − sigmoid(x)) = 1 − tanh(x/2); the last bit of torch's sigmoid depends on the other seeds
            free = 1 - torch.tanh(u / twice)
            moved = (steps[k] - lr * self.sigma * noise[f"{net.name}.{k}"]) * free
            shaped[k] = moved - lr * self.decay * net.params[k]
        return shaped
