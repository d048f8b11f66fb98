"""Brings the stages of a dvc.yaml up to date, several at once: `python -m nbsp_lib.artifact.reproduce dvc.yaml`.

`dvc repro dvc.yaml` does the same, one stage after the other. Here as many stages as there are cores run side by side,
the stage with the longest chain of waiting stages first. A page runs in a copy of a process that has imported torch
and the other libraries once. Each stage writes a log below .state/pipeline/. When a stage fails, those beside it finish
(exit 1). Ctrl-C and SIGTERM stop all (exit 130, 143). What finished is recorded, and the same command goes on from there.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shlex
import signal
import statistics
import sys
import time
from multiprocessing.connection import wait
from pathlib import Path

from nbsp_lib.artifact.notebook import QUIET
from nbsp_lib.errors import ConfigError
from nbsp_lib.runs.clone import refuse_foreign
from nbsp_lib.runs.disk import lock
from nbsp_lib.runs.files import read_csv, write_atomic

STATE = Path(".state/pipeline")  # below it, a folder for each dvc.yaml: lock, seconds.csv, a log for each stage
SECONDS = Path("data/stage_seconds.csv")
RUNNER = ["python", "-m", "nbsp_lib.artifact.notebook"]


def perform(command, folder, log):
    """Runs one stage in this process: a page here, any other command in a shell. Exits with the command's code."""
    with open(log, "wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(folder)
    words = shlex.split(command)
    if words[: len(RUNNER)] != RUNNER:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.execvp("/bin/sh", ["/bin/sh", "-c", command])
    from nbsp_lib.artifact import notebook
    from nbsp_lib.artifact.warm import ForkedKernel

    sys.exit(notebook.main(words[len(RUNNER) :], ForkedKernel()))


def known_seconds(*paths):
    """Returns {name: seconds} of the tables (columns stage, seconds) that exist; later tables override earlier ones."""
    known = {}
    for path in filter(Path.is_file, paths):
        known |= read_csv(path).itertuples(index=False, name=None)
    return known


def expected_seconds(names, known):
    """{name: known seconds}, for another stage the median of what is known."""
    usual = statistics.median(known.values()) if known else 10.0
    return {name: float(known.get(name, usual)) for name in names}


def way_to_the_end(needs, seconds):
    """{name: seconds of the stage and of the longest chain of stages that wait for it}.

    needs: {name: names}, a stage after those it needs.
    """
    ways = dict(seconds)
    for name in reversed(list(needs)):
        for before in needs[name]:
            ways[before] = max(ways[before], seconds[before] + ways[name])
    return ways


def minutes_left(rest, ways, speed, jobs):
    """The minutes that are left, about: the work over the jobs, or the longest chain.

    rest: {name: expected seconds}; speed: real over expected seconds.
    """
    return speed * max([sum(rest.values()) / jobs, *(ways[name] for name in rest)], default=0) / 60


class Crew:
    """Runs the stale stages of a pipeline (see stages.Pipeline), at most `jobs` at once.

    done, running, failed: by name; a stage that did not have to run is done too.
    """

    def __init__(self, pipeline, jobs, seconds, context, logs):
        self.pipeline, self.jobs, self.seconds, self.context, self.logs = pipeline, jobs, seconds, context, logs
        self.ways = way_to_the_end({name: pipeline.needs[name] for name in pipeline.order}, seconds)
        self.done, self.running, self.failed, self.took = set(), {}, {}, {}

    def log(self, name):
        """The file that a stage writes its messages to."""
        return self.logs / f"{name}.log"

    def ready(self):
        """Stages that wait for nothing, the one with the longest way to the end first."""
        waiting = [
            name
            for name in self.pipeline.order
            if name not in self.done and name not in self.running and self.pipeline.needs[name] <= self.done
        ]
        return sorted(waiting, key=lambda name: -self.ways[name])

    def tell(self, text):
        """One line: how many stages are done, what happened, how long still."""
        spent, planned = sum(self.took.values()), sum(self.seconds[name] for name in self.took)
        rest = {name: self.seconds[name] for name in self.pipeline.order if name not in self.done}
        for name, (_, began) in self.running.items():
            rest[name] = max(rest[name] - (time.monotonic() - began), 0)
        left = minutes_left(rest, self.ways, spent / planned if planned else 1, self.jobs)
        told = f"; about {left:.0f} min left" if self.took and rest else ""
        print(f"[{len(self.done)} of {len(self.pipeline.order)}] {text}{told}", flush=True)

    def begin(self, name):
        """Starts a stage, unless it is up to date or the cache has what it makes."""
        if not self.pipeline.stale(name):
            self.done.add(name)
            return
        if self.pipeline.begin(name):
            self.pipeline.record(name)
            self.done.add(name)
            self.tell(f"{name}: taken from the cache")
            return
        arguments = *self.pipeline.commands[name], str(self.log(name))
        process = self.context.Process(target=perform, args=arguments, name=name)
        process.start()
        self.running[name] = process, time.monotonic()
        self.tell(f"{name} begins")

    def end(self, name):
        """Records a stage whose process has ended."""
        process, began = self.running.pop(name)
        process.join()
        if process.exitcode:
            self.fail(name, self.log(name).read_text(errors="replace")[-2000:].rstrip())
            return
        self.pipeline.record(name)
        self.took[name] = time.monotonic() - began
        self.done.add(name)
        self.tell(f"{name}: {self.took[name]:.0f} s")

    def fail(self, name, why):
        """Notes a stage that failed."""
        self.failed[name] = why
        self.tell(f"{name} FAILED")

    def advance(self, step, name):
        """Does `begin` or `end` of a stage; what DVC refuses (a missing file) is a failure of the stage."""
        from dvc.exceptions import DvcException

        try:
            step(name)
        except DvcException as error:
            self.fail(name, str(error))

    def work(self):
        """Runs until all is done, or something failed and nothing runs any more -> whether all is done."""
        while True:
            while not self.failed and len(self.running) < self.jobs and (ready := self.ready()):
                self.advance(self.begin, ready[0])
            if not self.running:
                return not self.failed
            wait([process.sentinel for process, _ in self.running.values()])
            for name in [name for name, (process, _) in self.running.items() if process.exitcode is not None]:
                self.advance(self.end, name)

    def stop(self):
        """Stops what runs, and waits until it has ended."""
        for process, _ in self.running.values():
            process.terminate()
        for process, _ in self.running.values():
            process.join()


def raise_interrupt(number, frame):
    """Raises an exception at the first SIGTERM and ignores later ones."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt(number)


def reproduce(file, jobs, folder):
    """Brings one dvc.yaml up to date -> exit code. folder: for logs, and for the seconds that stages took here."""
    from nbsp_lib.artifact.stages import Pipeline
    from nbsp_lib.artifact.warm import PRELOAD

    os.environ.update(QUIET)  # before the server of the copies starts
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    pipeline = Pipeline(file)
    known = known_seconds(SECONDS, folder / "seconds.csv")
    crew = Crew(pipeline, jobs, expected_seconds(pipeline.order, known), context, folder)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, raise_interrupt)
    try:
        if crew.work():
            print(f"{file}: all {len(crew.done)} stages are up to date, {len(crew.took)} of them ran")
            return 0
    except KeyboardInterrupt as stopped:
        crew.stop()
        print(f"{file}: stopped; the same command goes on from here", file=sys.stderr)
        return 128 + stopped.args[0]
    finally:
        pipeline.close()
        rows = "".join(f"{name},{seconds:.1f}\n" for name, seconds in sorted((known | crew.took).items()))
        write_atomic(folder / "seconds.csv", "stage,seconds\n" + rows)
    for name, why in crew.failed.items():
        print(why, f"{file}: {name} failed, see {crew.log(name)}", sep="\n", file=sys.stderr)
    return 1


def main(argv=None) -> int:
    """The exit code; what went wrong is said on stderr."""
    parser = argparse.ArgumentParser(
        prog="python -m nbsp_lib.artifact.reproduce",
        description="Bring every stage of a dvc.yaml up to date, several at once.",
    )
    parser.add_argument("file", nargs="?", default="dvc.yaml")
    parser.add_argument(
        "--jobs", type=int, default=len(os.sched_getaffinity(0)), help="stages at once (as many as cores)"
    )
    args = parser.parse_args(argv)
    try:
        refuse_foreign()
        if args.jobs < 1:
            raise ConfigError(f"--jobs: {args.jobs} is not at least 1")
        if not Path(args.file).is_file():
            raise ConfigError(f"{args.file}: no such file")
        folder = STATE / Path(args.file).with_suffix("").as_posix().replace("/", "-")
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / "lock", "w") as held:
            lock(held)
            return reproduce(args.file, args.jobs, folder)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
