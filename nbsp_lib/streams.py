"""Chance: every use has its own stream per seed, so that none shifts another, and none depends on the population."""
from __future__ import annotations

import numpy as np
import torch

STREAMS = ("init", "explore", "act", "goals", "update", "stored", "store", "world", "method", "plasticity", "evaluation")


def generators(seed):
    """One torch.Generator per stream of a seed, each at its beginning."""
    words = {name: np.random.SeedSequence([seed, i]).generate_state(1, np.uint64)[0] for i, name in enumerate(STREAMS)}
    return {name: torch.Generator().manual_seed(int(word) % 2 ** 63) for name, word in words.items()}
