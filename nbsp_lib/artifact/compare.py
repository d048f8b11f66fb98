"""Compares regenerated tables with the expected ones: `python -m nbsp_lib.artifact.compare results/tables data/expected`.

On the reference machine bytes must agree. Elsewhere numbers may differ within a tolerance, and the largest
difference is printed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from nbsp_lib.runs.files import read_csv
from nbsp_lib.training.provenance import machine

MACHINE = "machine.json"
ROLLED = (
    "evaluate",
    "neurons",
    "score_distribution",
    "activation_split",
    "silencing",
    "overlap",
    "filters",
    "graft",
    "awakening",
    "clock",
)  # made by rolling out again


def difference(found: pd.DataFrame, expected: pd.DataFrame) -> tuple[float, str]:
    """Largest absolute difference between two tables, and where it is.

    inf where columns, the number of rows, a text or a missing value differ; two missing values agree.
    """
    if list(found.columns) != list(expected.columns):
        return np.inf, f"columns {list(found.columns)}"
    if len(found) != len(expected):
        return np.inf, f"{len(found)} rows, expected {len(expected)}"
    worst = (0.0, "")
    for name in expected.columns:
        a, b = found[name], expected[name]
        if pd.api.types.is_numeric_dtype(a) and pd.api.types.is_numeric_dtype(b):
            a, b = a.to_numpy(float), b.to_numpy(float)
            with np.errstate(invalid="ignore"):  # inf - inf, settled by the first case
                gap = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))  # [rows]
            gap = np.where(np.isnan(gap), np.inf, gap)
        else:
            gap = np.where((a.astype(object) == b.astype(object)) | (a.isna() & b.isna()), 0.0, np.inf)
        if len(gap) and gap.max() > worst[0]:
            row = int(gap.argmax())
            worst = (float(gap.max()), f"row {row + 1}, {name}: {found[name][row]}, expected {expected[name][row]}")
    return worst


def reference(expected):
    """Whether this is the kind of machine that the expected tables were made on."""
    path = Path(expected) / MACHINE
    return path.is_file() and json.loads(path.read_text()) == machine()


def compare(results, expected, tolerance) -> tuple[list[str], bool]:
    """One line for each .csv below the folder expected, and whether all are met.

    On the reference machine every table must be the same, byte for byte. Elsewhere a table made from recorded numbers must be
    within the tolerance; one made by rolling agents out again is only reported, because a last bit changes a trajectory.
    FileNotFoundError where there is nothing to compare with.
    """
    results, expected = Path(results), Path(expected)
    paths, here = sorted(expected.rglob("*.csv")), reference(expected)
    if not paths:
        raise FileNotFoundError(f"{expected}: no tables to compare with")
    lines, met = [], True
    for path in paths:
        name = path.relative_to(expected)
        found = results / name
        if not found.is_file():
            lines.append(f"MISSING  {name}")
            met = False
        elif found.read_bytes() == path.read_bytes():
            lines.append(f"same     {name}")
        else:
            gap, where = difference(read_csv(found), read_csv(path))
            rolled = name.parts[0] in ROLLED
            fine = not here and (rolled or gap <= tolerance)
            verdict = "DIFFERS " if not fine else "close   " if gap <= tolerance else "rerolled"
            lines.append(f"{verdict} {name}: " + (f"by at most {gap:.2g}, {where}" if where else "numbers equal"))
            met &= fine
    lines.append(
        "on the reference machine"
        if here
        else "not on the reference machine: bytes may differ, rerolled tables are only reported"
    )
    return lines, met


def accept(results, expected):
    """Makes the tables of `results` the expected ones and this machine the reference; returns their names."""
    results, expected = Path(results), Path(expected)
    names = sorted(
        path.relative_to(results) for path in results.rglob("*.csv") if path.relative_to(results).parts[0] != "report"
    )
    shutil.rmtree(expected, ignore_errors=True)
    for name in names:
        (expected / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(results / name, expected / name)
    (expected / MACHINE).write_text(json.dumps(machine(), indent=1) + "\n", encoding="utf-8")
    return names


def about_lock(expected):
    """One line where dvc.lock differs from git's because this is another kind of machine than the reference, otherwise None."""
    if reference(expected):
        return None
    try:
        asked = subprocess.run(
            ["git", "status", "--porcelain", "--", "dvc.lock"], capture_output=True, text=True, timeout=60
        )
    except (OSError, subprocess.SubprocessError):  # no git here
        return None
    if asked.returncode or not asked.stdout.strip():
        return None
    return (
        "dvc.lock has changed, as on every machine but the reference: it holds the checksums of what was made here; "
        "git checkout dvc.lock takes that back"
    )


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m nbsp_lib.artifact.compare", description="Are the tables as expected?"
    )
    parser.add_argument("results")
    parser.add_argument("expected")
    parser.add_argument("--tolerance", type=float, default=1e-4, help="largest difference (%(default)s)")
    parser.add_argument(
        "--accept", action="store_true", help="make the results the expected tables, after new runs were shipped"
    )
    args = parser.parse_args(argv)
    if args.accept:
        print(*accept(args.results, args.expected), sep="\n")
        return 0
    try:
        lines, met = compare(args.results, args.expected, args.tolerance)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    print(*lines, "every table is as expected" if met else "some tables are not as expected", sep="\n")
    if line := about_lock(args.expected):
        print(line)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
