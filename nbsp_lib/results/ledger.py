"""Makes the ledger of claims: gathers numbers from the runs, sets the paper's beside them, writes the page."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pandas as pd

from nbsp_lib.envs.performance import BOUNDED, unit
from nbsp_lib.envs.sequences import SEQUENCES, tasks_of
from nbsp_lib.errors import ConfigError, one_of
from nbsp_lib.results.claims import seed_numbers
from nbsp_lib.results.handwritten import number, read_table, unique
from nbsp_lib.results.output import markdown
from nbsp_lib.results.study import performances
from nbsp_lib.results.tables import METRICS
from nbsp_lib.runs.settings import load_profile

NUMBERS = {
    "sequence": str,
    "arm": str,
    "seed": int,
    "positions": int,
    "whole": bool,
    "asr": float,
    "fm": float,
    "plasticity": float,
    "first": float,
    "diverged": bool,
}
SPEEDS = {
    "sequence": str,
    "arm": str,
    "seed": int,
    "updates_per_s": float,
    "hardware": str,
    "mode": str,
    "population": int,
}
PAPER = ("table", "sequence", "arm", "metric", "value", "source")
# lowest and highest value of a metric where performance lies in [0, 1]
BOUNDS = {
    "ASR": (0, 1),
    "FM": (-1, 1),
    "plasticity": (0, 1),
    "CW forward transfer": (-math.inf, 1),
    "Chaudhry FM": (-1, 1),
}
BEFORE, NOW = "rules of 2026-11-23", "rules of 2026-11-27"
TITLES = {
    "before": BEFORE,
    "verdict": NOW,
    "holding": "comparisons that hold",
    "compared": "of",
    "missing": "comparisons not run",
}
KEYS = ["claim", "measure", "better", "than"]
UNTIMED = (
    f"C7 by the {BEFORE}: timings are judged on shipped runs only; those of a run made here would differ at every "
    "repetition."
)
READ = (
    "d is positive where the difference is as claimed, with its 95 % interval. After a sequence: how many positions are "
    "compared. paired: position 1 is bit-equal in both arms, so d is taken seed by seed. dose: the share of trained rows "
    "that come from the store; where it is unequal (≠), d says nothing about masks."
)


def gather(studies, timed=True):
    """(numbers, speeds, scores) as claims.ledger takes them, from a results.Study per sequence; no speeds unless timed."""
    numbers, speeds = [], []
    for study in studies:
        tables, order = performances(study)
        for arm, R in tables.items():
            result, where = study.results[arm], {"sequence": study.sequence, "arm": arm}
            numbers.append(seed_numbers(R, order, study.seeds, result.run["diverged"]).assign(**where))
            speeds += [read_speeds(result.folder).assign(**where)] if timed else []
    scores = pd.concat([study.table("scores") for study in studies], ignore_index=True)
    return _stack(numbers, NUMBERS), _stack(speeds, SPEEDS), scores[scores.arm == "nbsp"]


def _stack(frames, columns):
    full = [frame[list(columns)] for frame in frames if len(frame)]
    return pd.concat(full or [pd.DataFrame(columns=list(columns))], ignore_index=True).astype(columns)


def read_speeds(folder):
    """Speed of each seed of a run: columns seed, updates_per_s, hardware, mode, population; no rows without a timing.json.

    Older runs recorded neither mode ("") nor population (0). A seed whose hardware or population changed on the way, null
    there, is left out.
    """
    path = Path(folder) / "timing.json"
    timing = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    rows = [
        (int(seed), one["updates_per_s"], one["hardware"], one.get("mode", ""), one.get("population", 0))
        for seed, one in timing.items()
        if None not in one.values()
    ]
    return pd.DataFrame(rows, columns=list(SPEEDS)[2:])


def read_paper(path, profiles=("params.yaml",)):
    """The rows of data/paper_numbers.csv: columns PAPER, value a float. ConfigError with the line of what cannot be right.

    An arm may be one of any of the `profiles`. Where performance has no upper bound, as on Atari, neither has a value.
    """
    arms = dict.fromkeys(arm for profile in profiles for arm in load_profile(profile).arms)
    rows = []
    for line, row in read_table(path, PAPER):
        where = f"{path}: line {line}"
        for name, cell in row.items():
            if not cell:
                raise ConfigError(f"{where}: {name} is empty")
        one_of(row["arm"], arms, "arm", where)
        one_of(row["metric"], METRICS, "metric", where)
        task = (SEQUENCES.get(row["sequence"]) or tasks_of(row["sequence"], where))[0]
        bounds = BOUNDS[row["metric"]] if unit(task) in BOUNDED else (-math.inf, math.inf)
        rows.append((line, row | {"value": number(row["value"], *bounds, f"{where}: value")}))
    unique(rows, ("table", "sequence", "arm", "metric"), path)
    return pd.DataFrame([row for _, row in rows], columns=list(PAPER)).astype({"value": float})


def beside(paper, ours):
    """The paper's numbers with ours beside them: paper has the columns of data/paper_numbers.csv.

    ours: columns sequence, arm, metric, ours, seeds. A number of the paper without one of ours keeps an empty cell.
    """
    keys = ["sequence", "arm", "metric"]
    as_text = dict.fromkeys(keys, object)  # an empty csv has no types
    both = paper.astype(as_text).merge(ours.astype(as_text), on=keys, how="left")
    counts = [math.nan if math.isnan(count) else int(count) for count in both.seeds]
    return both.assign(seeds=pd.Series(counts, both.index, dtype=object))  # as a column of numbers 3 would be 3.00


def escaped(both):
    """The paper's numbers, with the two columns that may hold any text as cells of a markdown table."""
    free = lambda cell: cell.replace("\\", "\\\\").replace("|", "\\|").replace("<", "\\<")
    return both.assign(table=both.table.map(free), source=both.source.map(free))


def side_by_side(before, now):
    """Returns (claims, comparisons) by the current rules, with those by the earlier rules in columns beside them.

    before, now: (claims, comparisons) of claims.ledger and of verdicts.ledger. A conjunct had no verdict before.
    """
    lines = now[0].merge(before[0][["claim", "verdict"]].rename(columns={"verdict": "before"}), on="claim", how="left")
    first = ["claim", "text", "before"]
    lines = lines[[*first, *(name for name in now[0].columns if name not in first)]].fillna({"before": ""})
    old = before[1][[*KEYS, "seeds", "mean", "low", "high", "outcome"]]
    return lines, now[1].merge(old, on=KEYS, how="left", suffixes=("", "_before"))


def difference(row, end=""):
    """Returns the cell mean [low, high] of a comparison; end: "_before" for the rules before."""
    mean, low, high = (row[f"{name}{end}"] for name in ("mean", "low", "high"))
    return "–" if pd.isna(mean) else f"{mean:+.2f} " + ("[one seed]" if pd.isna(low) else f"[{low:+.2f}, {high:+.2f}]")


def told(comparisons):
    """Returns the comparisons that were run, to read: a number with its interval in one cell, the outcome of both rules."""
    run = comparisons[(comparisons.outcome != "missing") | (comparisons.outcome_before != "missing")]
    cells = {
        "d": [difference(row) for _, row in run.iterrows()],
        "outcome": run.outcome,
        f"d, {BEFORE}": [difference(row, "_before") for _, row in run.iterrows()],
        f"outcome, {BEFORE}": run.outcome_before,
    }
    return run[[*KEYS, "sequences", "seeds", "paired", "dose"]].fillna("").assign(**cells)


def against_wide(rows):
    """Returns the table of verdicts.against to read: a row an arm, the one with the lowest difference in ASR first."""
    asr, fm = (rows[rows.measure == measure].set_index("than") for measure in ("asr", "fm"))
    first = asr.sort_values("mean", kind="stable")
    fm = fm.reindex(first.index)
    cells = {"plasticity": first.plasticity_than.round(2), "ASR, d": [difference(row) for _, row in first.iterrows()]}
    cells |= {
        "ASR, outcome": first.outcome,
        "FM, d": [difference(row) for _, row in fm.iterrows()],
        "FM, outcome": fm.outcome,
    }
    return first[["seeds", "paired", "dose"]].assign(**cells).rename_axis("arm").reset_index().fillna("–")


def switched(supporting):
    """Returns the rows of questions.question_table that stand beside a claim, to read."""
    about = supporting[supporting.about.str.match("C[0-9]")]
    return about[["question", "about", "arm", "against", "seeds", "n", "paired", "dose"]].assign(
        measure=about.measure.map({"old": "old task at the end", "asr": "both tasks"}),
        d=[difference(row) for _, row in about.iterrows()],
        outcome=about.outcome,
    )


def page(lines, comparisons, tuned, supporting, both, notes, trained):
    """claims.md: the ledger by both rules, comparisons, tuned arms, runs of one switch, the paper's numbers, what is missing.

    lines, comparisons: of side_by_side; tuned: the text of tuned.told; supporting: of questions.question_table.
    """
    run, one = told(comparisons), switched(supporting)
    gaps = comparisons[comparisons.outcome == "missing"].groupby(["claim", "better"], sort=False)
    missing = [
        f"{claim}: no comparison of {better} with {', '.join(dict.fromkeys(rows.than))}."
        for (claim, better), rows in gaps
    ]
    left_out = sorted({name for names in comparisons.not_learned.dropna() for name in names.split()})
    first = [
        f"{name}: counts in no comparison where a task was learned by neither arm when it was first trained, or a game "
        "does not pass the gate."
        for name in left_out
    ]
    return "\n".join(
        [
            "# Verdicts on the paper's claims",
            "",
            f"Rules: `data/verdict_rules.md`, both of its dates side by side. Runs trained under profile {trained}.",
            "Made by `notebooks/results/claims.py`.",
            "",
            markdown(lines.rename(columns=TITLES)),
            "## Comparisons that were run",
            "",
            READ,
            "",
            markdown(run) if len(run) else "None.\n",
            "## C1, tuned against tuned",
            "",
            "Settings are chosen by the rule of `data/verdict_rules.md` (E8), see `results/tuning/`.",
            "",
            tuned,
            "## Beside it: one switch",
            "",
            "Runs of `profiles/retention`, supporting evidence that changes no verdict; see `results/retention/`.",
            "",
            markdown(one) if len(one) else "None.\n",
            "## The paper's numbers beside ours",
            "",
            markdown(escaped(both))
            if len(both)
            else "`data/paper_numbers.csv` is empty: the paper's tables were not at hand.\n",
            "## What is missing",
            "",
            *(f"- {note}" for note in [*missing, *first, *notes]),
            "",
        ]
    )
