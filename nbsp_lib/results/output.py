"""Tables and figures written to files, byte-equal from run to run."""

from __future__ import annotations

import math
from pathlib import Path

import matplotlib as mpl

DIGITS = 6  # of the numbers in a table


def write_csv(frame, path):
    """Write a csv with numbers rounded to DIGITS, never -0.0, and line feeds, .gz without a time stamp; returns the path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    packed = {"method": "gzip", "mtime": 0} if path.suffix == ".gz" else None
    frame, numbers = frame.round(DIGITS), frame.select_dtypes("float").columns
    frame[numbers] += 0.0
    frame.to_csv(path, index=False, lineterminator="\n", compression=packed)
    return path


def markdown(frame, notes=()):
    """The frame as a markdown table, notes as a list below; text cells as they are, missing numbers as a dash."""

    def cell(value):
        if isinstance(value, float):
            return "–" if math.isnan(value) else f"{round(value, 2) + 0.0:.2f}"
        return str(value)

    table = frame.map(cell).to_markdown(index=False, tablefmt="github", disable_numparse=True, stralign=None)
    return "\n".join([table] + [""] * bool(notes) + [f"- {note}" for note in notes]) + "\n"


def save_figure(figure, folder, name):
    """Write name.png and name.svg, byte-equal from run to run (no date, fixed ids); returns the path of the png."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context({"svg.hashsalt": "nbsp"}):
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None, "Creator": None})
        figure.savefig(folder / f"{name}.png", metadata={"Software": None})
    return str(folder / f"{name}.png")
