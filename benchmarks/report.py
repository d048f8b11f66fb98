"""Write the section "Results" of benchmarks/README.md, and the costs in docs/methods.md, from benchmarks/results.json, so that
no number in them is typed.

The newest full record of every command on every machine is shown, quick ones never. Example: python -m benchmarks.report
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks.common import markdown
from nbsp_lib.runs.files import write_atomic

HERE = Path(__file__).parent
README, RESULTS = HERE / "README.md", HERE / "results.json"
METHODS = HERE.parent / "docs/methods.md"
BEGIN, END = "<!-- results: written by python -m benchmarks.report -->", "<!-- end of results -->"
COSTS = "<!-- costs: written by python -m benchmarks.report -->", "<!-- end of costs -->"


def section(records):
    """The text between the markers."""
    newest = {(r["benchmark"], r["command"], json.dumps(r["machine"])): r for r in records if not r["quick"]}
    parts = []
    for record in sorted(newest.values(), key=lambda r: (r["benchmark"], r["command"])):
        told = "; ".join(f"{name} {value}" for name, value in record["machine"].items())
        how, core = record["command"], ""
        if record["core"] is not None:  # what a script of this folder measured
            busy = "" if record["core"] >= 0.9 or record["device"] != "cpu" else " (busy: ratios hold, rates do not)"
            how, core = f"`{how}`", f" Each process had {record['core']:.0%} of a core{busy}."
        parts.append(f"### {record['benchmark'].capitalize()}\n{how}, {record['date']}; {told}.{core}")
        parts += [markdown(table) for table in record["tables"]]
    return "\n\n".join(parts) or "Nothing recorded yet."


def costs(records):
    """The newest full record of the methods' updates on a CPU, as one table."""
    found = [r for r in records if r["benchmark"] == "methods" and not r["quick"] and r["device"] == "cpu"]
    if not found:
        return "Not measured yet."
    newest = found[-1]
    columns = {
        "arm": "arm",
        "neutral": "time of an update / fine-tuning",
        "lowest": "lowest",
        "highest": "highest",
        "memory": "memory of agent and method / plain SAC's agent",
    }
    plain = next(row for row in newest["tables"][0]["rows"] if row["method"] == "sac")["agent"]
    rows = [{**row, "memory": (row["state"] + row["agent"]) / plain} for row in newest["tables"][0]["rows"]]
    told = f"{newest['date']}; {newest['machine']['processor']}, one core; replay not counted."
    return f"{markdown({'title': told, 'columns': columns, 'rows': rows})}"


def rendered(text, section, markers=(BEGIN, END)):
    """A whole document with the section between two markers renewed. ValueError if they are not there once each."""
    begin, end = markers
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"these two lines must be there once each: {begin} and {end}")
    before, rest = text.split(begin)
    return f"{before}{begin}\n\n{section}\n\n{end}{rest.split(end)[1]}"


def recorded(path=RESULTS):
    return json.loads(path.read_text()) if path.exists() else []


def main(argv=None):
    argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__).parse_args(argv)
    write_atomic(README, rendered(README.read_text(), section(recorded())))
    write_atomic(METHODS, rendered(METHODS.read_text(), costs(recorded()), COSTS))


if __name__ == "__main__":
    sys.exit(main())
