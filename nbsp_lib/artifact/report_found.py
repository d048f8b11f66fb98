"""What was found, for the first page of the site: numbers of the tables, never typed."""

from __future__ import annotations

import shutil
from pathlib import Path

from nbsp_lib.runs.files import read_csv

ARMS = ("nbsp", "replay-only", "mask-only", "fine-tuning")


def found(results: Path) -> dict | None:
    """Success on the old task after one switch of the four arms that take NBSP apart, and what the mask adds to replay, with its
    interval; None where these tables or arms are not there, or where the arms have not the same number of seeds."""
    tables = [results / f"retention/{name}.csv" for name in ("retention", "retention_pairs")]
    if not all(table.exists() for table in tables):
        return None
    rows, pairs = map(read_csv, tables)
    means, counts = rows.groupby("arm").old.mean(), rows.arm.value_counts()
    mask = pairs[(pairs.arm == "nbsp") & (pairs.against == "replay-only") & (pairs.measure == "old")]
    if mask.empty or not set(ARMS) <= set(means.index) or counts[list(ARMS)].nunique() != 1:
        return None
    row = mask.iloc[0]
    bounds = {"mask": row["mean"], "low": row.low, "high": row.high, "visible": not row.low <= 0 <= row.high}
    return {"old": [means[arm] for arm in ARMS], "n": int(counts[ARMS[0]]), **bounds}


def main_figure(results: Path, sequences, folder: Path) -> str | None:
    """Copies what every arm keeps and learns, of the first sequence that has the figure, into a folder; returns the sequence."""
    for sequence in sequences:
        picture = results / f"main_table/{sequence}/balance.svg"
        if picture.exists():
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(picture, folder / "balance.svg")
            return sequence
    return None
