"""Regenerated tables against the expected ones: `python -m nbsp_lib.compare results/tables data/expected`.

Bytes agree on the reference machine; elsewhere numbers may differ within a tolerance; the largest difference is said.
"""
from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd


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
            with np.errstate(invalid="ignore"):                     # inf - inf, settled by the first case
                gap = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))     # [rows]
            gap = np.where(np.isnan(gap), np.inf, gap)
        else:
            gap = np.where((a.astype(object) == b.astype(object)) | (a.isna() & b.isna()), 0.0, np.inf)
        if len(gap) and gap.max() > worst[0]:
            row = int(gap.argmax())
            worst = (float(gap.max()), f"row {row + 1}, {name}: {found[name][row]}, expected {expected[name][row]}")
    return worst


def compare(results, expected, tolerance) -> tuple[list[str], bool]:
    """One line for each .csv below the folder expected, and whether all are met within the tolerance.

    FileNotFoundError where there is nothing to compare with.
    """
    results, expected = Path(results), Path(expected)
    paths = sorted(expected.rglob("*.csv"))
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
            gap, where = difference(pd.read_csv(found), pd.read_csv(path))
            verdict = "close    " if gap <= tolerance else "DIFFERS  "
            lines.append(f"{verdict}{name}: " + (f"by at most {gap:.2g}, {where}" if where else "numbers equal"))
            met &= gap <= tolerance
    return lines, met


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(prog="python -m nbsp_lib.compare", description=__doc__.splitlines()[0])
    parser.add_argument("results")
    parser.add_argument("expected")
    parser.add_argument("--tolerance", type=float, default=1e-4, help="largest difference (%(default)s)")
    args = parser.parse_args(argv)
    try:
        lines, met = compare(args.results, args.expected, args.tolerance)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    print(*lines, "every table is as expected" if met else "some tables are not as expected", sep="\n")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
