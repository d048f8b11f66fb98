"""The paper's claims C1–C7, each with its verdict: the rules of data/verdict_rules.md, one function a rule.

`numbers` has a row per sequence, arm, seed and number of positions k = 2 … K: columns sequence, arm, seed, positions,
whole (k = K), asr, fm, plasticity, first (success on the first task after position 1), diverged. asr, fm and plasticity
are those of the first k positions and the tasks seen there, NaN where the seed has not finished them.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from nbsp_lib.results import metrics
from nbsp_lib.results.comparisons import HOLDS, UNTOLD, compare, interval, ledger_line, of_benchmark

ENOUGH = 5  # seeds below which every verdict is indicative
RIVALS = ("fine-tuning", "ewc", "npc", "ancl", "cotasp", "crelu", "cbp", "pi")
SELECTORS = ("select-activation", "select-weight", "select-importance", "select-random")
COST = ("nbsp", "fine-tuning")


@dataclass(frozen=True)
class Claim:
    name: str
    text: str
    pairs: tuple[tuple[str, str], ...]  # (the arm said to be better, the other)
    measures: tuple[str, ...] = ("asr", "fm")
    sequences: int = 1  # fewest sequences for "reproduced"
    benchmark: str = "metaworld"  # whose sequences it is about


CLAIMS = (
    Claim(
        "C1",
        "NBSP has the highest ASR and the lowest FM of all methods on the Meta-World cycles",
        tuple(("nbsp", rival) for rival in RIVALS),
        sequences=2,
    ),
    Claim("C2", "the same on Atari", tuple(("nbsp", rival) for rival in RIVALS), sequences=2, benchmark="atari"),
    Claim("C3", "masking and replay are both needed", (("nbsp", "replay-only"), ("nbsp", "mask-only"))),
    Claim(
        "C4",
        "the critic matters more than the actor, and both together most",
        (("critic-only", "actor-only"), ("nbsp", "critic-only"), ("nbsp", "actor-only")),
    ),
    Claim("C5", "goal-oriented scores beat other ways to pick neurons", tuple(("nbsp", arm) for arm in SELECTORS)),
    Claim(
        "C6",
        "the share of skill neurons has a sweet spot near 0.2",
        (("nbsp", "share-05"), ("nbsp", "share-50")),
        measures=("asr",),
    ),
)
COMPARED = tuple(dict.fromkeys(arm for claim in CLAIMS for pair in claim.pairs for arm in pair))
COSTS = Claim("C7", "NBSP costs little", ())


def seed_numbers(R, order, seeds, diverged=()):
    """Rows of `numbers` without sequence and arm: R [P, K, M], order [K] as in metrics; diverged: seeds that did."""
    K, frames = len(order), []
    for k in range(2, K + 1):
        table, visits = R[:, :k, : max(order[:k]) + 1], order[:k]  # tasks are numbered in order of first visit
        frames.append(
            pd.DataFrame(
                {
                    "seed": list(seeds),
                    "positions": k,
                    "whole": k == K,
                    "asr": metrics.asr(table, visits),
                    "fm": metrics.forgetting(table, visits),
                    "plasticity": metrics.plasticity(table, visits),
                    "first": R[:, 0, order[0]],
                    "diverged": [seed in diverged for seed in seeds],
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def verdict(rows, sequences=1):
    """Verdict of a claim from its comparisons (dicts of `compare`); `sequences` = fewest for "reproduced"."""
    told = [row for row in rows if row["outcome"] not in UNTOLD]
    pairs, tried = ({(row["better"], row["than"]) for row in some} for some in (rows, told))
    if not told or 2 * len(tried) < len(pairs):
        return "not run"
    n = min(row["seeds"] for row in told)
    enough = n >= ENOUGH and all(row["whole"] for row in told)
    suffix = "" if enough else " (indicative)"
    outcomes = [row["outcome"] for row in told]
    if "contrary" in outcomes or 2 * sum(x in HOLDS for x in outcomes) < len(told):
        return "not" + suffix
    complete = set(outcomes) == {"yes"} and all(row["outcome"] != "missing" for row in rows)
    wide = min(len(row["sequences"].split()) for row in told) >= sequences
    return "reproduced" if complete and wide and enough else "partly" + suffix


def cost(speeds):
    """C7 as one row of the table of comparisons; `mean` is the overhead, updates/s of fine-tuning ÷ those of NBSP − 1.

    speeds: columns sequence, arm, seed, updates_per_s and what must be alike: hardware, mode, population.
    """
    a, b = (speeds[speeds.arm == arm] for arm in COST)
    rows = a.merge(b, on=["sequence", "seed", "hardware", "mode", "population"], suffixes=("_a", "_b")).dropna()
    row = {
        "claim": "C7",
        "measure": "overhead",
        "better": COST[0],
        "than": COST[1],
        "sequences": " ".join(sorted(set(rows.sequence))),
        "whole": True,
        "seeds": 0,
        "outcome": "missing",
    }
    if rows.empty:
        return row
    mean, low, high = interval(rows.assign(d=rows.updates_per_s_b / rows.updates_per_s_a - 1), "d")
    return row | {
        "seeds": int(rows.groupby("sequence").size().min()),
        "mean": mean,
        "low": low,
        "high": high,
        "outcome": "yes" if high <= 0.10 else "no" if mean > 0.25 else "leaning",
    }


def uninformative(scores):
    """Whether over half of the neurons that `nbsp` chose do not score above the base rate of a silent neuron."""
    return scores[scores.status == "scored"].chosen_not_above_base.mean() > 0.5


def ledger(numbers, speeds, scores):
    """(claims, comparisons): a row a claim with verdict, seeds, how many comparisons hold; and a row a comparison.

    scores: rows of scores.csv of the arm nbsp; speeds: see `cost`.
    """
    lines, comparisons = [], []
    for claim in CLAIMS:
        rows = [
            {"claim": claim.name} | compare(of_benchmark(numbers, claim.benchmark), measure, *pair)
            for pair in claim.pairs
            for measure in claim.measures
        ]
        found = verdict(rows, claim.sequences)
        if claim.name == "C5" and found == "reproduced" and uninformative(scores):
            found = "partly"
        lines.append(ledger_line(claim.name, claim.text, found, rows))
        comparisons += rows
    row = cost(of_benchmark(speeds, COSTS.benchmark))
    lines.append(ledger_line(COSTS.name, COSTS.text, verdict([row]), [row]))
    return pd.DataFrame(lines), pd.DataFrame([*comparisons, row])
