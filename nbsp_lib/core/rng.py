"""Random streams: every use has its own stream per seed, so that none shifts another, and all are independent of the
population."""

from __future__ import annotations

import hashlib

import numpy as np
import torch

STREAMS = (
    "init",
    "explore",
    "act",
    "goals",
    "update",
    "stored",
    "store",
    "world",
    "method",
    "plasticity",
    "evaluation",
)


def generators(seed, device="cpu"):
    """Makes one torch.Generator per stream of a seed, each at its beginning.

    The generator of "method" draws on `device`: a method may ask for as many numbers as there are weights, for every update.
    """
    words = {name: np.random.SeedSequence([seed, i]).generate_state(1, np.uint64)[0] for i, name in enumerate(STREAMS)}
    return {
        name: torch.Generator(device if name == "method" else "cpu").manual_seed(int(word) % 2**63)
        for name, word in words.items()
    }


def restore(generator, state):
    """Puts a generator where it was when `state` was saved. Generators of another kind of device have other states: there it
    begins anew, from a seed computed from `state`."""
    if state.shape == generator.get_state().shape:
        generator.set_state(state)
    else:
        generator.manual_seed(int.from_bytes(hashlib.sha256(state.numpy().tobytes()).digest()[:8]) % 2**63)
