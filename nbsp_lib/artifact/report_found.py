"""What was found, for the first page of the site: numbers of the tables, never typed."""

from __future__ import annotations

import shutil
from pathlib import Path

from nbsp_lib.runs.files import read_csv

ARMS = ("nbsp", "replay-only", "mask-only", "fine-tuning")


def found(results: Path) -> dict | None:
    """Success on the old task after one switch of the four arms that take NBSP apart, and what the mask adds to replay, with its
    interval, there and (`second`, None without runs) on another pair of tasks; None where these tables or arms are not there, or
    where the arms have not the same number of seeds."""
    tables = [results / f"retention/{name}.csv" for name in ("retention", "retention_pairs")]
    if not all(table.exists() for table in tables):
        return None
    rows, pairs = map(read_csv, tables)
    means, counts = rows.groupby("arm").old.mean(), rows.arm.value_counts()
    bounds = added(pairs)
    if not bounds or not set(ARMS) <= set(means.index) or counts[list(ARMS)].nunique() != 1:
        return None
    other = results / "second_pair/retention_pairs.csv"
    second = added(read_csv(other)) if other.exists() else None
    return {"old": [means[arm] for arm in ARMS], "n": int(counts[ARMS[0]]), **bounds, "second": second}


def added(pairs) -> dict | None:
    """What the mask adds to replay on the old task, of retention_pairs.csv: mask, low, high, whether that is visible."""
    mask = pairs[(pairs.arm == "nbsp") & (pairs.against == "replay-only") & (pairs.measure == "old")]
    if mask.empty:
        return None
    row = mask.iloc[0]
    return {"mask": row["mean"], "low": row.low, "high": row.high, "visible": not row.low <= 0 <= row.high}


def main_figure(results: Path, sequences, folder: Path) -> str | None:
    """Copies what every arm keeps and learns, of the first sequence that has the figure, into a folder; returns the sequence."""
    for sequence in sequences:
        picture = results / f"main_table/{sequence}/balance.svg"
        if picture.exists():
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(picture, folder / "balance.svg")
            return sequence
    return None
