"""Goal-oriented scores -> skill neurons -> masks: Eq. 1–7 of the paper as pure functions.

P population (seed), T time steps of a rollout, W neurons. The equations are reconstructed from public reviews; what is
certain and what is not is said in docs/protocol.md.
"""
from __future__ import annotations

import torch


def activation(hidden):
    """One number a neuron, [P, C, B, W], of a layer's hidden activations: the spatial mean of a convolution's map
    [P, C, B, W, H, W'], whose channels are its neurons (ours, see docs/protocol.md); of other layers, these as they are."""
    return hidden.flatten(4).mean(4) if hidden.dim() == 6 else hidden


def constant_goal(goal):
    """Whether the goal metric [P, T] never changes in a seed's rollout, or is not a finite number somewhere in it (a benchmark
    without success has NaN), [P] bool: then no neuron can be scored."""
    return ~torch.isfinite(goal).all(1) | (goal.amax(1) == goal.amin(1))


def skill_scores(hidden, goal, score="paper"):
    """How well "this neuron is unusually active" agrees with "the goal metric is unusually high", per neuron [P, W].

    hidden [P, T, W] activations, goal [P, T] goal metric of the same moments.
    Eq. 1–2: thresholds are the means over the rollout. Eq. 3: Acc = share of the T moments on which the two agree.
    Eq. 4 (`score="paper"`): max(Acc, 1 − Acc), in [0.5, 1], so that an anti-correlated neuron counts too.
    "balanced" (ours): Acc is the mean of the hit rates on goal moments and on the others, so that a neuron that never
    fires gets 0.5 whatever the base rate. "accuracy": Acc alone, in [0, 1].
    ValueError if a seed's goal metric is constant or not finite: Eq. 3 then says nothing about any neuron.
    """
    if score not in SCORES:
        raise ValueError(f"score must be one of {', '.join(SCORES)}, not {score!r}")
    if bool(constant_goal(goal).any()):
        rows = constant_goal(goal).nonzero().flatten().tolist()
        raise ValueError(f"the goal metric is constant or not finite in the rollout of population rows {rows}: nothing to score")
    active = hidden > hidden.mean(1, keepdim=True)                               # [P, T, W]
    good = (goal > goal.mean(1, keepdim=True))[..., None]                        # [P, T, 1]
    agree = (active == good).to(hidden.dtype)                                             # [P, T, W]
    if score == "balanced":
        hit = lambda moments: (agree * moments).sum(1) / moments.sum(1)          # [P, W]
        accuracy = (hit(good.to(agree)) + hit((~good).to(agree))) / 2
    else:
        accuracy = agree.mean(1)
    return accuracy if score == "accuracy" else torch.maximum(accuracy, 1 - accuracy)


SCORES = ("paper", "balanced", "accuracy")


def base_rate(goal):
    """Score of a neuron that never fires, [P]: max(q, 1 − q) with q the share of moments whose goal metric is above its mean.
    NaN where the goal metric [P, T] is not finite."""
    share = (goal > goal.mean(1, keepdim=True)).float().mean(1)
    return torch.where(torch.isfinite(goal).all(1), torch.maximum(share, 1 - share), torch.nan)


def silent(hidden):
    """Which neurons never fire in the rollout: hidden [P, T, W] -> bool [P, W]."""
    return (hidden == 0).all(1)


def unit_activity(hidden):
    """Sokar et al. 2023, Eq. 1: mean |h| of each unit over the mean of its layer, s [P, C, W]. hidden [P, C, B, W]."""
    size = hidden.abs().mean(2)                                              # [P, C, W]
    return size / (size.mean(2, keepdim=True) + 1e-9)


def importance(hidden, blame):
    """Taylor's estimate of how much the loss needs each unit: mean |h · dL/dh| over the batch, as a multiple of its layer's
    root mean square (Paik et al. 2020), [P, C, W]. hidden, blame [P, C, B, W]; zeros for a layer that is all zero."""
    size = (hidden * blame).abs().mean(2)                                        # [P, C, W]
    size = size / size.amax(2, keepdim=True).clamp_min(1e-30)                    # or the squares of small losses underflow
    return size / size.pow(2).mean(2, keepdim=True).sqrt().clamp_min(1e-30)


def incoming_norm(w, b):
    """Euclidean norm of each unit's incoming weights and bias, [P, C, W]. w [P, C, in, W], b [P, C, 1, W]."""
    return (w.pow(2).sum(2) + b[:, :, 0].pow(2)).sqrt()


def top_neurons(scores, share):
    """The floor(share · W) best-scored neurons of each seed, bool [P, W]; ties go to the lower index, NaN comes last."""
    count = int(share * scores.shape[1] + 1e-9)                                  # 0.29 · 100 is 28.999…
    known = torch.where(scores.isnan(), -torch.inf, scores)                      # a sort takes NaN for the largest number
    best = known.sort(dim=1, descending=True, stable=True).indices[:, :count]       # [P, count]
    return torch.zeros_like(scores, dtype=torch.bool).scatter_(1, best, True)


def neuron_mask(scores, chosen, alpha):
    """Share of its free step that each neuron keeps, [P, W]: α (1 − score) if chosen, else 1. Eq. 7 (its form is ours)."""
    return torch.where(chosen, alpha * (1 - scores), 1.0)


def choice(scores, chosen, base):
    """What a choice of neurons is worth beside a silent neuron's score `base`, for scores.csv; scores, chosen [N] of one seed."""
    row = {"base_rate": base, "all_score": scores.mean().item(), "chosen": int(chosen.sum())}
    if chosen.any():
        row |= {"chosen_score": scores[chosen].mean().item(),
                "chosen_not_above_base": (scores[chosen] <= base + 1e-6).float().mean().item()}
    return row
