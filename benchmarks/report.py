"""Write the section "Results" of benchmarks/README.md from benchmarks/results.json, so that no number in it is typed.

The newest full record of every command on every machine is shown, quick ones never. Example: python -m benchmarks.report
"""
from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks.common import markdown
from nbsp_lib.files import write_atomic

HERE = Path(__file__).parent
README, RESULTS = HERE / "README.md", HERE / "results.json"
BEGIN, END = "<!-- results: written by python -m benchmarks.report -->", "<!-- end of results -->"


def section(records):
    """The text between the markers."""
    newest = {(r["benchmark"], r["command"], json.dumps(r["machine"])): r for r in records if not r["quick"]}
    parts = []
    for record in sorted(newest.values(), key=lambda r: (r["benchmark"], r["command"])):
        told = "; ".join(f"{name} {value}" for name, value in record["machine"].items())
        busy = "" if record["core"] >= 0.9 or record["device"] != "cpu" else " (busy: ratios hold, rates do not)"
        parts.append(f"### {record['benchmark'].capitalize()}\n`{record['command']}`, {record['date']}; {told}. "
                     f"Each process had {record['core']:.0%} of a core{busy}.")
        parts += [markdown(table) for table in record["tables"]]
    return "\n\n".join(parts) or "Nothing recorded yet."


def rendered(readme, records):
    """The whole README with its section renewed. ValueError if its two markers are not there once each."""
    if readme.count(BEGIN) != 1 or readme.count(END) != 1:
        raise ValueError(f"README.md must hold these two lines once each: {BEGIN} and {END}")
    before, rest = readme.split(BEGIN)
    return f"{before}{BEGIN}\n\n{section(records)}\n\n{END}{rest.split(END)[1]}"


def recorded(path=RESULTS):
    return json.loads(path.read_text()) if path.exists() else []


def main(argv=None):
    argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__).parse_args(argv)
    write_atomic(README, rendered(README.read_text(), recorded()))


if __name__ == "__main__":
    sys.exit(main())
