"""Logs of jobs, and records of failed jobs for `nbsp status`."""

from __future__ import annotations

import json
import signal
from contextlib import suppress
from pathlib import Path

from nbsp_lib.runs.files import write_atomic

ENGINE = Path(".state/engine")  # logs and notebooks of jobs, and a record of each that failed


def reason(code):
    """An exit code in words."""
    number = -code if code < 0 else code - 128
    with suppress(ValueError):
        return f"killed by {signal.Signals(number).name}" + (" (out of memory?)" if number == 9 else "")
    return f"exit code {code}"


def last_lines(log, offset=0, n=6):
    """The last lines that were written to `log` after `offset` bytes."""
    with suppress(OSError), open(log, "rb") as file:
        file.seek(offset)
        text = [line.rstrip() for line in file.read()[-20_000:].decode(errors="replace").splitlines()]
        return [line[:500] for line in text if line][-n:]
    return []


def why(code, lines):
    """Returns one line on a failure: the exit code and the last line of the log that does not point to a notebook."""
    said = [line for line in lines if ": failed, see " not in line]
    return f"{reason(code)}: {said[-1]}" if said else reason(code)


def note_failure(job, attempts, code, lines):
    """Leaves a record for `nbsp status`."""
    ENGINE.mkdir(parents=True, exist_ok=True)
    record = {"job": job.name, "attempts": attempts, "code": code, "lines": lines, **job.about()}
    write_atomic(ENGINE / f"{job.name}.json", json.dumps(record, indent=1))


def forget_failure(job):
    """Removes the record of a job that succeeded, and its log if that is empty."""
    (ENGINE / f"{job.name}.json").unlink(missing_ok=True)
    with suppress(OSError):
        if not job.log.stat().st_size:
            job.log.unlink()


def failures():
    """Returns the records of failed jobs, oldest first; skips unreadable ones."""
    found = []
    for path in sorted(ENGINE.glob("*.json"), key=lambda path: path.stat().st_mtime):
        with suppress(OSError, ValueError):
            found.append(json.loads(path.read_text()))
    return found
