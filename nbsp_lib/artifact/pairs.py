"""Checks that the two files of a notebook, name.py and name.ipynb, paired by jupytext, have the same cells.

`python -m nbsp_lib.artifact.pairs` checks all of notebooks/, before the pipeline, which reads the .py files only.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from nbsp_lib.errors import ConfigError


def cells(nb):
    """Returns what the two files must share: [(type, tags, text)] of the cells that are not empty."""
    return [
        (cell.cell_type, tuple(cell.metadata.get("tags", ())), cell.source.strip())
        for cell in nb.cells
        if cell.source.strip()
    ]


def read(path):
    """The notebook in a file as a .py file would hold it. ConfigError if it cannot be read."""
    import jupytext

    try:
        nb = jupytext.read(path)
        return jupytext.reads(jupytext.writes(nb, fmt="py:percent"), fmt="py:percent")
    except Exception as error:  # a half-written or merged file makes the parser raise anything
        raise ConfigError(
            f"{path}: is no notebook: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
        ) from None


def check(source):
    """Refuses a notebook whose .py and .ipynb differ in their cells: a ConfigError that says where, and which is newer."""
    script, notebook = Path(source).with_suffix(".py"), Path(source).with_suffix(".ipynb")
    if not notebook.is_file():
        return
    ours, theirs = cells(read(script)), cells(read(notebook))
    if ours == theirs:
        return
    number = next((i for i, both in enumerate(zip(ours, theirs)) if both[0] != both[1]), min(len(ours), len(theirs)))
    first = next(iter(max(ours, theirs, key=len)[number][2].splitlines()))
    ages = {path.stat().st_mtime_ns: path.name for path in (script, notebook)}
    newer = (
        f"{ages[max(ages)]} is newer, and is kept by"
        if len(ages) > 1
        else "neither is newer: touch the one to keep, then"
    )
    raise ConfigError(
        f"{script} and {notebook.name} differ from cell {number + 1} on ({first[:60]!r}); {newer}: "
        f"jupytext --sync {notebook}"
    )


def main(argv=None) -> int:
    """Returns 1 if a pair differs, after a line on stderr for each."""
    parser = argparse.ArgumentParser(
        prog="python -m nbsp_lib.artifact.pairs", description="Do the .py and .ipynb of notebooks agree?"
    )
    parser.add_argument("folder", nargs="?", type=Path, default=Path("notebooks"))
    code = 0
    for source in sorted(parser.parse_args(argv).folder.rglob("*.py")):
        if ".ipynb_checkpoints" in source.parts:
            continue
        try:
            check(source)
        except ConfigError as error:
            print(error, file=sys.stderr)
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
