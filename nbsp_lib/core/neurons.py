"""Goal-oriented scores -> skill neurons -> masks: Eq. 1–7 of the paper as pure functions.

P population (seed), T time steps of a rollout, W neurons. The equations are reconstructed from public reviews; what is
certain and what is not is said in docs/protocol.md.
"""

from __future__ import annotations

import torch


def activation(hidden):
    """Returns one number a neuron, [P, C, B, W], from a layer's hidden activations: the spatial mean of a convolution's map
    [P, C, B, W, H, W'], whose channels are its neurons (ours, see docs/protocol.md); dense layers are returned unchanged."""
    return hidden.flatten(4).mean(4) if hidden.dim() == 6 else hidden


def constant_goal(goal):
    """Returns in which seeds no neuron can be scored, [P] bool: the goal metric [P, T] never changes in the rollout, or is not
    finite somewhere (a benchmark without success has NaN)."""
    return ~torch.isfinite(goal).all(1) | (goal.amax(1) == goal.amin(1))


def skill_scores(hidden, goal, score="paper"):
    """Scores how well "this neuron is unusually active" agrees with "the goal metric is unusually high", per neuron [P, W].

    hidden [P, T, W] activations, goal [P, T] goal metric of the same moments.
    Eq. 1–2: thresholds are the means over the rollout. Eq. 3: Acc = share of the T moments on which the two agree.
    Eq. 4 (`score="paper"`): max(Acc, 1 − Acc), in [0.5, 1], so that an anti-correlated neuron counts too.
    "balanced" (ours): Acc is the mean of the hit rates on goal moments and on the others, so that a neuron that never fires
    gets 0.5, independent of the base rate. "accuracy": Acc alone, in [0, 1].
    ValueError if a seed's goal metric is constant or not finite: Eq. 3 is then undefined.
    """
    if score not in SCORES:
        raise ValueError(f"score must be one of {', '.join(SCORES)}, not {score!r}")
    if bool(constant_goal(goal).any()):
        rows = constant_goal(goal).nonzero().flatten().tolist()
        raise ValueError(
            f"the goal metric is constant or not finite in the rollout of population rows {rows}: nothing to score"
        )
    active = hidden > hidden.mean(1, keepdim=True)  # [P, T, W]
    good = (goal > goal.mean(1, keepdim=True))[..., None]  # [P, T, 1]
    agree = (active == good).to(hidden.dtype)  # [P, T, W]
    if score == "balanced":
        hit = lambda moments: (agree * moments).sum(1) / moments.sum(1)  # [P, W]
        accuracy = (hit(good.to(agree)) + hit((~good).to(agree))) / 2
    else:
        accuracy = agree.mean(1)
    return accuracy if score == "accuracy" else torch.maximum(accuracy, 1 - accuracy)


SCORES = ("paper", "balanced", "accuracy")


def base_rate(goal, score="paper"):
    """Returns the score of a neuron that never fires, [P]: "paper": max(q, 1 − q); "balanced": 0.5; "accuracy": 1 − q.

    q: share of the moments whose goal metric is above its mean. A constant goal metric is allowed, with q = 0; NaN if the goal
    metric [P, T] is not finite.
    """
    share = (goal > goal.mean(1, keepdim=True)).float().mean(1)
    rates = {"paper": torch.maximum(share, 1 - share), "balanced": torch.full_like(share, 0.5), "accuracy": 1 - share}
    return torch.where(torch.isfinite(goal).all(1), rates[score], torch.nan)


def silent(hidden):
    """Returns which neurons never fire in the rollout: hidden [P, T, W] -> bool [P, W]."""
    return (hidden == 0).all(1)


def unit_activity(hidden):
    """Returns each unit's mean |h| over the mean of its layer, [P, C, W]: s of Sokar et al. 2023, Eq. 1. hidden [P, C, B, W]."""
    size = hidden.abs().mean(2)  # [P, C, W]
    return size / (size.mean(2, keepdim=True) + 1e-9)


def importance(hidden, blame):
    """Returns Taylor's estimate of how much the loss needs each unit, [P, C, W]: mean |h · dL/dh| over the batch, as a
    multiple of its layer's root mean square (Paik et al. 2020). hidden, blame [P, C, B, W]; zeros for a layer that is all
    zero."""
    size = (hidden * blame).abs().mean(2)  # [P, C, W]
    size = size / size.amax(2, keepdim=True).clamp_min(1e-30)  # or the squares of small losses underflow
    return size / size.pow(2).mean(2, keepdim=True).sqrt().clamp_min(1e-30)


def incoming_norm(w, b):
    """Returns the Euclidean norm of each unit's incoming weights and bias, [P, C, W]. w [P, C, in, W], b [P, C, 1, W]."""
    return (w.pow(2).sum(2) + b[:, :, 0].pow(2)).sqrt()


def top_neurons(scores, share):
    """Chooses the floor(share · W) best-scored neurons of each seed, bool [P, W]; ties go to the lower index, NaN comes last."""
    count = int(share * scores.shape[1] + 1e-9)  # 0.29 · 100 is 28.999…
    known = torch.where(scores.isnan(), -torch.inf, scores)  # a sort takes NaN for the largest number
    best = known.sort(dim=1, descending=True, stable=True).indices[:, :count]  # [P, count]
    return torch.zeros_like(scores, dtype=torch.bool).scatter_(1, best, True)


def neuron_mask(scores, chosen, alpha):
    """Returns the share of its free step that each neuron keeps, [P, W]: α (1 − score) if chosen, else 1. Eq. 7 (its form is
    ours)."""
    return torch.where(chosen, alpha * (1 - scores), 1.0)


def held_shares(units, weights, ends="incoming", output=None):
    """Returns {name: share of its free step that a parameter keeps}, broadcastable to it; a parameter that is not named is
    free.

    units: mask [P, C, 1, W] of the neurons of each hidden layer; weights: "w0" [P, C, in, W], "w1", …, of the whole network.
    ends: "incoming", a neuron's column of weights and its bias; "outgoing", its rows of the next layer's weights, also those
    of the output layer; "both". output: the share of the output layer's weights and bias, broadcastable to them, or None.
    Where two masks meet on one weight the smaller holds.
    """
    kept = {} if ends == "outgoing" else {f"{kind}{i}": unit for i, unit in enumerate(units) for kind in "wb"}
    if output is not None:
        kept |= {f"{kind}{len(units)}": output for kind in "wb"}
    for i, unit in enumerate(units) if ends != "incoming" else ():
        name = f"w{i + 1}"
        rows = unit.mT.repeat_interleave(weights[name].shape[2] // unit.shape[3], 2)  # of a filter several, see conv.py
        kept[name] = torch.minimum(kept[name], rows) if name in kept else rows
    return kept


def choice(scores, chosen, base):
    """Compares the chosen neurons' scores of one seed with chance and with `base`, the score of a silent neuron, for scores.csv.

    scores, chosen: [1 + D, N], of the same choice with the true labels first, then with D exchanges of the labels.
    null_score: the mean score of the neurons chosen with exchanged labels, over the D. A chosen_score that is no higher says
    nothing about the goal.
    """
    row = {"status": "scored", "base_rate": base, "all_score": scores[0].mean().item(), "chosen": int(chosen[0].sum())}
    if chosen[0].any():
        best = scores[0][chosen[0]]
        row |= {
            "chosen_score": best.mean().item(),
            "chosen_not_above_base": (best <= base + 1e-6).float().mean().item(),
            "null_score": scores[1:][chosen[1:]].mean().item(),
        }
    return row
