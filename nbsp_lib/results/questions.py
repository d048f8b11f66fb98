"""The questions asked of runs of one switch before they were trained (data/verdict_rules.md, 2026-11-27), and their answers.

Supporting evidence: the verdict on a claim comes from whole cycles (verdicts.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from nbsp_lib.results.evidence import dose
from nbsp_lib.results.retention import alike_at_switch, samples
from nbsp_lib.results.verdicts import judge

KNOWN = ("nbsp", "replay-only", "mask-only", "fine-tuning")
LATER, ALL = range(5, 10), range(10)  # LATER: every arm goes on from the same position 1, so pairs begin alike


@dataclass(frozen=True)
class Question:
    name: str
    about: str
    pairs: tuple[tuple[str, str], ...]  # (the arm that a claim says, or we suspect, to be better, the other)
    seeds: range = LATER
    measures: tuple[str, ...] = ("old", "asr")  # columns of retention.seed_rows

    @property
    def comparisons(self):
        """How many comparisons share the level."""
        return len(self.pairs) * len(self.measures)


CHOOSERS = (
    "select-activation",
    "select-weight",
    "select-importance",
    "select-random",
    "select-time",
    "select-shuffled",
    "select-dormant",
    "select-accuracy",
)  # the second line: controls
SHARES = ("share-05", "share-50", "share-80")
ENDS = ("mask-only-outgoing", "mask-only-both-ends", "mask-only-output-held", "mask-only-hidden-frozen")
DOSES = (
    ("nbsp-k2", "replay-only-k2"),
    ("nbsp-k4", "replay-only-k4"),
    ("nbsp", "replay-only"),
    ("nbsp-k20", "replay-only-k20"),
    ("mask-only", "fine-tuning"),
    ("er-10", "replay-only"),
)
PARTS = (
    ("nbsp", "replay-only"),
    ("nbsp", "mask-only"),
    ("replay-only", "fine-tuning"),
    ("mask-only", "fine-tuning"),
    ("nbsp-balanced", "nbsp"),
)
NETWORKS = (("critic-only", "actor-only"), ("nbsp", "critic-only"), ("nbsp", "actor-only"))
SWITCHES = tuple(
    (f"{arm}-{what}", arm) for arm in ("fine-tuning", "replay-only") for what in ("keep-temperature", "reset-adam")
)

QUESTIONS = (
    Question("E1", "C3: mask and replay", PARTS, seeds=ALL),
    Question("E4", "C4: actor or critic", NETWORKS, seeds=ALL),
    Question("E7", "C5: which neurons", tuple(("nbsp", arm) for arm in CHOOSERS)),
    Question("E7", "C6: how many neurons", tuple(("nbsp", arm) for arm in SHARES), measures=("asr",)),
    Question(
        "E2", "which end of a neuron", tuple((arm, other) for arm in ENDS for other in ("mask-only", "fine-tuning"))
    ),
    Question("E5", "the mask at every dose of replay", DOSES),
    Question("E6", "is it the switch", SWITCHES),
)


def question_table(rows, read, questions=QUESTIONS, known=KNOWN):
    """Returns one row for each question, each of its pairs of which both arms have runs, and each measure: columns question,
    about, arm, against, measure, seeds, n, paired, dose, mean, low, high, outcome (verdicts.outcome, its level shared inside
    the question).

    rows, read: of retention. A pair of two arms of `known` has its rows twice in a question of all seeds: with them all, and
    without 0 to 4, which had been looked at when the rules were written.
    """
    lines = []
    for question in questions:
        for pair in question.pairs:
            if not {*pair} <= {*read}:
                continue
            again = [LATER] * ({*pair} <= {*known} and question.seeds == ALL)
            for seeds in (question.seeds, *again):
                lines += answers(question, pair, rows, read, seeds)
    columns = [
        "question",
        "about",
        "arm",
        "against",
        "measure",
        "seeds",
        "n",
        "paired",
        "dose",
        "mean",
        "low",
        "high",
        "outcome",
    ]
    return pd.DataFrame(lines, columns=columns)


def answers(question, pair, rows, read, seeds):
    """Returns the rows of question_table of one pair over these seeds; none where an arm has none of them."""
    rows = rows[rows.seed.isin(seeds)]
    here = [rows[rows.arm == arm] for arm in pair]
    if not all(map(len, here)):
        return []
    paired = alike_at_switch(rows, read, pair)
    failed = any({*read[arm].run["diverged"]} & {*seeds} for arm in pair)
    doses, lines = [dose(read[arm].run) for arm in pair], []
    said = f"{doses[0]:g} {'=' if doses[0] == doses[1] else '≠'} {doses[1]:g}"
    new = [each.mean() for each in samples(rows, pair, "new", paired)]
    for measure in question.measures:
        groups = [(*samples(rows, pair, measure, paired), paired)]
        found = judge("fm" if measure == "old" else "asr", groups, question.comparisons, *new, failed)
        lines.append(
            {
                "question": question.name,
                "about": question.about,
                "arm": pair[0],
                "against": pair[1],
                "measure": measure,
                "seeds": f"{seeds[0]}–{seeds[-1]}",
                "n": found["seeds"],
                "paired": "paired" if paired else "two samples",
                "dose": said,
                **{name: found[name] for name in ("mean", "low", "high", "outcome")},
            }
        )
    return lines
