"""Measures of plasticity, a network's ability to learn: dormant units, active units, ranks of its features, norms. Pure
functions.

P population (seed), C parallel networks, B batch, W units of a layer. None of these measures alone predicts whether a network
learns (Lyle et al. 2023, "Understanding plasticity in neural networks").
"""

from __future__ import annotations

import torch

from nbsp_lib.core.neurons import activation, unit_activity
from nbsp_lib.core.sac import loss_gradients


def dormant_share(layers, threshold):
    """Returns the share of all hidden units with s <= threshold, [P, C], layers pooled. layers: a list of [P, C, B, W]."""
    return torch.cat([unit_activity(h) for h in layers], 2).le(threshold).float().mean(2)


def active_fraction(layers):
    """Returns FAU (Ma et al. 2023): the share of units that fire, averaged over the batch, [P, C], layers pooled."""
    return torch.cat([(h > 0).float().mean(2) for h in layers], 2).mean(2)


def ranks(features):
    """Returns (srank, effective rank) of features [P, C, B, W], each [P, C].

    srank (Kumar et al. 2021): the fewest singular values whose sum is at least 0.99 of them all. Effective rank (Roy &
    Vetterli 2007): exp of the entropy of the singular values as shares. Both 0 for features that are all zero.
    """
    features = features.double()
    if features.is_cuda:  # one singular value problem after another there; of a Gram matrix, all at once, to about 1e-7
        values = torch.linalg.eigvalsh(features.mT @ features).clamp_min(0).sqrt().flip(-1)
    else:
        values = torch.linalg.svdvals(features)  # [P, C, min(B, W)], falling
    total = values.sum(-1, keepdim=True)
    share = values / total.clamp_min(1e-300)
    srank = (share.cumsum(-1) < 0.99 - 1e-12).sum(-1) + 1
    entropy = -torch.special.xlogy(share, share).sum(-1)
    alive = total[..., 0] > 0
    return torch.where(alive, srank, 0).double(), torch.where(alive, entropy.exp(), 0.0)


def norm(tensors, C):
    """Returns the Euclidean norm of all weights of a network together, [P, C]; tensors: {name: [P, C, …]}, or more than C in a
    row.

    In float64: the order of a sum depends on the population, and the written numbers must not.
    """
    return torch.stack([t.double().reshape(len(t), C, -1).pow(2).sum(2) for t in tensors.values()]).sum(0).sqrt()


@torch.no_grad()
def network_health(agent, batch, noise, method, settings):
    """Measures the actor and each critic on a batch of replay rows, for plasticity.csv -> {network: {measure: [P]}}.

    dormant_0, dormant, dormant_10: share with s <= 0, 0.025, 0.1; fau; srank and effective_rank of the last hidden layer;
    weight_norm; gradient_norm of that network's SAC loss on this batch. noise [2, P, B, A]. The actor sees the rows' obs, the
    critics (obs, action).
    """
    losses, found = loss_gradients(agent, batch, noise, method, settings), {}
    for net in agent.networks:
        grads, _, hidden = losses[net.name]
        layers = [activation(h) for h in hidden]
        C = layers[0].shape[1]
        srank, effective = ranks(layers[-1])
        measures = {
            "dormant_0": dormant_share(layers, 0.0),
            "dormant": dormant_share(layers, 0.025),
            "dormant_10": dormant_share(layers, 0.1),
            "fau": active_fraction(layers),
            "srank": srank,
            "effective_rank": effective,
            "weight_norm": norm(net.params, C),
            "gradient_norm": norm(grads, C),
        }
        for c in range(C):
            found[net.name if C == 1 else f"{net.name}{c}"] = {k: v[:, c] for k, v in measures.items()}
    return found
