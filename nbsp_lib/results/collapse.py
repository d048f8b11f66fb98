"""Cartpole: seeds are bimodal, so arms are compared by the share of collapsed seeds (data/verdict_rules.md, 2026-11-27)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from nbsp_lib.results.study import performances

TASK, POSITION = "cartpole-swingup", 3  # trained in position 2; position 3 trains balancing again
COLLAPSED, LEARNED = 0.3, 0.5
AGAINST = ("fine-tuning", "nbsp")
ALPHA = 0.05
HEADING = """## How many seeds lost swing-up altogether?

On cartpole a seed either keeps swing-up or loses it, so a mean describes no seed. This table counts the seeds that are below
0.3 on swing-up after balancing was trained again (position 3), with the exact interval of the share. "never had it" are those
below 0.5 before that. p is Fisher's exact test, two-sided; a star: below 0.05 shared among all arms compared with that one.

"""


def asked(study):
    """Whether the measure is defined for a sequence: swing-up was trained just before position 3, and not in it."""
    return len(study.tasks) >= POSITION and study.tasks[POSITION - 2] == TASK and study.tasks[POSITION - 1] != TASK


def collapse_rows(study, column="success"):
    """Returns a row an arm and seed that finished position 3: columns arm, seed, before (R[2, swing-up]), after (R[3, swing-up]),
    collapsed, learned (before at least 0.5)."""
    rows = []
    for arm, R in performances(study, column)[0].items():
        both = R[:, POSITION - 2 : POSITION, study.names.index(TASK)]  # [P, 2]
        rows += [
            {
                "arm": arm,
                "seed": seed,
                "before": before,
                "after": after,
                "collapsed": after < COLLAPSED,
                "learned": before >= LEARNED,
            }
            for seed, (before, after) in zip(study.seeds, both, strict=True)
            if np.isfinite([before, after]).all()
        ]
    return pd.DataFrame(rows, columns=["arm", "seed", "before", "after", "collapsed", "learned"])


def fisher(collapsed_a, n_a, collapsed_b, n_b):
    """Returns the two-sided p of Fisher's exact test that two arms collapse equally often."""
    return float(stats.fisher_exact([[collapsed_a, n_a - collapsed_a], [collapsed_b, n_b - collapsed_b]]).pvalue)


def collapse_table(rows, arms):
    """Returns a row an arm with seeds, in the order of arms: columns arm, n, never (seeds that had not learned it),
    collapsed, share, low, high (exact 95 % interval, Clopper & Pearson 1934), and for each arm of AGAINST: p_<arm>, and
    differs_<arm>, whether p is below 0.05 / number of arms compared with it. Empty where there is nothing to compare with."""
    counts = {
        arm: (int(here.collapsed.sum()), len(here), int((~here.learned.astype(bool)).sum()))
        for arm in arms
        if len(here := rows[rows.arm == arm])
    }
    table = []
    for arm, (collapsed, n, never) in counts.items():
        low, high = stats.binomtest(collapsed, n).proportion_ci(method="exact")
        row = {
            "arm": arm,
            "n": n,
            "never": never,
            "collapsed": collapsed,
            "share": collapsed / n,
            "low": low,
            "high": high,
        }
        for other in AGAINST:
            p = fisher(collapsed, n, *counts[other][:2]) if other in counts and arm != other else np.nan
            row |= {
                f"p_{other}": p,
                f"differs_{other}": "" if np.isnan(p) else "yes" if p < ALPHA / (len(counts) - 1) else "no",
            }
        table.append(row)
    return pd.DataFrame(table)


def collapse_wide(table):
    """Returns the table to read."""
    shown = pd.DataFrame(
        {
            "arm": table.arm,
            "collapsed": [f"{row.collapsed} of {row.n}" for row in table.itertuples()],
            "share": [f"{row.share:.2f} [{row.low:.2f}, {row.high:.2f}]" for row in table.itertuples()],
            "never had it": [f"{row.never} of {row.n}" for row in table.itertuples()],
        }
    )
    for other in AGAINST:
        cells = zip(table[f"p_{other}"], table[f"differs_{other}"], strict=True)
        shown[f"p against {other}"] = [
            "–" if np.isnan(p) else f"{p:.4f}{' *' if differs == 'yes' else ''}" for p, differs in cells
        ]
    return shown
