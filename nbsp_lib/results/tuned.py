"""Tuned against tuned: the comparisons of a claim with the arms that carry the chosen settings, see tuning.py."""

from __future__ import annotations

import pandas as pd

from nbsp_lib.results.claims import CLAIMS
from nbsp_lib.results.comparisons import of_benchmark
from nbsp_lib.results.ledger import difference
from nbsp_lib.results.output import markdown
from nbsp_lib.results.verdicts import compare, verdict


def tuned_rows(numbers, arms, claim=CLAIMS[0]):
    """Returns the comparisons of a claim, tuned against tuned, a row of `compare` each: of `nbsp`, and of its tuned arm where
    that is another, with the tuned arm of every rival.

    numbers: of evidence.gather; arms: of tuning.chosen_arms, who is not in it has nothing to tune.
    """
    rows = of_benchmark(numbers, claim.benchmark)
    planned = len(claim.pairs) * len(claim.measures)
    return [
        compare(rows, measure, own, arms.get(rival, rival), planned)
        for own in dict.fromkeys(("nbsp", arms["nbsp"]))
        for _, rival in claim.pairs
        for measure in claim.measures
    ]


def told(rows, sequences=CLAIMS[0].sequences):
    """Returns the text of tuned_rows to read: of each arm of NBSP the verdict, what was compared, and what is missing.

    sequences: fewest for "reproduced".
    """
    parts = []
    for arm in dict.fromkeys(row["better"] for row in rows):
        own = [row for row in rows if row["better"] == arm]
        run = pd.DataFrame([row for row in own if row["outcome"] != "missing"])
        missing = dict.fromkeys(row["than"] for row in own if row["outcome"] == "missing")
        text = f"`{arm}` against tuned rivals: **{verdict(own, sequences)}**."
        parts.append(text + (f" Not run: {', '.join(missing)}." if missing else "") + "\n")
        if len(run):
            columns = ["measure", "than", "sequences", "seeds", "paired", "dose", "outcome"]
            parts.append(markdown(run[columns].assign(d=[difference(row) for _, row in run.iterrows()])))
    return "\n".join(parts)
