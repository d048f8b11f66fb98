"""The verdicts on the paper's claims by the rules of 2026-11-27, data/verdict_rules.md; those of 2026-11-23 are in claims.py.

`numbers` are the rows of evidence.gather. A comparison says whether arm `better` has more ASR, or less FM, than arm `than`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from nbsp_lib.results.claims import CLAIMS, COST, COSTS, ENOUGH, uninformative
from nbsp_lib.results.comparisons import (
    HOLDS,
    LEARNED,
    MARGIN,
    UNTOLD,
    ledger_line,
    of_benchmark,
    without_difference,
)
from nbsp_lib.results.evidence import alike
from nbsp_lib.results.intervals import LEVEL, interval

CONJUNCTS = {
    "C3": (
        ("C3a", "the mask is needed beside replay", ("nbsp", "replay-only")),
        ("C3b", "replay is needed beside the mask", ("nbsp", "mask-only")),
    )
}
RANKS = ("not", "not run", "open", "partly", "reproduced")  # from the weakest
INDICATIVE = " (indicative)"
DEAR, CHEAP = 0.25, 0.10  # overheads above which C7 is not, up to which it is reproduced


def shared_level(comparisons):
    """Returns the level of one of several intervals that a verdict looks at together (Bonferroni)."""
    return 1 - (1 - LEVEL) / comparisons


def contrast(groups):
    """Returns (parts of intervals.interval, n) of the difference of two arms over sequences.

    groups: a sequence each, (values of A [n_a], of B [n_b], whether they are paired: then in the same order of seeds). A
    sequence weighs by n, its pairs or the seeds of the smaller sample; n returned is the smallest.
    """
    sizes = [min(len(a), len(b)) for a, b, _ in groups]
    parts = []
    for (a, b, paired), size in zip(groups, sizes, strict=True):
        weight = size / sum(sizes)
        parts += [(weight, np.subtract(a, b))] if paired else [(weight, a), (-weight, b)]
    return parts, min(sizes)


def outcome(measure, mean, low, high, shared_high, n, plasticity_a, plasticity_b, failed):
    """Returns the outcome of one comparison; rules in this order. shared_high: upper end at the shared level; failed: a seed
    diverged."""
    if known := without_difference(measure, mean, plasticity_a, plasticity_b):
        return known
    if n >= ENOUGH and mean <= -MARGIN and shared_high < 0:
        return "contrary"
    if mean >= MARGIN:
        return "yes" if low > 0 and not failed else "leaning"
    return "no" if high < MARGIN else "open"


def judge(measure, groups, comparisons, plasticity_a, plasticity_b, failed):
    """Returns n, mean, low, high, shared_high and outcome of a difference d, positive as claimed; groups as in `contrast`."""
    parts, n = contrast(groups)
    mean, low, high = (round(x, 6) for x in interval(parts))
    shared_high = round(interval(parts, shared_level(comparisons))[2], 6)
    return {
        "seeds": n,
        "mean": mean,
        "low": low,
        "high": high,
        "shared_high": shared_high,
        "outcome": outcome(measure, mean, low, high, shared_high, n, plasticity_a, plasticity_b, failed),
    }


def stretch(a, b):
    """Returns the rows of two arms that are compared in one sequence, and whether seed by seed.

    k is the largest number of positions that at least half of the pairs (of the smaller sample, where there are no pairs)
    have finished that finished two. Paired: position 1 is bit-equal in every seed that both finished; then only these seeds,
    in one order.
    """
    a, b = (rows.dropna(subset=["asr"]).sort_values(["positions", "seed"]) for rows in (a, b))
    both = set(a.seed) & set(b.seed)
    paired = alike(*(rows[rows.seed.isin(both)].drop_duplicates("seed") for rows in (a, b)))
    if paired:
        a, b = (rows[rows.seed.isin(both)] for rows in (a, b))
    counts = {
        k: len(set(a[a.positions == k].seed) & set(b[b.positions == k].seed))
        if paired
        else min((a.positions == k).sum(), (b.positions == k).sum())
        for k in {*a.positions} | {*b.positions}
    }
    k = max((k for k, count in counts.items() if count and 2 * count >= max(counts.values())), default=0)
    a, b = (rows[rows.positions == k] for rows in (a, b))
    if paired:
        both = set(a.seed) & set(b.seed)
        a, b = (rows[rows.seed.isin(both)] for rows in (a, b))
    return a, b, paired


def compare(numbers, measure, better, than, comparisons):
    """Returns one row of the table of comparisons. comparisons: how many the claim plans, which share its level."""
    used, left_out, failed = [], [], False
    for sequence, rows in numbers.groupby("sequence"):
        own = [rows[rows.arm == arm] for arm in (better, than)]
        a, b, paired = stretch(*own)
        if not min(len(a), len(b)):
            continue
        learned = np.maximum(*(np.mean(np.stack(x.learned.to_list()), axis=0) for x in (a, b)))  # [tasks], NaN stays
        if not (learned >= LEARNED).all():
            left_out.append(sequence)
            continue
        failed |= bool(pd.concat(own).diverged.astype(bool).any())
        used.append((sequence, a, b, paired))
    row = {
        "measure": measure,
        "better": better,
        "than": than,
        "sequences": " ".join(f"{name}:{a.positions.iloc[0]}" for name, a, *_ in used),
        "not_learned": " ".join(left_out),
        "whole": bool(used) and all(a.whole.all() for _, a, *_ in used),
        "seeds": 0,
        "paired": "",
        "dose": "",
        **dict.fromkeys(("mean", "low", "high", "shared_high", "plasticity_better", "plasticity_than"), np.nan),
        "outcome": "missing",
    }
    if not used:
        return row
    sign = 1 if measure == "asr" else -1
    of = lambda rows: sign * rows[measure].to_numpy(dtype=float)
    groups = [(of(a), of(b), paired) for _, a, b, paired in used]
    pa, pb = (round(float(np.concatenate([each[i].plasticity for each in used]).mean()), 6) for i in (1, 2))
    doses = [float(np.mean([each[i].dose.mean() for each in used])) for i in (1, 2)]
    kinds = {"paired" if paired else "two samples" for *_, paired in used}
    said = f"{doses[0]:g} {'=' if np.isclose(*doses) else '≠'} {doses[1]:g}"
    return row | {
        "paired": " and ".join(sorted(kinds)),
        "dose": said,
        "plasticity_better": pa,
        "plasticity_than": pb,
        **judge(measure, groups, comparisons, pa, pb, failed),
    }


def against(numbers, arm):
    """Returns the rows of `compare` of `arm` with every other arm that ran, in ASR and in FM, all at one shared level; those
    that do not count are left out."""
    others = [other for other in dict.fromkeys(numbers.arm) if other != arm]
    rows = [compare(numbers, measure, arm, other, 2 * len(others)) for other in others for measure in ("asr", "fm")]
    return pd.DataFrame([row for row in rows if row["outcome"] != "missing"])


def verdict(rows, sequences=1):
    """Returns the verdict of a claim, or of a conjunct, from its comparisons; `sequences` = fewest for "reproduced"."""
    told = [row for row in rows if row["outcome"] not in UNTOLD]
    contrary = [row for row in told if row["outcome"] == "contrary"]
    if contrary:  # one rival that is better is enough, also before the others have run
        return "not" + INDICATIVE * (not any(row["whole"] for row in contrary))
    pairs, tried = ({(row["better"], row["than"]) for row in some} for some in (rows, told))
    if not told or 2 * len(tried) < len(pairs):
        return "not run"
    enough = min(row["seeds"] for row in told) >= ENOUGH and all(row["whole"] for row in told)
    outcomes = [row["outcome"] for row in told]
    if 2 * outcomes.count("no") > len(told):
        return "not" + INDICATIVE * (not enough)
    complete = set(outcomes) == {"yes"} and all(row["outcome"] != "missing" for row in rows)
    if complete and enough and min(len(row["sequences"].split()) for row in told) >= sequences:
        return "reproduced"
    return ("partly" if 2 * sum(x in HOLDS for x in outcomes) >= len(told) else "open") + INDICATIVE * (not enough)


def weaker(verdicts):
    """Returns the weakest of verdicts, in the order of RANKS; of two alike the indicative one."""
    return min(verdicts, key=lambda text: (RANKS.index(text.removesuffix(INDICATIVE)), not text.endswith(INDICATIVE)))


def cost(updates, scoring):
    """Returns C7 as one row: `mean` is the overhead of nbsp over fine-tuning. updates, scoring: evidence.benchmarked."""
    row = {
        "claim": COSTS.name,
        "measure": "overhead",
        "better": COST[0],
        "than": COST[1],
        "sequences": "benchmarks",
        "whole": True,
        "seeds": min(len(updates), len(scoring)),
        "outcome": "missing",
    }
    if not row["seeds"]:
        return row
    mean, low, high = (round(x, 6) for x in interval([(1.0, updates), (1.0, scoring)]))
    return row | {
        "mean": mean,
        "low": low,
        "high": high,
        "outcome": "yes" if high <= CHEAP else "no" if mean > DEAR else "leaning",
    }


def ledger(numbers, benchmarked, scores):
    """Returns (claims, comparisons): a row a claim and conjunct with its verdict; and a row a comparison.

    benchmarked: see evidence.benchmarked; scores: rows of scores.csv of the arm nbsp.
    """
    lines, comparisons = [], []
    for claim in CLAIMS:
        planned = len(claim.pairs) * len(claim.measures)
        rows = [
            {"claim": claim.name} | compare(of_benchmark(numbers, claim.benchmark), measure, *pair, planned)
            for pair in claim.pairs
            for measure in claim.measures
        ]
        conjuncts = [
            (name, text, [row for row in rows if (row["better"], row["than"]) == pair])
            for name, text, pair in CONJUNCTS.get(claim.name, ())
        ]
        parts = [ledger_line(name, text, verdict(some, claim.sequences), some) for name, text, some in conjuncts]
        found = weaker([part["verdict"] for part in parts]) if parts else verdict(rows, claim.sequences)
        if claim.name == "C5" and found == "reproduced" and uninformative(of_benchmark(scores, claim.benchmark)):
            found = "partly"
        lines += [ledger_line(claim.name, claim.text, found, rows), *parts]
        comparisons += rows
    row = cost(*benchmarked)
    lines.append(ledger_line(COSTS.name, COSTS.text, verdict([row]), [row]))
    return pd.DataFrame(lines), pd.DataFrame([*comparisons, row])
