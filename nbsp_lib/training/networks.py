"""The networks as they ship: rounded to fp16, one file for each seed."""

from __future__ import annotations

import copy

import torch
from safetensors.torch import load, save


def network_bytes(agent, method, p):
    """Returns one seed's networks as a safetensors file in fp16: "actor.w0" [C, in, W], …, and "method.…", the state it acts
    from."""
    named = {f"{net.name}.{k}": t for net in agent.networks for k, t in net.params.items()}
    named |= {f"method.{k}": method.state[k] for k in method.acts_from}
    return save({k: t[p].half().contiguous().cpu() for k, t in named.items()})


def actor_bytes(data):
    """Returns the file of `network_bytes` without the critics."""
    return save({k: t for k, t in load(data).items() if not k.startswith(("critic.", "method.critic"))})


def snapshot(agent):
    """Returns the agent as it ships: parameters rounded to fp16 and back. Everything measured is measured on this copy."""
    rounded = copy.copy(agent)
    for name in ("actor", "critic"):
        net = copy.copy(getattr(agent, name))
        net.params = {k: p.half().float() for k, p in net.params.items()}
        setattr(rounded, name, net)
    return rounded


def ships_finite(agent, method):
    """Returns which seeds [P] ship only finite numbers, rounded to fp16: networks, and the state that the method acts from."""
    ships = [p for net in agent.networks for p in net.params.values()] + [
        method.state[name] for name in method.acts_from
    ]
    # numbers of fp16 are small, so their sum in fp32 is finite unless one of them is not
    return torch.isfinite(sum(t.half().float().reshape(len(t), -1).sum(1) for t in ships))
