"""What the benchmarks share: contestants that take turns, processes side by side, options, records and tables."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import multiprocessing
import os
import platform
import signal
import sys
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from nbsp_lib.envs import metaworld
from nbsp_lib.envs.sequences import tasks_of
from nbsp_lib.runs.files import write_atomic
from nbsp_lib.runs.settings import load_profile
from nbsp_lib.runs.train_run import keep_memory
from nbsp_lib.training.trainer import Trainer

ROOT = Path(__file__).resolve().parents[1]
TASK, SEQUENCE = "window-close", "window"
ROWS = 100_000  # of replay in a process: more than the caches hold, as in training


# -- taking turns ------------------------------------------------------------------------------------------------------
def contest(contestants, options):
    """Rates of contestants that take turns in short slices -> ({name: units per second [slices]}, share of a core).

    contestants: {name: (make, *args)}; make(*args) returns a function that does a portion of work and returns its units.
    Each contestant has options.processes processes of its own, which run side by side (started by a barrier) and whose
    rates are added up; all others wait meanwhile. The order turns round at every slice; a first slice, which warms up, is
    thrown away. Share of a core: CPU by wall seconds of a process, median; well below 1 when the machine is busy.
    RuntimeError if a process ends.
    """
    fork = sys.platform == "linux" and options.device == "cpu"  # CUDA does not survive a fork
    context = multiprocessing.get_context("fork" if fork else "spawn")
    rates, cores = {name: [] for name in contestants}, []
    with contextlib.ExitStack() as crews:
        pipes = {name: crews.enter_context(crew(context, job, options)) for name, job in contestants.items()}
        for name in contestants:
            answers(name, pipes[name])  # built
        for i in range(options.slices + 1):
            for name in list(contestants)[:: -1 if i % 2 else 1]:
                for pipe in pipes[name]:
                    pipe.send("go")
                told = answers(name, pipes[name])
                if i:
                    rates[name].append(sum(rate for rate, _ in told))
                    cores += [core for _, core in told]
    return {name: np.array(each) for name, each in rates.items()}, float(np.median(cores))


def answers(name, pipes):
    try:
        return [pipe.recv() for pipe in pipes]
    except EOFError:
        raise RuntimeError(f'a process of "{name}" ended, see above') from None


@contextlib.contextmanager
def crew(context, job, options):
    """Processes of one contestant, ready to be sent to work -> the ends of their pipes."""
    barrier, pipes, members = context.Barrier(options.processes), [], []
    try:
        for _ in range(options.processes):
            mine, theirs = context.Pipe()
            told = (theirs, barrier, os.getpid(), job, options)
            member = context.Process(target=turns, args=told, daemon=options.device == "cpu")  # others may have workers
            member.start()
            theirs.close()
            pipes.append(mine)
            members.append(member)
        yield pipes
    finally:
        barrier.abort()  # whoever waits there for one that is gone
        for pipe, member in zip(pipes, members):
            with contextlib.suppress(OSError):
                pipe.send(None)
            member.join(10)
            member.terminate()


def turns(pipe, barrier, parent, job, options):
    """A process: build the work, then do a slice of it whenever told; end when told, or when the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which tells us
    torch.set_num_threads(1)
    make, *args = job
    work, wait = make(*args), torch.cuda.synchronize if options.device == "cuda" else lambda: None
    pipe.send("ready")
    while True:
        while not pipe.poll(1.0):
            if os.getppid() != parent:
                return
        if pipe.recv() is None:
            return
        barrier.wait(60)
        done, cpu, begun = 0, time.process_time(), time.perf_counter()
        while not done or time.perf_counter() - begun < options.seconds:
            done += work()
        wait()
        wall = time.perf_counter() - begun
        pipe.send((done / wall, (time.process_time() - cpu) / wall))


def against(rates, name, plain):
    """Median rate of a contestant, and its ratio to another one: median, lowest and highest of the slices."""
    ratio = rates[name] / rates[plain]
    return {
        "rate": median(rates[name]),
        "ratio": median(ratio),
        "lowest": float(ratio.min()),
        "highest": float(ratio.max()),
    }


def median(values):
    return float(np.median(values))


# -- what is measured --------------------------------------------------------------------------------------------------
def profile(name):
    return load_profile(ROOT / "profiles" / name / "params.yaml")


def as_in_training():
    """What train_run.train_run sets for its process."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    keep_memory()


def position(train, method):
    """A run of one position of the benchmark's sequence, as campaign.work counts it, under these settings and this method."""
    return SimpleNamespace(
        training=train, tasks=tasks_of(SEQUENCE), shared=False, method=lambda: method, last=lambda: 1
    )


def filled(train, method, P=1, device="cpu", rows=1, compile=False):
    """A Cycle of P seeds with about `rows` random rows of replay over all seeds, and a stored part of its first task."""
    trainer = Trainer(
        replace(train, steps=max(rows // P, train.batch), random_steps=0),
        SEQUENCE,
        method,
        range(P),
        device,
        compile=compile,
    )
    make, n = torch.Generator(device).manual_seed(0), trainer.train.steps
    uniform = lambda *shape: torch.rand(P, n, *shape, device=device, generator=make) * 2 - 1
    experience = uniform(39), uniform(4), 5 + 5 * uniform(), uniform(39), torch.zeros(P, n, device=device)
    trainer.replay.add(*experience)
    trainer.replay.store(0, trainer.streams["store"])
    return trainer


def rows_of(options, P=1):
    """Rows of replay in a process of P seeds."""
    return 1000 if options.quick else max(ROWS, 10_000 * P)


def warm_environments(task, goals):
    """Build what a process keeps of a task and compute the starts of its first goals: processes forked later have them."""
    torch.set_num_threads(1)
    for goal in range(goals):
        metaworld.start(task, 0, goal)


# -- options, records, tables ------------------------------------------------------------------------------------------
def positive(kind):
    def convert(text):
        if not (value := kind(text)) > 0:
            raise ValueError
        return value

    convert.__name__ = f"{kind.__name__} > 0"
    return convert


def options(name, text, argv, slices=7, seconds=1.0, devices=("cpu",), crews=True, add=lambda parser: None):
    """The parsed options of a benchmark, and `command`: what was asked for in one line. --quick sets the slices itself."""
    example = f"example: python -m benchmarks.{name}{' --processes 2' * crews} --out benchmarks/results.json"
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}", description=text, epilog=example, allow_abbrev=False
    )
    add(parser)
    if crews:
        parser.add_argument(
            "--processes", type=positive(int), default=1, help="of each contestant, side by side (default 1)"
        )
    parser.add_argument("--slices", type=positive(int), default=slices, help=f"of each contestant (default {slices})")
    parser.add_argument("--seconds", type=positive(float), default=seconds, help=f"of a slice (default {seconds:g})")
    if len(devices) > 1:
        parser.add_argument("--device", choices=devices, default="cpu", help="cpu (default) or cuda")
    parser.add_argument("--quick", action="store_true", help="in seconds: shows that it works, not how fast it is")
    parser.add_argument("--out", type=Path, help="json file to which a record is added")
    parser.set_defaults(processes=1, device="cpu")
    made = parser.parse_args(argv)
    if made.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device: torch sees no CUDA GPU here")
    if made.quick:
        made.slices, made.seconds = 2, 0.02
    asked = {
        key: value
        for key, value in vars(made).items()
        if key not in ("quick", "out") and value != parser.get_default(key)
    }
    words = ["--quick"] * made.quick + [
        f"--{key} {value}" for key, value in asked.items() if not (made.quick and key in ("slices", "seconds"))
    ]
    made.command = " ".join([parser.prog, *words])
    return made


def machine(device):
    """What the numbers were measured on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        processor = platform.processor() or platform.machine()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    gpu = {"gpu": torch.cuda.get_device_name()} if device == "cuda" else {}
    return {
        "processor": processor,
        "cores": cores,
        **gpu,
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "mujoco": version("mujoco"),
    }


def table(title, columns, rows):
    """A table of a record. columns: {key: heading}; rows: dicts, of which a key may be missing."""
    return {"title": title, "columns": columns, "rows": rows}


def markdown(made):
    """A table as text: numbers with three digits."""

    def shown(value):
        if isinstance(value, float):
            return f"{value:,.0f}" if abs(value) >= 100 else f"{value:#.3g}"
        return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)

    cells = [list(made["columns"].values())] + [
        [shown(row.get(key)) for key in made["columns"]] for row in made["rows"]
    ]
    widths = [max(map(len, column)) for column in zip(*cells)]
    left = [isinstance(row, str) for row in (made["rows"][0].get(key) for key in made["columns"])]
    lines = [
        "| " + " | ".join(c.ljust(w) if to_left else c.rjust(w) for c, w, to_left in zip(row, widths, left)) + " |"
        for row in cells
    ]
    rule = "|" + "|".join("-" * (w + 2) if to_left else "-" * (w + 1) + ":" for w, to_left in zip(widths, left)) + "|"
    return "\n".join([f"{made['title']}", "", lines[0], rule, *lines[1:]])


def publish(name, made, core, tables):
    """Print the tables; add the record to --out."""
    record = {
        "benchmark": name,
        "command": made.command,
        "quick": made.quick,
        "date": datetime.date.today().isoformat(),
        "machine": machine(made.device),
        "processes": made.processes,
        "device": made.device,
        "core": core,
        "tables": tables,
    }
    print("\n\n".join(markdown(each) for each in tables))
    print(
        f"\nEach process had {core:.0%} of a core."
        + (" The machine is busy: ratios hold, rates do not." if core < 0.9 and made.device == "cpu" else "")
    )
    if made.out:
        records = json.loads(made.out.read_text()) if made.out.exists() else []
        write_atomic(made.out, json.dumps([*records, record], indent=1) + "\n")
