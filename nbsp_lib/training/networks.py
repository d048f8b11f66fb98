"""The networks as they ship: fp16, one file for each seed."""
from __future__ import annotations

from safetensors.torch import load, save


def network_bytes(agent, method, p):
    """One seed's networks as a safetensors file in fp16: "actor.w0" [C, in, W], …, and "method.…", the state it acts from."""
    named = {f"{net.name}.{k}": t for net in agent.networks for k, t in net.params.items()}
    named |= {f"method.{k}": method.state[k] for k in method.acts_from}
    return save({k: t[p].half().contiguous().cpu() for k, t in named.items()})


def actor_bytes(data):
    """The file of `network_bytes` without the critics."""
    return save({k: t for k, t in load(data).items() if not k.startswith(("critic.", "method.critic"))})
