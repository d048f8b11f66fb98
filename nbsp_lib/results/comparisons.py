"""Comparisons of two arms: outcomes, and lines of the ledger, as both dates of rules have them; for claims.py also the
paired comparison by the rules of 2026-11-23: the same seeds of both arms, an interval of the difference, an outcome."""

from __future__ import annotations

import numpy as np
import pandas as pd

from nbsp_lib.envs.sequences import benchmark_of, tasks_of
from nbsp_lib.results import metrics

UNTOLD = ("missing", "void")  # outcomes that say nothing about a claim
HOLDS = ("yes", "leaning")
MARGIN = 0.05  # smallest mean difference that counts
LEARNED = 0.5  # success on the first task below which a sequence tells nothing


def paired(numbers, better, than):
    """Seeds that finished with both arms, a row each (columns …_a of `better`, …_b of `than`), and who falls out.

    Of each sequence, the rows of the largest k that at least half of the pairs which finished two positions finished.
    -> (rows of the sequences whose first task was learned, names of the other sequences, whether a seed of the former
    diverged in either arm).
    """
    a, b = (numbers[numbers.arm == arm] for arm in (better, than))
    both = a.merge(b, on=["sequence", "seed", "positions", "whole"], suffixes=("_a", "_b"))
    done = both.dropna(subset=["asr_a", "asr_b"])
    chosen = [done.iloc[:0]]
    for _, group in done.groupby("sequence"):
        counts = group.positions.value_counts()
        chosen.append(group[group.positions == counts.index[2 * counts >= counts.max()].max()])
    done = pd.concat(chosen)
    learned = done.groupby("sequence").first_a.mean() >= LEARNED
    counted = both.sequence.isin(learned.index[learned])
    failed = both[counted][["diverged_a", "diverged_b"]].to_numpy(dtype=bool).any()
    return done[done.sequence.isin(learned.index[learned])], sorted(learned.index[~learned]), bool(failed)


def interval(rows, column):
    """Mean of a column and its 95 % bootstrap interval, strata = sequences -> (mean, low, high), 6 digits."""
    values = {name: group[column].to_numpy() for name, group in rows.groupby("sequence")}
    return tuple(round(x, 6) for x in metrics.stratified_bootstrap(values, np.mean))


def without_difference(measure, mean, plasticity_a, plasticity_b):
    """Returns the outcome of a comparison that its difference does not decide, by the rules of either date: missing (nothing was
    measured), void or no (forgetting little because little was learned, by the other or by this one); otherwise None."""
    if not np.isfinite([mean, *((plasticity_a, plasticity_b) if measure == "fm" else ())]).all():
        return "missing"  # comparisons with NaN are false: they would decide something
    if measure == "fm" and plasticity_b < plasticity_a / 2:
        return "void"
    if measure == "fm" and plasticity_a < plasticity_b / 2:
        return "no"
    return None


def outcome(measure, mean, low, high, plasticity_a, plasticity_b, failed):
    """Outcome of one comparison with seeds: missing (nothing was measured), void, no, contrary, yes or leaning; rules in this
    order."""
    if known := without_difference(measure, mean, plasticity_a, plasticity_b):
        return known
    if mean <= -MARGIN and high < 0:
        return "contrary"
    if mean >= MARGIN:
        return "yes" if low > 0 and not failed else "leaning"
    return "no"


def compare(numbers, measure, better, than):
    """One row of the table of comparisons. `mean` is positive where the difference is as claimed: more ASR, less FM."""
    rows, left_out, failed = paired(numbers, better, than)
    names = sorted({f"{name}:{k}" for name, k in zip(rows.sequence, rows.positions, strict=True)})
    row = {
        "measure": measure,
        "better": better,
        "than": than,
        "sequences": " ".join(names),
        "whole": bool(rows.whole.all()),
        "not_learned": " ".join(left_out),
        "seeds": 0,
        "mean": np.nan,
        "low": np.nan,
        "high": np.nan,
        "plasticity_better": np.nan,
        "plasticity_than": np.nan,
        "outcome": "missing",
    }
    if rows.empty:
        return row
    sign = 1 if measure == "asr" else -1
    rows = rows.assign(d=sign * (rows[f"{measure}_a"] - rows[f"{measure}_b"]))
    mean, low, high = interval(rows, "d")
    pa, pb = (round(rows[name].mean(), 6) for name in ("plasticity_a", "plasticity_b"))
    return row | {
        "seeds": int(rows.groupby("sequence").size().min()),
        "mean": mean,
        "low": low,
        "high": high,
        "plasticity_better": pa,
        "plasticity_than": pb,
        "outcome": outcome(measure, mean, low, high, pa, pb, failed),
    }


def of_benchmark(rows, benchmark):
    """The rows whose sequence is of a benchmark."""
    return rows[rows.sequence.map(lambda name: benchmark_of(tasks_of(name)[0])) == benchmark]


def ledger_line(name, text, verdict, rows):
    """One row of the ledger: a claim with its verdict, seeds, and how many of its comparisons `rows` hold."""
    told = [row for row in rows if row["outcome"] not in UNTOLD]
    return {
        "claim": name,
        "text": text,
        "verdict": verdict,
        "seeds": min((row["seeds"] for row in told), default=0),
        "holding": sum(row["outcome"] in HOLDS for row in told),
        "compared": len(told),
        "missing": sum(row["outcome"] == "missing" for row in rows),
    }
