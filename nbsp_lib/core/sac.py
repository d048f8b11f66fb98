"""Soft actor-critic for a population of seeds as one tensor program: agent, gradients, one descent, one update.

Haarnoja et al. 2018 with a learned temperature, as CleanRL implements it. P population, C critics (2), B batch, A action
dimensions, or number of actions. Seeds share nothing: the gradient of a sum over P is each seed's own gradient. The agent's
head holds what depends on the kind of actions: gaussian.Gaussian or categorical.Categorical.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from nbsp_lib.core.adam import adam_steps
from nbsp_lib.core.conv import map_sizes
from nbsp_lib.core.method import overrides
from nbsp_lib.core.nets import Net


@dataclass(eq=False)
class Agent:
    """Holds everything SAC learns. target: the critics' slow copy; temperature: a Net of one number per seed, log α."""

    actor: Net
    critic: Net
    target: dict
    temperature: Net
    updates: torch.Tensor  # [P, 1] updates so far, over all positions
    positions: tuple  # the task of each position of the sequence
    head: object  # what depends on the kind of actions: gaussian.Gaussian or categorical.Categorical

    @property
    def tasks(self):
        """The distinct tasks, in order of first visit."""
        return tuple(dict.fromkeys(self.positions))

    @property
    def networks(self):
        return [self.actor, self.critic]

    @property
    def alpha(self):
        """Temperature α [P, 1, 1]."""
        return self.temperature.params["log_alpha"].exp()[:, 0]

    def tensors(self):
        """Returns name -> tensor with a leading P, of everything needed to resume exactly."""
        nets = {
            f"{net.name}.{k}": t
            for net in (self.actor, self.critic, self.temperature)
            for k, t in net.tensors().items()
        }
        return nets | {f"target.{k}": t for k, t in self.target.items()} | {"updates": self.updates}


def make_agent(method, gens, obs, head, positions, settings, device="cpu"):
    """Makes a fresh agent for len(gens) seeds on `device`, and the method's state; one generator per seed.

    obs: numbers of an observation, or the (channels, H, W) of an image; head: see Agent; positions: the task of each position;
    settings: settings.TrainSettings, of which `layers` is read here. ValueError for images and a method that has no form for
    convolutions.
    """
    if isinstance(obs, tuple) and not method.images:
        raise ValueError(f"{type(method).__name__} is not defined here for convolutional networks, see docs/methods.md")
    actor_sizes, critic_sizes = head.sizes(obs, settings.layers)
    actor, critic = method.build("actor", 1, actor_sizes, gens), method.build("critic", 2, critic_sizes, gens)
    P = len(gens)
    temperature = {"log_alpha": torch.full((P, 1, 1, 1), head.log_alpha)}
    move = lambda net: Net(net.name, {k: p.to(device) for k, p in net.params.items()})
    agent = Agent(
        move(actor),
        move(critic),
        {k: p.to(device, copy=True) for k, p in critic.params.items()},
        move(Net("temperature", temperature)),
        torch.zeros(P, 1, dtype=torch.long, device=device),
        tuple(positions),
        head,
    )
    method.start(agent, settings)
    return agent


def gradients(net, loss_fn, probe=(), addition=0.0):
    """Computes the gradients of a loss -> ({name: gradient}, blame, aux of the loss). Changes nothing.

    loss_fn(params, probe) -> (loss [P], aux); addition(params) -> [P], added to the loss. blame = dL/d(hidden), a list like
    the hidden activations, empty without a probe (zeros, see nets.mlp_forward).
    """

    def total(leaves, probe):
        loss, aux = loss_fn(leaves, probe)
        return (loss + (addition(leaves) if callable(addition) else addition)).sum(), aux

    if torch.compiler.is_compiling():  # torch 2.11 cannot trace requires_grad_
        (grads, blame), aux = torch.func.grad(total, (0, 1), has_aux=True)(dict(net.params), list(probe))
        return grads, blame, aux
    leaves = {k: p.detach().requires_grad_() for k, p in net.params.items()}
    probe = [zeros.detach().requires_grad_() for zeros in probe]
    with torch.enable_grad():
        loss, aux = total(leaves, probe)
    grads = torch.autograd.grad(loss, [*leaves.values(), *probe], materialize_grads=True)
    return dict(zip(leaves, grads)), list(grads[len(leaves) :]), aux


def descend(net, loss_fn, old, method, lr, noise, probe=()):
    """Makes one optimiser step on `net` for every seed -> (aux of the loss, blame). The only place where a method touches
    learning.

    `old` is a batch of stored experience, or None; noise: see `update`; the rest: see `gradients`.
    """
    grads, blame, aux = gradients(net, loss_fn, probe, lambda params: method.penalty(net, params, old))
    grads = method.shape_grad(net, grads)
    steps = method.shape_step(net, adam_steps(net, grads, lr, first=method.shape_moment(net, grads)), noise)
    for k, p in net.params.items():
        p.add_(steps[k])
    return aux, blame


@torch.no_grad()
def update_from_rows(agent, replay, recent, stored, noise, method, settings):
    """Makes one SAC update of every seed, in place. recent, stored: candidate rows [P, B] of the replay; see `update`."""
    agent.updates.add_(1)
    batch = replay.gather(method.rows(agent.updates, recent, stored))
    update(agent, batch, replay.gather(stored) if overrides(method, "penalty") else None, noise, method, settings)


def update(agent, batch, old, noise, method, settings):
    """Makes one update of critics, actor, temperature and target from `batch`, a dict of [P, B, width]; old: stored experience
    or None.

    noise: standard normal numbers by name: "sac" [2, P, B, A] for the next action and the new one, absent if the head draws
    none, and the names of Method.noise. settings: gamma, tau, actor_lr, critic_lr, alpha_lr (TrainSettings).
    """
    actor, critic, head, normal = agent.actor, agent.critic, agent.head, noise.get("sac", (None, None))
    probes = make_probes(agent, *batch["obs"].shape[1:]) if method.needs_blame else {}
    h_critic, b_critic = descend(
        critic,
        head.critic_loss(agent, batch, normal[0], method, settings),
        old,
        method,
        settings.critic_lr,
        noise,
        probes.get("critic", ()),
    )
    (surplus, h_actor), b_actor = descend(
        actor,
        head.actor_loss(agent, batch, normal[1], method),
        old,
        method,
        settings.actor_lr,
        noise,
        probes.get("actor", ()),
    )
    # L(α) = α (H(π) − target), so dL/d(log α) is the same, with the entropy of the actor's loss.
    entropy_gap = agent.alpha * surplus  # [P, 1, 1]
    step = adam_steps(agent.temperature, {"log_alpha": entropy_gap[:, None]}, settings.alpha_lr)["log_alpha"]
    agent.temperature.params["log_alpha"].add_(step)
    method.after_update(
        agent, batch, noise, {"critic": h_critic, "actor": h_actor}, {"critic": b_critic, "actor": b_actor}
    )
    for k, slow in agent.target.items():
        slow.lerp_(critic.params[k], settings.tau)
    method.after_target(agent)


def loss_gradients(agent, batch, noise, method, settings, probes=None):
    """Computes both losses' gradients on a batch, {network: (gradients, blame, hidden)}. Changes nothing. noise [2, P, B, A];
    probes: see make_probes."""
    probes = probes or {}
    head = agent.head
    critic = gradients(
        agent.critic, head.critic_loss(agent, batch, noise[0], method, settings), probes.get("critic", ())
    )
    grads, blame, (_, hidden) = gradients(
        agent.actor, head.actor_loss(agent, batch, noise[1], method), probes.get("actor", ())
    )
    return {"actor": (grads, blame, hidden), "critic": critic}


def make_probes(agent, B, *obs):
    """Returns {network: its probe} for a batch of B rows whose observations have the shape `obs`."""
    return {net.name: probes_of(net, B, *obs) for net in agent.networks}


def probes_of(net, B, *obs):
    """Returns zeros shaped like the hidden activations: a list of [P, C, B, W], or of maps where `obs` is that of an image
    (channels, H, W); see nets.mlp_forward and conv.cnn_forward."""
    biases = [b for k, b in net.params.items() if k.startswith("b")][:-1]
    sides = map_sizes(obs) + ((),) * len(biases)
    return [b.new_zeros(*b.shape[:2], B, b.shape[3], *side) for b, side in zip(biases, sides)]
